/**
 * Figures of a script's own, in the gateway's metrics: `new Counter("hits", ["path"])` is `penstock_script_hits_total{path=…}` in
 * `/metrics`, of each worker; a gauge is `penstock_script_NAME`, a histogram has `_bucket`, `_count` and `_sum`.
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
  readonly labels: Readonly<Record<string, string>>;
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
  const labels = Object.fromEntries(of.names.map((name, i) => [name, values[i] ?? ""]));
  const series: Series = { labels, value: 0, buckets: of.bounds.map(() => 0).concat(0) };
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

/** How values are spread: `bounds` are upper ends, in order; what is above the last is counted, too. */
export class Histogram extends Labelled<HistogramSeries> {
  /** Throws PENSTOCK_LIBRARY_STATS. */
  constructor(name: string, bounds: readonly number[], labels: readonly string[] = []) {
    if (!bounds.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > (bounds[i - 1] ?? 0))))
      throw libraryError("PENSTOCK_LIBRARY_STATS", { detail: `${name}: bounds ${bounds.join(", ")}` });
    super(figure(name, "histogram", labels, bounds));
  }

  observe(value: number): void {
    this.with().observe(value);
  }

  protected override single(series: Series): HistogramSeries {
    return new HistogramSeries(series, this.figure.bounds);
  }
}

/** One figure as it stands now, with a sample for each of its series; a histogram's have suffixes, and its buckets are cumulative. */
export interface FigureReading {
  readonly name: string;
  readonly kind: Kind;
  readonly samples: readonly FigureSample[];
}

export interface FigureSample {
  /** Of a histogram's: `_bucket`, `_count`, `_sum`. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All figures of this worker. */
export function scriptFigures(): FigureReading[] {
  return Array.from(figures, ([name, { kind, bounds, series }]) => ({
    name,
    kind,
    samples: Array.from(series.values()).flatMap((one) =>
      kind === "histogram" ? spread(one, bounds) : [{ labels: one.labels, value: one.value }],
    ),
  }));
}

function spread({ labels, value, buckets }: Series, bounds: readonly number[]): FigureSample[] {
  const count = buckets[bounds.length] ?? 0;
  const all = [...bounds, Number.POSITIVE_INFINITY].map((bound, i) => ({
    suffix: "_bucket",
    labels: { ...labels, le: bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound) },
    value: buckets[i] ?? 0,
  }));
  return [...all, { suffix: "_count", labels, value: count }, { suffix: "_sum", labels, value }];
}
