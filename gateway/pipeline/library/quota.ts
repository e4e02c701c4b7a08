/**
 * An amount that is used up and comes back: requests, bytes, slots. It is what throttling filters take from.
 *
 *     new Quota(100, { produce: 100, per: "1s" })     a hundred a second
 *     new Quota(8)                                    eight at one time; who took some gives it back by `produce`
 *
 * Time adds `produce` after every full `per`, never beyond `initial`. It is counted when somebody looks, not by a timer;
 * who waits asks `waitMs` how long. Of one worker.
 */
import { libraryError } from "#core/errors/library.ts";
import { durationMs, type Duration } from "./duration.ts";

export interface QuotaOptions {
  /** What comes back after each `per`; the initial amount unless given. */
  readonly produce?: number;
  readonly per?: Duration;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export class Quota {
  readonly initial: number;
  readonly #produce: number;
  readonly #perMs: number;
  readonly #now: () => number;
  readonly #waiting = new Set<() => void>();
  #current: number;
  /** When the interval that runs has begun. */
  #sinceMs: number;

  /** Throws PENSTOCK_LIBRARY_OPTION. */
  constructor(initial: number, { produce = initial, per, now = () => performance.now() }: QuotaOptions = {}) {
    if (!(initial > 0)) {
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail: `the initial quota is ${initial}: a number above 0` });
    }
    if (!(produce > 0)) {
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail: `produce is ${produce}: a number above 0` });
    }
    this.initial = initial;
    this.#current = initial;
    this.#produce = produce;
    this.#perMs = per === undefined ? Infinity : durationMs("per", per);
    this.#now = now;
    this.#sinceMs = now();
  }

  get current(): number {
    this.#refill();
    return this.#current;
  }

  /** Takes as much as there is, at most `amount`: answers how much that was. */
  consume(amount: number): number {
    this.#refill();
    const taken = Math.min(amount, this.#current);
    this.#current -= taken;
    return taken;
  }

  /** Takes all of it or nothing: answers whether it was there. More than `initial` never is. */
  take(amount: number): boolean {
    this.#refill();
    if (amount > this.#current) return false;
    this.#current -= amount;
    return true;
  }

  /** Gives back, or adds: beyond the initial amount too. Tells those who wait. */
  produce(amount: number): void {
    this.#refill();
    this.#current += amount;
    this.#wake();
  }

  reset(): void {
    this.#current = this.initial;
    this.#sinceMs = this.#now();
    this.#wake();
  }

  /** Milliseconds until `amount` will have come back by time alone; 0: it is there; Infinity: never. */
  waitMs(amount: number): number {
    this.#refill();
    const missing = amount - this.#current;
    if (missing <= 0) return 0;
    if (amount > this.initial || this.#perMs === Infinity) return Infinity;
    return Math.ceil(missing / this.#produce) * this.#perMs - (this.#now() - this.#sinceMs);
  }

  /** Calls `wake` when something is given back. Answers how to stop that. */
  onProduce(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  /** Those who wait now: who waits again meanwhile is not among them. */
  #wake(): void {
    const waiting = Array.from(this.#waiting);
    for (const wake of waiting) wake();
  }

  #refill(): void {
    if (this.#perMs === Infinity) return;
    const intervals = Math.floor((this.#now() - this.#sinceMs) / this.#perMs);
    if (intervals <= 0) return;
    this.#sinceMs += intervals * this.#perMs;
    if (this.#current < this.initial) {
      this.#current = Math.min(this.initial, this.#current + intervals * this.#produce);
    }
  }
}
