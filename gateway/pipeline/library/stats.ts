/**
 * Figures of a script's own, in the gateway's metrics: `new Counter("hits", ["path"])` is `penstock_script_hits_total{path=…}` in
 * `/metrics`, of each worker.
 *
 *     const hits = new Counter("hits", ["path"])
 *     hits.with("/orders").increase()
 *
 * A name means the same figure all through a worker's life: a script that is loaded anew goes on counting. Series are bounded;
 * what comes beyond is counted together, under `(others)`.
 */
import { libraryError } from "#core/errors/library.ts";

const SERIES_MAX = 10_000;
const OTHERS = "(others)";
const NAME = /^[a-z][a-z0-9_]*$/;

type Kind = "counter" | "gauge" | "histogram";

interface Series {
  readonly labels: string;
  value: number;
  /** Of histograms: how many were at most each bound; then all of them. */
  readonly buckets: number[];
}

interface Figure {
  readonly kind: Kind;
  readonly names: readonly string[];
  readonly bounds: readonly number[];
  readonly series: Map<string, Series>;
}

const figures = new Map<string, Figure>();
let seriesCount = 0;

function figure(name: string, kind: Kind, names: readonly string[], bounds: readonly number[] = []): Figure {
  if (!NAME.test(name) || !names.every((one) => NAME.test(one)))
    throw libraryError("PENSTOCK_LIBRARY_STATS", { detail: `${name} {${names.join()}}` });
  const known = figures.get(name);
  if (
    known !== undefined &&
    known.kind === kind &&
    known.names.join() === names.join() &&
    known.bounds.join() === bounds.join()
  )
    return known;
  seriesCount -= known?.series.size ?? 0;
  const made: Figure = { kind, names, bounds, series: new Map() };
  figures.set(name, made);
  return made;
}

function seriesOf(of: Figure, values: readonly string[]): Series {
  const key = values.join("\0");
  const known = of.series.get(key);
  if (known !== undefined) return known;
  const others = of.names.map(() => OTHERS);
  if (seriesCount >= SERIES_MAX && key !== others.join("\0")) return seriesOf(of, others);
  const pairs = of.names.map((name, i) => `${name}="${(values[i] ?? "").replaceAll('"', "'")}"`);
  const series: Series = { labels: pairs.join(), value: 0, buckets: of.bounds.map(() => 0).concat(0) };
  of.series.set(key, series);
  seriesCount++;
  return series;
}

abstract class Labelled<Single> {
  protected readonly figure: Figure;

  protected constructor(of: Figure) {
    this.figure = of;
  }

  /** One value for each of the figure's labels. */
  with(...values: readonly string[]): Single {
    return this.single(seriesOf(this.figure, values));
  }

  protected abstract single(series: Series): Single;
}

class CounterSeries {
  readonly #series: Series;

  constructor(series: Series) {
    this.#series = series;
  }

  /** By what is not below 0. */
  increase(by = 1): void {
    if (by > 0) this.#series.value += by;
  }

  get value(): number {
    return this.#series.value;
  }
}

/** Only grows. */
export class Counter extends Labelled<CounterSeries> {
  constructor(name: string, labels: readonly string[] = []) {
    super(figure(name, "counter", labels));
  }

  increase(by = 1): void {
    this.with().increase(by);
  }

  protected override single(series: Series): CounterSeries {
    return new CounterSeries(series);
  }
}

class GaugeSeries {
  readonly #series: Series;

  constructor(series: Series) {
    this.#series = series;
  }

  set(value: number): void {
    this.#series.value = value;
  }

  increase(by = 1): void {
    this.#series.value += by;
  }

  decrease(by = 1): void {
    this.#series.value -= by;
  }

  get value(): number {
    return this.#series.value;
  }
}

/** Goes up and down. */
export class Gauge extends Labelled<GaugeSeries> {
  constructor(name: string, labels: readonly string[] = []) {
    super(figure(name, "gauge", labels));
  }

  set(value: number): void {
    this.with().set(value);
  }

  protected override single(series: Series): GaugeSeries {
    return new GaugeSeries(series);
  }
}

class HistogramSeries {
  readonly #series: Series;
  readonly #bounds: readonly number[];

  constructor(series: Series, bounds: readonly number[]) {
    this.#series = series;
    this.#bounds = bounds;
  }

  observe(value: number): void {
    const { buckets } = this.#series;
    this.#series.value += value;
    for (let i = 0; i < this.#bounds.length; i++)
      if (value <= (this.#bounds[i] as number)) buckets[i] = (buckets[i] ?? 0) + 1;
    buckets[this.#bounds.length] = (buckets[this.#bounds.length] ?? 0) + 1;
  }
}

/** How values are spread: `bounds` are upper ends, in order. */
export class Histogram extends Labelled<HistogramSeries> {
  constructor(name: string, bounds: readonly number[], labels: readonly string[] = []) {
    super(figure(name, "histogram", labels, bounds));
  }

  observe(value: number): void {
    this.with().observe(value);
  }

  protected override single(series: Series): HistogramSeries {
    return new HistogramSeries(series, this.figure.bounds);
  }
}

/** All figures as a worker's counters have them: `script_hits{path="/orders"}`. */
export function scriptFigures(): Record<string, number> {
  const read: Record<string, number> = {};
  for (const [name, { kind, bounds, series }] of figures) {
    for (const { labels, value, buckets } of series.values()) {
      const braced = labels === "" ? "" : `{${labels}}`;
      if (kind === "counter") read[`script_${name}${braced}`] = value;
      else if (kind === "gauge") read[`script_gauge_${name}${braced}`] = value;
      else {
        read[`script_${name}_sum${braced}`] = value;
        read[`script_${name}_count${braced}`] = buckets.at(-1) ?? 0;
        for (const [i, bound] of bounds.entries())
          read[`script_${name}_bucket{${labels === "" ? "" : `${labels},`}le="${bound}"}`] = buckets[i] ?? 0;
      }
    }
  }
  return read;
}
