/** A token bucket over log lines, so that a plugin can't fill the disk or take the log from others. */

/** Lines at once; a line comes back every 1000 / LINES_PER_SECOND ms. */
const LINES_BURST = 50;
const LINES_PER_SECOND = 20;

export class LogBudget {
  #lines = LINES_BURST;
  #atMs = 0;
  /** Lines that were not written. */
  dropped = 0;

  take(nowMs: number): boolean {
    if (this.#atMs > 0 && nowMs > this.#atMs) {
      this.#lines = Math.min(LINES_BURST, this.#lines + ((nowMs - this.#atMs) * LINES_PER_SECOND) / 1000);
    }
    this.#atMs = nowMs;
    if (this.#lines < 1) {
      this.dropped++;
      return false;
    }
    this.#lines--;
    return true;
  }
}
