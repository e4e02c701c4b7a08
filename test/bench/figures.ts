/** What a bench answers with. */

export interface Figure {
  readonly bench: string;
  /** With its unit at the end: `cpu_us_per_request`. */
  readonly figure: string;
  readonly ours: number;
  /** `nginx 1.22.1`; null where the bound is on our figure alone. */
  readonly peer: string | null;
  readonly theirs: number | null;
  /** ours / theirs */
  readonly ratio: number | null;
  /** The ratio must not be above it; without a peer, our figure. Null: told for information. */
  readonly bound: number | null;
  /** False when the bound is missed; judged before rounding. */
  readonly ok: boolean;
}

/** The middle value; the mean of the two middle ones of an even number. Throws on an empty list: there is no figure. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("no median of nothing");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Three digits below 100, whole numbers from there on: what is behind that is noise. */
export function round(value: number): number {
  return Math.abs(value) < 100 ? Number(value.toPrecision(3)) : Math.round(value);
}

/** Our figure beside a peer's, with a bound on the ratio. */
export function comparison(
  bench: string,
  figure: string,
  ours: number,
  peer: string,
  theirs: number,
  bound: number | null,
): Figure {
  const ratio = ours / theirs;
  const ok = bound === null || ratio <= bound;
  return {
    bench,
    figure,
    ours: round(ours),
    peer,
    theirs: round(theirs),
    ratio: Number.isFinite(ratio) ? round(ratio) : null,
    bound,
    ok,
  };
}

/** Our figure alone, with a bound on itself. */
export function absolute(bench: string, figure: string, ours: number, bound: number | null): Figure {
  const ok = bound === null || ours <= bound;
  return { bench, figure, ours: round(ours), peer: null, theirs: null, ratio: null, bound, ok };
}
