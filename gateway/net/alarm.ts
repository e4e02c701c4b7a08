/** One deadline of its owner, on the loop's wheel: noticed late by up to a tick, never early. Owns no memory. */
import type { Loop } from "#io/loop.ts";
import type { Timed } from "#io/timers.ts";

export class Alarm implements Timed {
  readonly #loop: Loop;
  readonly #ring: () => void;
  deadlineMs = Number.POSITIVE_INFINITY;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;

  constructor(loop: Loop, ring: () => void) {
    this.#loop = loop;
    this.#ring = ring;
  }

  get nowMs(): number {
    return this.#loop.nowMs;
  }

  get isSet(): boolean {
    return this.deadlineMs !== Number.POSITIVE_INFINITY;
  }

  /** Rings once, in `ms` milliseconds from this turn; in place of what was set before. */
  set(ms: number): void {
    this.deadlineMs = this.#loop.nowMs + ms;
    this.#loop.timers.watch(this);
  }

  cancel(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#loop.timers.forget(this);
  }

  onDeadline(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#ring();
  }
}
