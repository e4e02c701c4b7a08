/** The connections with an open output buffer: flushed together before the loop hands its work to the kernel. */

export interface Gathered {
  flushGathered(): void;
}

export class WriteGather {
  #current: Gathered[] = [];
  #spare: Gathered[] = [];

  add(one: Gathered): void {
    this.#current.push(one);
  }

  /** What is flushed may begin something new, whose writes must leave in this turn too. */
  flush(): void {
    while (this.#current.length > 0) {
      const all = this.#current;
      this.#current = this.#spare;
      this.#spare = all;
      for (let i = 0; i < all.length; i++) (all[i] as Gathered).flushGathered();
      all.length = 0;
    }
  }
}
