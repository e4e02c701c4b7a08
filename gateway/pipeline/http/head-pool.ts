/** Offset tables of heads are large; they are used again. One pool a worker. */
import { Head } from "#http/head.ts";
import type { Scratch } from "#http/scratch.ts";

/** 10 KiB each: what a burst has made beyond this goes. */
const KEPT_MAX = 1024;

export class HeadPool {
  readonly #scratch: Scratch;
  readonly #free: Head[] = [];

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
  }

  take(): Head {
    return this.#free.pop() ?? new Head(this.#scratch);
  }

  give(head: Head): void {
    head.reset();
    if (this.#free.length < KEPT_MAX) this.#free.push(head);
  }
}
