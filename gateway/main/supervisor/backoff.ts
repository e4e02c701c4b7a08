/** How long to wait before a child is started again. Pure: the caller keeps the clock. */

/** A child that lived this long has recovered: the next death counts as the first. */
const HEALTHY_MS = 10_000;
const FIRST_MS = 100;
const MOST_MS = 10_000;

export class Backoff {
  #deaths = 0;

  /** Milliseconds until the restart of a child that lived `livedMs`: 0 at first, then 100, 200, … up to 10 000. */
  next(livedMs: number): number {
    if (livedMs >= HEALTHY_MS) this.#deaths = 0;
    const wait = this.#deaths === 0 ? 0 : Math.min(FIRST_MS * 2 ** (this.#deaths - 1), MOST_MS);
    this.#deaths++;
    return wait;
  }
}
