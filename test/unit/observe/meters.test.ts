import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openMetrics } from "#control/openmetrics.ts";
import { meterFamilies } from "#main/supervisor/meter-families.ts";
import { BUCKETS, bucketOf, quantileOf, upperBoundOf } from "#observe/histogram.ts";
import { Meter, Meters, OTHERS } from "#observe/meters.ts";
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
    const meters = new Meters();
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
    const workers = [new Meters(), new Meters()];
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

it("a meter adds to what was there", () => {
  const meter = new Meter();
  meter.ended(204, 1, 2, 0);
  meter.ended(299, 1, 2, 0);
  expect(meter.values.slice(0, 9)).toEqual(Float64Array.of(0, 0, 2, 0, 0, 0, 2, 4, 0));
});
