import { expect, test } from "vitest";
import { figureFamilies } from "#main/supervisor/figure-families.ts";
import { openMetrics } from "#control/openmetrics.ts";
import { Counter, Gauge, Histogram, scriptFigures } from "#pipeline/library/stats.ts";

test("counters, gauges and histograms, by label, over loads of a script", () => {
  new Counter("hits", ["path"]).with('/a"\\').increase();
  new Counter("hits", ["path"]).with('/a"\\').increase(2);
  new Counter("plain").increase(-1);
  new Gauge("busy").set(4);
  const sizes = new Histogram("sizes", [10, 100], ["of"]);
  for (const value of [5, 50, 500]) sizes.with("x").observe(value);
  const text = openMetrics(figureFamilies([{ slot: 1, figures: scriptFigures() }]));
  expect(text.split("\n").filter((line) => !line.startsWith("# HELP"))).toEqual([
    "# TYPE penstock_script_hits counter",
    String.raw`penstock_script_hits_total{path="/a\"\\",worker="1"} 3`,
    "# TYPE penstock_script_plain counter",
    'penstock_script_plain_total{worker="1"} 0',
    "# TYPE penstock_script_busy gauge",
    'penstock_script_busy{worker="1"} 4',
    "# TYPE penstock_script_sizes histogram",
    'penstock_script_sizes_bucket{of="x",le="10",worker="1"} 1',
    'penstock_script_sizes_bucket{of="x",le="100",worker="1"} 2',
    'penstock_script_sizes_bucket{of="x",le="+Inf",worker="1"} 3',
    'penstock_script_sizes_count{of="x",worker="1"} 3',
    'penstock_script_sizes_sum{of="x",worker="1"} 555',
    "# EOF",
    "",
  ]);
  expect(() => new Counter("no good")).toThrow(/no good/);
  expect(() => new Histogram("times", [2, 1])).toThrow(/bounds 2, 1/);
});

test("what workers know as different things is not mixed", () => {
  const samples = [{ labels: {}, value: 1 }];
  const families = figureFamilies([
    { slot: 0, figures: [{ name: "x", kind: "counter", samples }] },
    { slot: 1, figures: [{ name: "x", kind: "gauge", samples }] },
  ]);
  expect(families).toMatchObject([{ type: "counter", samples: [{ labels: { worker: "0" } }] }]);
});

test("labels without end are bounded", () => {
  const many = new Counter("many", ["id"]);
  for (let i = 0; i < 12_000; i++) many.with(String(i)).increase();
  const samples = scriptFigures().find(({ name }) => name === "many")?.samples ?? [];
  expect(samples.length).toBeLessThan(10_100);
  expect(samples.find(({ labels }) => labels["id"] === "(others)")?.value).toBeGreaterThan(1_900);
});
