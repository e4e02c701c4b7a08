/**
 * Stops running a plugin that keeps faulting, so that it costs its route's answer and nothing else.
 *
 *     closed ──5 faults in 10 s──▶ open (1 s, then 2, 4, … 60 s) ──time──▶ trial ──a fault──▶ open, longer
 *        ▲                                                               │
 *        └────────────────────── 10 s without a fault ◀──────────────────┘
 */
export const BREAKER_FAULTS = 5;
export const BREAKER_WINDOW_MS = 10_000;
export const BREAKER_OPEN_MS = 1_000;
export const BREAKER_OPEN_MS_MAX = 60_000;

export class Breaker {
  #faults = 0;
  #windowStartMs = 0;
  #lastFaultMs = 0;
  #openMs = BREAKER_OPEN_MS;
  #openUntilMs = 0;

  /** The guest may not run now. */
  isOpen(nowMs: number): boolean {
    return nowMs < this.#openUntilMs;
  }

  /** True when this fault opened it. */
  record(nowMs: number): boolean {
    const onTrial = this.#openUntilMs > 0 && nowMs - this.#lastFaultMs < this.#openMs + BREAKER_WINDOW_MS;
    this.#lastFaultMs = nowMs;
    if (onTrial) return this.#open(nowMs);
    if (this.#openUntilMs > 0 || nowMs - this.#windowStartMs > BREAKER_WINDOW_MS) {
      this.#faults = 0;
      this.#windowStartMs = nowMs;
      this.#openUntilMs = 0;
      this.#openMs = BREAKER_OPEN_MS;
    }
    this.#faults++;
    return this.#faults >= BREAKER_FAULTS && this.#open(nowMs);
  }

  #open(nowMs: number): true {
    this.#openUntilMs = nowMs + this.#openMs;
    this.#openMs = Math.min(this.#openMs * 2, BREAKER_OPEN_MS_MAX);
    return true;
  }
}
