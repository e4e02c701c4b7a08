/** Figures of scripts (`Counter`, `Gauge`, `Histogram`), by worker, as families of metrics: `new Counter("hits")` is `penstock_script_hits`. */
import type { MetricFamily, MetricSample } from "#control/gateway-status.ts";
import type { FigureReading } from "#worker/script/protocol.ts";

export interface WorkerFigures {
  readonly slot: number;
  readonly figures: readonly FigureReading[];
}

export function figureFamilies(readings: readonly WorkerFigures[]): MetricFamily[] {
  const families = new Map<string, MetricFamily & { readonly samples: MetricSample[] }>();
  for (const { slot, figures } of readings) {
    for (const { name, kind, samples } of figures) {
      const help = `${name.replaceAll("_", " ")}, of the script`;
      const family = families.get(name) ?? { name: `penstock_script_${name}`, type: kind, help, samples: [] };
      families.set(name, family);
      // While a script is replaced, workers may know one name as different things.
      if (family.type !== kind) continue;
      for (const one of samples) family.samples.push({ ...one, labels: { ...one.labels, worker: String(slot) } });
    }
  }
  return [...families.values()];
}
