/** So many a second, and as many at once as a burst allows. Takes may go below zero: what they cost is known only afterwards. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs = Number.NaN;

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Whether anything is left. `nowMs`: of any clock that goes forward. */
  has(nowMs: number): boolean {
    if (nowMs > this.#atMs) this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    return this.#tokens > 0;
  }

  take(count: number): void {
    this.#tokens -= count;
  }
}
