/** Two readings of the gateway's metrics, and what happened between them. */
import type { MetricFamily } from "#control/gateway-status.ts";

export interface Readings {
  readonly atMs: number;
  readonly families: readonly MetricFamily[];
}

type Labels = Readonly<Record<string, string>>;

export class Between {
  readonly seconds: number;
  readonly #before: ReadonlyMap<string, number>;
  readonly #now: Readings;

  constructor(before: Readings, now: Readings) {
    this.seconds = Math.max((now.atMs - before.atMs) / 1000, 0.001);
    this.#before = new Map(before.families.flatMap(seriesOf));
    this.#now = now;
  }

  /** Names of the counters that there are. */
  counters(pattern: RegExp): string[] {
    const names = this.#now.families.filter(({ type }) => type === "counter").map(({ name }) => shortName(name));
    return names.filter((name) => pattern.test(name));
  }

  /** Of a family, what was added to each series; a counter that began anew counts from 0. */
  increases(name: string, suffix = ""): { readonly labels: Labels; readonly increase: number }[] {
    return this.#samples(name, suffix).map(({ labels, value }) => {
      const before = this.#before.get(keyOf(name, suffix, labels)) ?? 0;
      return { labels, increase: value >= before ? value - before : value };
    });
  }

  /** The sum of what was added to those series that have all these labels. */
  increase(name: string, wanted: Labels = {}, suffix = ""): number {
    const fitting = this.increases(name, suffix).filter(({ labels }) => has(labels, wanted));
    return fitting.reduce((sum, one) => sum + one.increase, 0);
  }

  /** The sum of a gauge's series. */
  value(name: string): number {
    return this.#samples(name, "").reduce((sum, { value }) => sum + value, 0);
  }

  /** The duration in seconds that `part` of what was added to a histogram is below; null: nothing was. */
  quantile(name: string, wanted: Labels, part: number): number | null {
    const buckets = this.increases(name, "_bucket")
      .filter(({ labels }) => has(labels, wanted))
      .map(({ labels, increase }) => ({ le: Number((labels["le"] ?? "").replace("Inf", "Infinity")), increase }))
      .toSorted((a, b) => a.le - b.le);
    const all = buckets.at(-1)?.increase ?? 0;
    if (all === 0) return null;
    let [lower, below] = [0, 0];
    for (const { le, increase } of buckets) {
      if (increase >= all * part) {
        if (!Number.isFinite(le)) return lower;
        // Evenly within the bucket, as nothing better is known.
        return lower + (le - lower) * ((all * part - below) / Math.max(increase - below, 1));
      }
      [lower, below] = [le, increase];
    }
    return lower;
  }

  #samples(name: string, suffix: string): { readonly labels: Labels; readonly value: number }[] {
    const family = this.#now.families.find((one) => one.name === `penstock_${name}`);
    return (family?.samples ?? []).filter((one) => (one.suffix ?? "") === suffix);
  }
}

function seriesOf({ name, samples }: MetricFamily): [string, number][] {
  return samples.map(({ suffix = "", labels, value }) => [keyOf(shortName(name), suffix, labels), value]);
}

function shortName(name: string): string {
  return name.replace(/^penstock_/, "");
}

function keyOf(name: string, suffix: string, labels: Labels): string {
  return `${name}${suffix} ${JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
}

function has(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
