import { expect, test } from "vitest";
import { Counter, Gauge, Histogram, scriptFigures } from "#pipeline/library/stats.ts";

test("counters, gauges and histograms, by label, over loads of a script", () => {
  new Counter("hits", ["path"]).with("/a").increase();
  new Counter("hits", ["path"]).with("/a").increase(2);
  new Counter("plain").increase(-1);
  new Gauge("busy").set(4);
  const sizes = new Histogram("sizes", [10, 100]);
  for (const value of [5, 50, 500]) sizes.observe(value);
  expect(scriptFigures()).toEqual({
    'script_hits{path="/a"}': 3,
    script_plain: 0,
    script_gauge_busy: 4,
    script_sizes_sum: 555,
    script_sizes_count: 3,
    'script_sizes_bucket{le="10"}': 1,
    'script_sizes_bucket{le="100"}': 2,
  });
  expect(() => new Counter("no good")).toThrow(/no good/);
});

test("labels without end are bounded", () => {
  const many = new Counter("many", ["id"]);
  for (let i = 0; i < 12_000; i++) many.with(String(i)).increase();
  const read = scriptFigures();
  expect(Object.keys(read).length).toBeLessThan(10_100);
  expect(read['script_many{id="(others)"}']).toBeGreaterThan(1_900);
});
