/**
 * Takes turns between tenants whose plugins want more than their part of a turn of the loop. What they have put off runs when
 * sockets and timers have had their chance: a part of each tenant's, one tenant after the other.
 */

/** Runs what it has put off, for as long as its part lasts. True: there is more. */
export interface Deferring {
  runDeferred(): boolean;
}

export class Turns {
  #waiting: Deferring[] = [];
  readonly #later: (run: () => void) => void;

  /** `later`: calls back when the loop has been round. */
  constructor(later: (run: () => void) => void = (run) => void setImmediate(run)) {
    this.#later = later;
  }

  /** For who has just put off something for the first time. */
  join(one: Deferring): void {
    this.#waiting.push(one);
    if (this.#waiting.length === 1) this.#later(() => this.#round());
  }

  #round(): void {
    const round = this.#waiting;
    this.#waiting = [];
    for (const one of round) if (one.runDeferred()) this.#waiting.push(one);
    if (this.#waiting.length > 0) this.#later(() => this.#round());
  }
}
