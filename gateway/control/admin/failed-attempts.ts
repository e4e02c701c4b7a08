/**
 * How often an address may fail to say who it is. A token has 256 random bits, so nobody guesses one; what is bounded is
 * the work and the log lines that trying costs. Only failures are refused: who shares an address with an attacker still
 * gets in with a good token.
 */

/** So many failures at once, and one more every REFILL_MS. */
const BURST = 10;
const REFILL_MS = 6_000;

/** Addresses that are remembered; past it the one that failed longest ago is forgotten, which only helps who has waited. */
const ADDRESSES_MAX = 4096;

export class FailedAttempts {
  readonly #now: () => number;
  /** When the address will have no failure left to its account; in order of the last failure. */
  readonly #clearAtMs = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts one. Answers 0, or the seconds to wait when there were too many. */
  failed(address: string): number {
    const now = this.#now();
    const clearAt = Math.max(now, this.#clearAtMs.get(address) ?? now) + REFILL_MS;
    const excess = clearAt - now - BURST * REFILL_MS;
    if (excess > 0) return Math.ceil(excess / 1000);
    this.#clearAtMs.delete(address);
    this.#clearAtMs.set(address, clearAt);
    const oldest = this.#clearAtMs.keys().next();
    if (this.#clearAtMs.size > ADDRESSES_MAX && !oldest.done) this.#clearAtMs.delete(oldest.value);
    return 0;
  }
}
