/**
 * A log-linear histogram of durations, as slots of an array: each doubling of time is cut into four equal parts, so that a
 * bucket is at most a quarter of its value wide, from a quarter of a millisecond to a minute. Counting is a few
 * integer operations and an addition.
 *
 *     bucket    0        1      2      3      4      5      …                72           73
 *     µs      [0,256) [256,320) …                  [512,640) …          … 2^26)    [2^26, ∞)
 */

/** 2^8 µs: what is shorter is within one turn of the loop, which is the clock. */
const FIRST_BIT = 8;
const LAST_BIT = 26;
const PARTS_BITS = 2;
const PARTS = 1 << PARTS_BITS;

export const BUCKETS = (LAST_BIT - FIRST_BIT) * PARTS + 2;

/** Of a duration in milliseconds, which may be a fraction. */
export function bucketOf(ms: number): number {
  const us = Math.min(ms * 1000, 0x7fffffff) | 0;
  if (us < 1 << FIRST_BIT) return 0;
  const bit = 31 - Math.clz32(us);
  if (bit >= LAST_BIT) return BUCKETS - 1;
  return 1 + ((bit - FIRST_BIT) << PARTS_BITS) + ((us >>> (bit - PARTS_BITS)) & (PARTS - 1));
}

/** In seconds: everything in the bucket is shorter. */
export function upperBoundOf(bucket: number): number {
  if (bucket >= BUCKETS - 1) return Infinity;
  if (bucket === 0) return 2 ** FIRST_BIT / 1e6;
  const octave = FIRST_BIT + ((bucket - 1) >> PARTS_BITS);
  const part = ((bucket - 1) & (PARTS - 1)) + 1;
  return (2 ** octave * (1 + part / PARTS)) / 1e6;
}

/** Buckets whose upper bounds are whole octaves: what is shown of a histogram to who scrapes it. */
export const SHOWN_BUCKETS: readonly number[] = Array.from(
  { length: LAST_BIT - FIRST_BIT + 1 },
  (_, octave) => octave * PARTS,
);

/** The duration in seconds that `part` (0 to 1) of the counts are below, to the width of a bucket; 0 without counts. */
export function quantileOf(counts: ArrayLike<number>, part: number): number {
  let all = 0;
  for (let i = 0; i < counts.length; i++) all += counts[i] ?? 0;
  let left = all * part;
  if (all === 0) return 0;
  for (let i = 0; i < counts.length; i++) {
    left -= counts[i] ?? 0;
    if (left <= 0) return upperBoundOf(Math.min(i, BUCKETS - 2));
  }
  return upperBoundOf(BUCKETS - 2);
}
