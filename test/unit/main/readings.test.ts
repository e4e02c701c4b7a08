import { expect, it } from "vitest";
import type { MetricFamily } from "#control/gateway-status.ts";
import { Between } from "#main/cli/readings.ts";
import { meterFamilies } from "#main/supervisor/meter-families.ts";
import { Meters, METERS_MAX } from "#observe/meters.ts";
import { ownMetricsBlock } from "#observe/metrics-block.ts";

function counter(value: number, labels = {}): MetricFamily {
  return { name: "penstock_requests", type: "counter", help: "", samples: [{ labels, value }] };
}

it("counts what was added, and from 0 where a worker began anew", () => {
  const between = new Between({ atMs: 1000, families: [counter(10)] }, { atMs: 3000, families: [counter(30)] });
  expect([between.seconds, between.increase("requests")]).toEqual([2, 20]);
  const reborn = new Between({ atMs: 0, families: [counter(10)] }, { atMs: 1000, families: [counter(4)] });
  expect(reborn.increase("requests")).toBe(4);
  const fresh = new Between({ atMs: 0, families: [] }, { atMs: 1000, families: [counter(7, { worker: "1" })] });
  expect(fresh.increase("requests", { worker: "1" })).toBe(7);
  expect(fresh.increase("requests", { worker: "2" })).toBe(0);
  expect(fresh.counters(/^req/)).toEqual(["requests"]);
});

it("tells quantiles of what came between the readings only", () => {
  const meters = new Meters(ownMetricsBlock(METERS_MAX));
  const read = (atMs: number) => ({ atMs, families: meterFamilies(structuredClone(meters.read())) });
  const slow = meters.route("acme", "a");
  for (let i = 0; i < 1000; i++) slow.ended(200, 0, 0, 5000);
  const before = read(0);
  for (let i = 0; i < 100; i++) slow.ended(200, 0, 0, i < 98 ? 10 : 1000);
  const between = new Between(before, read(1000));
  const of = (part: number) => between.quantile("route_duration_seconds", { tenant: "acme", route: "a" }, part) ?? 0;
  // Whole octaves are shown: right within a factor of two.
  expect(of(0.5)).toBeGreaterThan(0.005);
  expect(of(0.5)).toBeLessThan(0.02);
  expect(of(0.99)).toBeGreaterThan(0.5);
  expect(of(0.99)).toBeLessThan(2);
  expect(between.quantile("route_duration_seconds", { route: "other" }, 0.5)).toBeNull();
});
