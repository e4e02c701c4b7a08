/**
 * The series that a tenant's plugins define. They are this worker's; `/metrics` shows each worker's by itself, as it does with
 * every counter. A series is never taken back while its tenant is there: a counter that begins anew tells nothing.
 */
import type { MetricKind, MetricSeries } from "#pipeline/tenant.ts";

const NAME = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
/** Upper bounds of a histogram's buckets: 1, 2, 4, … 65536, and what is above. Milliseconds and bytes both fit. */
export const HISTOGRAM_BOUNDS: readonly number[] = Array.from({ length: 17 }, (_, power) => 2 ** power);

interface Series {
  readonly plugin: string;
  readonly kind: MetricKind;
  readonly name: string;
  /** Of a histogram: the sum of what was observed. */
  value: number;
  /** Of a histogram: how many were at most each bound, and all. */
  readonly buckets: Float64Array;
}

export class TenantMetrics implements MetricSeries {
  readonly #seriesMax: () => number;
  readonly #series: Series[] = [];
  readonly #handles = new Map<string, number>();
  /** Definitions that found no room. */
  refused = 0;

  /** `seriesMax` is asked each time: it may change with the snapshot. */
  constructor(seriesMax: () => number) {
    this.#seriesMax = seriesMax;
  }

  get size(): number {
    return this.#series.length;
  }

  define(plugin: string, kind: MetricKind, name: string): number {
    const key = `${plugin} ${name}`;
    const known = this.#handles.get(key);
    if (known !== undefined) return this.#series[known]?.kind === kind ? known : -1;
    if (!NAME.test(name)) return -1;
    if (this.#series.length >= this.#seriesMax()) {
      this.refused++;
      return -1;
    }
    const buckets = new Float64Array(kind === "histogram" ? HISTOGRAM_BOUNDS.length + 1 : 0);
    this.#handles.set(key, this.#series.length);
    this.#series.push({ plugin, kind, name, value: 0, buckets });
    return this.#series.length - 1;
  }

  add(handle: number, delta: number): boolean {
    const series = this.#series[handle];
    if (series === undefined || series.kind === "histogram" || !Number.isFinite(delta)) return false;
    if (series.kind === "counter" && delta < 0) return false;
    series.value += delta;
    return true;
  }

  record(handle: number, value: number): boolean {
    const series = this.#series[handle];
    if (series === undefined || !Number.isFinite(value)) return false;
    if (series.kind === "histogram") {
      observe(series, value);
      return true;
    }
    if (series.kind === "counter" && value < series.value) return false;
    series.value = value;
    return true;
  }

  value(handle: number): number {
    const series = this.#series[handle];
    if (series === undefined) return Number.NaN;
    return series.kind === "histogram" ? (series.buckets.at(-1) as number) : series.value;
  }

  /** As counters of the worker: `plugin_counter{tenant="acme",plugin="greeter",name="hits"}`. */
  read(tenant: string, into: Record<string, number>): void {
    for (const { plugin, kind, name, value, buckets } of this.#series) {
      const labels = `tenant="${tenant}",plugin="${plugin}",name="${name}"`;
      if (kind !== "histogram") {
        into[`plugin_${kind}{${labels}}`] = value;
        continue;
      }
      HISTOGRAM_BOUNDS.forEach((bound, at) => {
        into[`plugin_histogram_bucket{${labels},le="${bound}"}`] = buckets[at] as number;
      });
      into[`plugin_histogram_bucket{${labels},le="+Inf"}`] = buckets.at(-1) as number;
      into[`plugin_histogram_count{${labels}}`] = buckets.at(-1) as number;
      into[`plugin_histogram_sum{${labels}}`] = value;
    }
  }
}

function observe(series: Series, value: number): void {
  const { buckets } = series;
  for (let at = 0; at < buckets.length; at++) {
    if (at === HISTOGRAM_BOUNDS.length || value <= (HISTOGRAM_BOUNDS[at] as number)) {
      buckets[at] = (buckets[at] as number) + 1;
    }
  }
  series.value += value;
}
