/**
 * Token buckets by key, in memory of a fixed size. A key is known by 64 bits of a hash with a seed of its own process; it
 * has one of eight places in one set, and where all are taken the one that was used longest ago makes room:
 *
 *     set 0 [ 8 places ] set 1 [ 8 places ] …      place = fingerprint (2 words), tokens, time of the last use
 *
 * Forgetting a key gives it a full bucket again, so a table too small for its keys lets more pass, never less. Nothing
 * is allocated after the constructor, 24 bytes a key; a page of them costs memory once it was used.
 */
const WAYS = 8;
const seeds = crypto.getRandomValues(new Uint32Array(2));
const SEED_A = (seeds[0] as number) | 0;
const SEED_B = (seeds[1] as number) | 0;

export class Buckets {
  readonly #perMs: number;
  readonly #burst: number;
  readonly #setMask: number;
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #tokens: Float64Array;
  /** 0: never used. */
  readonly #usedMs: Float64Array;
  #a = 0;
  #b = 0;

  /** `keysMax` is rounded up to a power of two. */
  constructor(perSecond: number, burst: number, keysMax: number) {
    const sets = 2 ** Math.max(0, Math.ceil(Math.log2(keysMax / WAYS)));
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#setMask = sets - 1;
    this.#first = new Int32Array(sets * WAYS);
    this.#second = new Int32Array(sets * WAYS);
    this.#tokens = new Float64Array(sets * WAYS);
    this.#usedMs = new Float64Array(sets * WAYS);
  }

  /** Takes a token of the key at [start, end): 0, or the milliseconds until there will be one. `nowMs` is above 0. */
  take(memory: Uint8Array, start: number, end: number, nowMs: number): number {
    this.#hash(memory, start, end);
    const place = this.#place(nowMs);
    const refilled = (this.#tokens[place] as number) + (nowMs - (this.#usedMs[place] as number)) * this.#perMs;
    const tokens = Math.min(this.#burst, refilled);
    this.#usedMs[place] = nowMs;
    if (tokens >= 1) {
      this.#tokens[place] = tokens - 1;
      return 0;
    }
    this.#tokens[place] = tokens;
    return (1 - tokens) / this.#perMs;
  }

  #place(nowMs: number): number {
    const a = this.#a;
    const b = this.#b;
    const from = (a & this.#setMask) * WAYS;
    let oldest = from;
    for (let place = from; place < from + WAYS; place++) {
      const usedMs = this.#usedMs[place] as number;
      if (usedMs > 0 && this.#first[place] === a && this.#second[place] === b) return place;
      if (usedMs < (this.#usedMs[oldest] as number)) oldest = place;
    }
    this.#first[oldest] = a;
    this.#second[oldest] = b;
    this.#tokens[oldest] = this.#burst;
    this.#usedMs[oldest] = nowMs;
    return oldest;
  }

  /** Two hashes by multiplication and rotation, mixed at the end as MurmurHash3 does. */
  #hash(memory: Uint8Array, start: number, end: number): void {
    let a = SEED_A ^ (end - start);
    let b = SEED_B;
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
