/**
 * The token buckets of one limit, in a table that all workers share. A bucket is one word, the time at which it will be full
 * again (as the generic cell rate algorithm has it): taking a token moves that time on by one token's worth, unless it would
 * then be further away than a whole bucket takes to fill. So a token is one compare-and-swap, and no lock is ever held.
 *
 *     now            full again                   now + burst
 *      │── tokens gone ──│────── tokens left ──────────│
 *
 * Times are counted in units, a millisecond or a part of a token, modulo 2³²: a bucket that nobody touched for half of that
 * (days, at a hundred a second) may be read as one that is partly empty, for as long as a bucket takes to fill.
 *
 * Each limit uses a part of the table that its `keysMax` gives it, and each key one set of eight places in that part; where all
 * are taken the one used longest ago makes room. A forgotten key has a full bucket again, so a table too small for its
 * keys lets more pass, never less. Nothing is allocated after the constructor.
 */
import { WAYS, type BucketTable } from "./bucket-table.ts";

/** A part of a token that is small enough for the fastest limit. */
const TOKEN_UNITS_MIN = 64;
/** A whole bucket, at most: far below the half of 2³² by which past and future are told apart. */
const FULL_UNITS_MAX = 2 ** 26;
/** Workers that take from the same bucket at the same moment: after so many the token is given, not fought for. */
const TRIES_MAX = 16;
const FREE = 0;

export class Buckets {
  readonly #table: BucketTable;
  readonly #unitsPerMs: number;
  readonly #tokenUnits: number;
  /** What a full bucket is worth. */
  readonly #fullUnits: number;
  readonly #setMask: number;
  /** Where this limit's part of the table begins. */
  readonly #firstSet: number;
  readonly #seedA: number;
  readonly #seedB: number;
  #a = 0;
  #b = 0;

  /**
   * `identity`: of the limit, with all that it means: two with the same share their buckets, in this process and in the others.
   * `keysMax` is rounded up to a power of two, and the table may be smaller.
   */
  constructor(table: BucketTable, identity: string, perSecond: number, burst: number, keysMax: number) {
    this.#table = table;
    const fine = Math.min(Math.ceil(1000 / perSecond), Math.floor(FULL_UNITS_MAX / burst));
    this.#tokenUnits = Math.max(TOKEN_UNITS_MIN, fine);
    this.#unitsPerMs = (perSecond * this.#tokenUnits) / 1000;
    this.#fullUnits = burst * this.#tokenUnits;
    this.#setMask = Math.min(table.sets, 2 ** Math.max(0, Math.ceil(Math.log2(keysMax / WAYS)))) - 1;
    this.#seedA = table.seedA;
    this.#seedB = table.seedB;
    const text = Buffer.from(identity);
    this.#hash(text, 0, text.length);
    this.#firstSet = (this.#a >>> 0) % table.sets;
    this.#seedA = this.#a;
    this.#seedB = this.#b;
  }

  /** Takes a token of the key at [start, end): 0, or the milliseconds until there will be one. `nowMs`: of a clock that all share. */
  take(memory: Uint8Array, start: number, end: number, nowMs: number): number {
    this.#hash(memory, start, end);
    const { times } = this.#table;
    const token = this.#tokenUnits;
    const now = Math.floor((nowMs * this.#unitsPerMs) % 0x1_0000_0000) | 0;
    const place = this.#place(now, (nowMs % 0x8000_0000) | 0);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const full = Atomics.load(times, place);
      const gone = (full - now) | 0;
      const spent = gone < 0 || gone > this.#fullUnits ? 0 : gone;
      const over = spent + token - this.#fullUnits;
      if (over > 0) return over / this.#unitsPerMs;
      if (Atomics.compareExchange(times, place, full, (now + spent + token) | 0) === full) return 0;
    }
    return 0;
  }

  /** The place of the key that was hashed last; one that makes room for it where it has none. */
  #place(now: number, useMs: number): number {
    const { tags, times, uses, sets } = this.#table;
    const tag = this.#b === 0 ? 1 : this.#b;
    const from = ((this.#firstSet + (this.#a & this.#setMask)) % sets) * WAYS;
    let oldest = from;
    let oldestMs = -1;
    for (let place = from; place < from + WAYS; place++) {
      const found = Atomics.load(tags, place);
      if (found === tag) {
        uses[place] = useMs;
        return place;
      }
      const ageMs = found === FREE ? Number.MAX_SAFE_INTEGER : (useMs - (uses[place] as number)) & 0x7fff_ffff;
      if (ageMs <= oldestMs) continue;
      oldest = place;
      oldestMs = ageMs;
    }
    // Another worker may do the same for another key: one of the two then shares the bucket of the other for a moment.
    Atomics.store(times, oldest, now);
    Atomics.store(tags, oldest, tag);
    uses[oldest] = useMs;
    return oldest;
  }

  /** Two hashes by multiplication and rotation, mixed at the end as MurmurHash3 does. */
  #hash(memory: Uint8Array, start: number, end: number): void {
    let a = this.#seedA ^ (end - start);
    let b = this.#seedB;
    for (let i = start; i < end; i++) {
      const octet = memory[i] as number;
      a = Math.imul(a ^ octet, 0x9e3779b1);
      a = (a << 13) | (a >>> 19);
      b = Math.imul(b + octet, 0x85ebca6b) ^ (b >>> 15);
    }
    this.#a = mixed(a ^ (b >>> 3));
    this.#b = mixed(b);
  }
}

function mixed(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
