/**
 * What is tried again, and how much of it. The budget bounds retries as a part of the requests: when everything fails,
 * everything would be tried again, and an upstream that is down gets several times its load when it can bear it least.
 *
 * A request adds its part to the budget, a retry takes one from it; beside that it fills by one a second, so that an
 * upstream with few requests has retries at all.
 */
import type { RetrySpec } from "#snapshot/snapshot.ts";
import { BROKEN_CLOSED, BROKEN_RESET, BROKEN_TIMEOUT, type Broken } from "./broken.ts";

/** What can be saved up: a burst of failures gets at most so many retries beyond the part. */
const SAVED_MAX = 10;
const FLOOR_PER_SECOND = 1;

export class RetryPolicy {
  readonly spec: RetrySpec;
  readonly #statuses: ReadonlySet<number>;
  #tokens = SAVED_MAX;
  #filledMs = 0;
  /** Retries that the budget refused. */
  refused = 0;

  constructor(spec: RetrySpec) {
    this.spec = spec;
    this.#statuses = new Set(spec.onStatus);
  }

  /** A first attempt is made. */
  request(): void {
    this.#tokens = Math.min(SAVED_MAX, this.#tokens + this.spec.budgetPercent / 100);
  }

  wantsStatus(status: number): boolean {
    return this.#statuses.has(status);
  }

  wantsBroken(reason: Broken): boolean {
    if (reason === BROKEN_TIMEOUT) return this.spec.onTimeout;
    return (reason === BROKEN_CLOSED || reason === BROKEN_RESET) && this.spec.onReset;
  }

  /** Takes one retry from the budget. False when there is none. */
  take(nowMs: number): boolean {
    const elapsed = nowMs - this.#filledMs;
    this.#filledMs = nowMs;
    this.#tokens = Math.min(SAVED_MAX, this.#tokens + (elapsed / 1000) * FLOOR_PER_SECOND);
    if (this.#tokens < 1) {
      this.refused++;
      return false;
    }
    this.#tokens -= 1;
    return true;
  }
}
