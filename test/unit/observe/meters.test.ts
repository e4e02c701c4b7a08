import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openMetrics } from "#control/openmetrics.ts";
import { meterFamilies } from "#main/supervisor/meter-families.ts";
import { Counters } from "#observe/counters.ts";
import { BUCKETS, bucketOf, quantileOf, upperBoundOf } from "#observe/histogram.ts";
import { Meter, Meters, METERS_MAX, OTHERS } from "#observe/meters.ts";
import { MetricsBlock, metricsBlockBytes, ownMetricsBlock } from "#observe/metrics-block.ts";
import { readOpenMetrics } from "#test/support/openmetrics.ts";

describe("the histogram", () => {
  it("puts each duration into the bucket that holds it, a quarter of it wide", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 200_000, noNaN: true }), (ms) => {
        const bucket = bucketOf(ms);
        const us = Math.floor(ms * 1000);
        expect(us).toBeLessThan(upperBoundOf(bucket) * 1e6);
        const lower = bucket === 0 ? 0 : upperBoundOf(bucket - 1) * 1e6;
        expect(us).toBeGreaterThanOrEqual(lower);
        if (bucket > 0 && bucket < BUCKETS - 1) expect(upperBoundOf(bucket) * 1e6).toBeLessThanOrEqual(lower * 1.25);
      }),
    );
  });

  it("tells quantiles to the width of a bucket", () => {
    const counts = new Float64Array(BUCKETS);
    expect(quantileOf(counts, 0.5)).toBe(0);
    for (let ms = 1; ms <= 1000; ms++) counts[bucketOf(ms)] = (counts[bucketOf(ms)] ?? 0) + 1;
    expect(quantileOf(counts, 0.5)).toBeGreaterThanOrEqual(0.5);
    expect(quantileOf(counts, 0.5)).toBeLessThanOrEqual(0.5 * 1.25);
    expect(quantileOf(counts, 0.99)).toBeGreaterThanOrEqual(0.99);
    expect(quantileOf(counts, 0.99)).toBeLessThanOrEqual(0.99 * 1.25);
  });
});

describe("meters", () => {
  it("are the same for the same route, and as many as there may be", () => {
    const meters = new Meters(ownMetricsBlock(METERS_MAX));
    expect(meters.route("acme", "a")).toBe(meters.route("acme", "a"));
    expect(meters.route("acme", "a")).not.toBe(meters.route("zeta", "a"));
    for (let i = 0; i < 500; i++) meters.route("acme", `r${i}`);
    expect(meters.route("acme", "late")).toBe(meters.route("acme", "later"));
    expect(meters.route("zeta", "b")).not.toBe(meters.route("acme", "late"));
    for (let i = 0; i < 5000; i++) meters.route(`t${i}`, "r");
    for (let i = 0; i < 5000; i++) meters.listener(`l${i}`);
    const rows = meters.read();
    expect(rows.length).toBeLessThan(2010);
    expect(rows.filter(({ name }) => name === OTHERS).map(({ kind, tenant }) => [kind, tenant])).toEqual([
      ["route", "acme"],
      ["route", OTHERS],
      ["listener", ""],
    ]);
  });

  it("of all workers are added up, as OpenMetrics that holds", () => {
    const workers = [new Meters(ownMetricsBlock(METERS_MAX)), new Meters(ownMetricsBlock(METERS_MAX))];
    for (const meters of workers) {
      for (const [route, status, ms] of [
        ["a", 200, 3],
        ["a", 503, 90],
        ["b", 0, 70_000],
      ] as const) {
        meters.route("acme", route).ended(status, 10, 20, ms);
        meters.listener('web"\\').ended(status, 10, 20, ms);
      }
    }
    const text = openMetrics(meterFamilies(workers.flatMap((meters) => meters.read())));
    const series = readOpenMetrics(text);
    expect(series.get('penstock_route_requests_total{tenant="acme",route="a",status="2xx"}')).toBe(2);
    expect(series.get('penstock_route_requests_total{tenant="acme",route="b",status="none"}')).toBe(2);
    expect(series.get('penstock_tenant_requests_total{tenant="acme",status="5xx"}')).toBe(2);
    expect(series.get('penstock_route_duration_seconds_count{tenant="acme",route="a"}')).toBe(4);
    expect(series.get('penstock_route_duration_seconds_sum{tenant="acme",route="a"}')).toBeCloseTo(0.186);
    expect(series.get('penstock_listener_response_body_bytes_total{listener="web\\"\\\\"}')).toBe(120);
    expect(series.get('penstock_route_duration_seconds_bucket{tenant="acme",route="b",le="+Inf"}')).toBe(2);
  });
});

describe("a block", () => {
  it("is read by another process, and counted on by the next life of its worker", () => {
    const memory = new ArrayBuffer(16 + metricsBlockBytes(8));
    const opened = () => new MetricsBlock(memory, 16, 8);
    const meters = new Meters(opened());
    meters.route("acme", "a").ended(200, 1, 2, 3);
    meters.listener("web").ended(200, 1, 2, 3);
    new Counters(["ok"], opened()).ended(0, 204);
    const next = new Meters(opened());
    next.route("acme", "a").ended(200, 1, 2, 3);
    next.plugin("acme", "guard@1").called(0.002);
    const read = new Meters(opened()).read();
    expect(read.map(({ kind, tenant, name }) => [kind, tenant, name])).toEqual([
      ["route", "acme", "a"],
      ["listener", "", "web"],
      ["plugin", "acme", "guard@1"],
    ]);
    expect(read[0]?.values.slice(0, 8)).toEqual(Float64Array.of(0, 0, 2, 0, 0, 0, 2, 4));
    expect(new Counters(["ok"], opened()).read()).toMatchObject({ responses_2xx: 1, outcome_ok: 1 });
  });

  it("that is full counts what is new for nobody, and what it has as before", () => {
    const block = ownMetricsBlock(2);
    const meters = new Meters(block);
    for (const name of ["a", "b", "c", "d"]) meters.route("acme", name).ended(200, 0, 0, 1);
    expect(new Meters(block).read().map(({ name, values }) => [name, values[2]])).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
  });
});

it("calls of a plugin have a histogram of microseconds", () => {
  const meters = new Meters(ownMetricsBlock(8));
  for (const us of [0.5, 3, 3, 900, 2_000_000]) meters.plugin("acme", "guard@1.0").called(us / 1000);
  const series = readOpenMetrics(openMetrics(meterFamilies(meters.read())));
  const of = (le: string) =>
    series.get(`penstock_plugin_duration_seconds_bucket{tenant="acme",plugin="guard",version="1.0",le="${le}"}`);
  expect([of("0.000001"), of("0.000002"), of("0.000004"), of("0.001024"), of("0.262144"), of("+Inf")]).toEqual([
    1, 1, 3, 4, 4, 5,
  ]);
  const labels = '{tenant="acme",plugin="guard",version="1.0"}';
  expect(series.get(`penstock_plugin_duration_seconds_sum${labels}`)).toBeCloseTo(2.0009065);
});

it("a meter adds to what was there", () => {
  const meter = new Meter();
  meter.ended(204, 1, 2, 0);
  meter.ended(299, 1, 2, 0);
  expect(meter.values.slice(0, 9)).toEqual(Float64Array.of(0, 0, 2, 0, 0, 0, 2, 4, 0));
});
