/** Offset tables of heads are large; they are used again. One pool a worker and kind. */
import { Head } from "#http/head.ts";
import type { Scratch } from "#http/scratch.ts";

/** 10 KiB each: what a burst has made beyond this goes. */
const KEPT_MAX = 1024;

export class HeadPool {
  readonly #scratch: Scratch;
  readonly #make: (scratch: Scratch) => Head;
  readonly #free: Head[] = [];

  /** `make`: one that is empty; heads of messages unless said otherwise. */
  constructor(scratch: Scratch, make: (scratch: Scratch) => Head = (of) => new Head(of)) {
    this.#scratch = scratch;
    this.#make = make;
  }

  take(): Head {
    return this.#free.pop() ?? this.#make(this.#scratch);
  }

  give(head: Head): void {
    head.reset();
    if (this.#free.length < KEPT_MAX) this.#free.push(head);
  }
}
