/**
 * How many client connections all workers hold, in memory that they share: a block for each worker, which it alone writes.
 *
 *     total          connections of this worker
 *     2 rows         connections by client, at a place in each row that a hash of the address gives
 *
 * A client's sum over the workers is the smaller of what its two places say: never too few, and too many only when others'
 * places coincide with both. Whoever notices that a worker has died clears its block.
 */
import { assert } from "#core/assert.ts";

const ROW_PLACES = 1 << 14;
const ROWS = 2;
/** The total has a cache line of its own. */
const TOTAL_WORDS = 16;
const BLOCK_WORDS = TOTAL_WORDS + ROWS * ROW_PLACES;

export function connectionCountsBytes(workers: number): number {
  return 4 * BLOCK_WORDS * workers;
}

export class ConnectionCounts {
  readonly #words: Int32Array;
  readonly #workers: number;
  /** Of this worker's block. */
  readonly #own: number;
  readonly #seed: number;
  #first = 0;
  #second = 0;

  /** `words`: of `connectionCountsBytes(workers)`; `seed`: the same for all. */
  constructor(words: Int32Array, workers: number, worker: number, seed: number) {
    assert(words.length === BLOCK_WORDS * workers && worker < workers, "a block for each worker");
    this.#words = words;
    this.#workers = workers;
    this.#own = worker * BLOCK_WORDS;
    this.#seed = seed;
  }

  /** Of all workers. */
  get total(): number {
    return this.#sum(0);
  }

  /** Of one client at all workers but this one, whose own count is exact. */
  elsewhere(client: string): number {
    this.#hash(client);
    return Math.min(this.#others(this.#first), this.#others(this.#second));
  }

  /** One more of this worker, or one less. */
  count(client: string, change: 1 | -1): void {
    this.#hash(client);
    this.#add(0, change);
    this.#add(this.#first, change);
    this.#add(this.#second, change);
  }

  /** The worker of that number is no more. */
  clear(worker: number): void {
    this.#words.fill(0, worker * BLOCK_WORDS, (worker + 1) * BLOCK_WORDS);
  }

  #others(at: number): number {
    return this.#sum(at) - (this.#words[this.#own + at] as number);
  }

  #sum(at: number): number {
    let sum = 0;
    for (let i = 0; i < this.#workers; i++) sum += Atomics.load(this.#words, i * BLOCK_WORDS + at);
    return sum;
  }

  #add(at: number, change: number): void {
    const place = this.#own + at;
    Atomics.store(this.#words, place, (this.#words[place] as number) + change);
  }

  #hash(client: string): void {
    let a = this.#seed;
    let b = ~this.#seed;
    for (let i = 0; i < client.length; i++) {
      const unit = client.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x9e3779b1);
      a ^= a >>> 15;
      b = Math.imul(b + unit, 0x85ebca6b);
      b ^= b >>> 13;
    }
    this.#first = TOTAL_WORDS + (a & (ROW_PLACES - 1));
    this.#second = TOTAL_WORDS + ROW_PLACES + (b & (ROW_PLACES - 1));
  }
}

/** Counts of a worker that is alone. */
export function ownConnectionCounts(): ConnectionCounts {
  return new ConnectionCounts(new Int32Array(BLOCK_WORDS), 1, 0, 0);
}
