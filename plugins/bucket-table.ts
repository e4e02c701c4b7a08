/**
 * Memory for token buckets that all workers of a gateway share, whatever the limits: one table, words changed by atomic
 * operations only. A place is known by 32 bits of a hash (0: free); a set is eight places.
 *
 *     word 0 1 2 3   seeds of the hashes, the same for everybody who maps the table
 *     tags           one a place: who has it
 *     times          one a place: when the bucket will be full again, in units of its own limit
 *     uses           one a place: the millisecond of its last use, modulo 2³¹, which says who makes room
 */
import { assert } from "#core/assert.ts";

export const WAYS = 8;
const HEADER_WORDS = 4;
const WORDS_PER_PLACE = 3;

/** Bytes of a table with `places` (a power of two, at least WAYS). */
export function bucketTableBytes(places: number): number {
  return 4 * (HEADER_WORDS + WORDS_PER_PLACE * places);
}

export class BucketTable {
  readonly seedA: number;
  readonly seedB: number;
  readonly sets: number;
  readonly tags: Int32Array;
  readonly times: Int32Array;
  readonly uses: Int32Array;

  /** `words`: of `bucketTableBytes`, its seeds set (`seedBuckets`). They stay the caller's. */
  constructor(words: Int32Array) {
    const places = (words.length - HEADER_WORDS) / WORDS_PER_PLACE;
    assert(Number.isInteger(Math.log2(places)) && places >= WAYS, "places are a power of two");
    this.seedA = words[0] as number;
    this.seedB = words[1] as number;
    this.sets = places / WAYS;
    this.tags = words.subarray(HEADER_WORDS, HEADER_WORDS + places);
    this.times = words.subarray(HEADER_WORDS + places, HEADER_WORDS + 2 * places);
    this.uses = words.subarray(HEADER_WORDS + 2 * places);
  }
}

/** Once, by whoever makes the memory. */
export function seedBuckets(words: Int32Array<ArrayBuffer>): void {
  crypto.getRandomValues(words.subarray(0, HEADER_WORDS));
}

/** A table of one process alone. */
export function ownBucketTable(places: number): BucketTable {
  const words = new Int32Array(bucketTableBytes(places) / 4);
  seedBuckets(words);
  return new BucketTable(words);
}
