/**
 * One coarse wheel for all timeouts of a worker: intrusive, lazy, and without allocation.
 *
 * What times out carries the links itself. Its deadline is a plain field: moving it later, as each byte received does to
 * an idle timeout, is one store, and the wheel learns of it only when the slot comes up: a deadline that has moved on is
 * put where it belongs now. A slot stands for one tick; a deadline beyond the horizon sits in the last slot and moves on
 * from there like any other that was moved later.
 *
 *     tick          now                    now + SLOTS − 1
 *     slots   … │ (empty) │ a ⇄ b │      │ c │ …               slot = tick & (SLOTS − 1), each a ring with a head
 *
 * A deadline is called at its slot: never early, and late by less than a tick, plus however much earlier than that slot
 * it was moved by a plain store. Who moves one earlier by more than that matters calls `watch` again.
 */
import { assert } from "#core/assert.ts";

/** What can time out. The wheel owns the three `wheel…` fields; they begin as −1, null, null. */
export interface Timed {
  /** Milliseconds on the wheel's clock; Infinity for none. Write at will. */
  deadlineMs: number;
  /** The tick it stands at, −1 when not watched. */
  wheelSlot: number;
  wheelNext: Timed | null;
  wheelPrev: Timed | null;
  /** The deadline has passed. It is no longer watched: `watch` again for another. */
  onDeadline(nowMs: number): void;
}

/** 51 s ahead at 100 ms a tick: most timeouts are shorter, and a longer one is looked at once in that time. */
const SLOTS = 512;
const DEFAULT_TICK_MS = 100;

export class TimerWheel {
  readonly #tickMs: number;
  readonly #slots: readonly Timed[];
  /** Taken off their slots and not yet looked at; only inside `advance`. */
  readonly #due: Timed = new Head();
  /** Every slot up to this tick has been looked at. */
  #tick: number;
  /** No slot before this tick is occupied; it may lie too early, when what stood there was forgotten. */
  #nextTick = Infinity;
  #watched = 0;

  /** `tickMs`: the resolution, a positive integer. */
  constructor(nowMs: number, tickMs: number = DEFAULT_TICK_MS) {
    assert(Number.isInteger(tickMs) && tickMs > 0, "a tick is a positive whole number of milliseconds");
    this.#tickMs = tickMs;
    this.#tick = Math.floor(nowMs / tickMs);
    this.#slots = Array.from({ length: SLOTS }, () => new Head());
  }

  /** How many are watched. */
  get watched(): number {
    return this.#watched;
  }

  /**
   * Sees to it that `timed.deadlineMs` is noticed. Cheap when it is already watched no later than that, so a caller need
   * not remember; with an infinite deadline it forgets.
   */
  watch(timed: Timed): void {
    if (timed.deadlineMs === Infinity) {
      this.forget(timed);
      return;
    }
    const tick = this.#tickOf(timed.deadlineMs);
    if (timed.wheelSlot >= 0) {
      if (timed.wheelSlot <= tick) return;
      unlink(timed);
    } else {
      this.#watched++;
    }
    this.#place(timed, tick);
  }

  /** To be called before a watched object is dropped or pooled. Nothing happens when it is not watched. */
  forget(timed: Timed): void {
    if (timed.wheelSlot < 0) return;
    unlink(timed);
    timed.wheelSlot = -1;
    this.#watched--;
  }

  /** Calls every deadline that has passed by `nowMs`. Callbacks may watch and forget anything. */
  advance(nowMs: number): void {
    const tick = Math.floor(nowMs / this.#tickMs);
    if (tick <= this.#tick) return;
    const first = Math.max(this.#nextTick, this.#tick + 1, tick - SLOTS + 1);
    this.#tick = tick;
    if (first > tick) return;
    // Taken off first: what a callback watches now may land in the same slots, one lap ahead.
    for (let t = first; t <= tick; t++) splice(this.#slots[t & (SLOTS - 1)] as Timed, this.#due);
    this.#nextTick = this.#watched === 0 ? Infinity : tick + 1;
    this.#callDue(nowMs);
  }

  /** Milliseconds from `nowMs` until `advance` has something to look at; −1 when nothing is watched. */
  nextWaitMs(nowMs: number): number {
    if (this.#watched === 0) return -1;
    if (this.#nextTick <= this.#tick) this.#nextTick = this.#tick + 1;
    while (isEmpty(this.#slots[this.#nextTick & (SLOTS - 1)] as Timed)) {
      // Asked by a callback of `advance`, while all that is watched is still to be looked at.
      if (++this.#nextTick >= this.#tick + SLOTS) return 0;
    }
    return Math.max(0, Math.ceil(this.#nextTick * this.#tickMs - nowMs));
  }

  #callDue(nowMs: number): void {
    for (let timed = this.#due.wheelNext; timed !== null && timed !== this.#due; timed = this.#due.wheelNext) {
      unlink(timed);
      if (timed.deadlineMs <= nowMs || timed.deadlineMs === Infinity) {
        timed.wheelSlot = -1;
        this.#watched--;
        if (timed.deadlineMs <= nowMs) timed.onDeadline(nowMs);
      } else {
        this.#place(timed, this.#tickOf(timed.deadlineMs));
      }
    }
  }

  /** The tick at which a deadline is looked at: the first that begins no earlier, within the horizon. */
  #tickOf(deadlineMs: number): number {
    const tick = Math.ceil(deadlineMs / this.#tickMs);
    assert(!Number.isNaN(tick), "a deadline is a number");
    return Math.min(Math.max(tick, this.#tick + 1), this.#tick + SLOTS - 1);
  }

  #place(timed: Timed, tick: number): void {
    timed.wheelSlot = tick;
    link(timed, this.#slots[tick & (SLOTS - 1)] as Timed);
    if (tick < this.#nextTick) this.#nextTick = tick;
  }
}

/** The head of a ring: linked to itself when the ring is empty. */
class Head implements Timed {
  deadlineMs = Infinity;
  wheelSlot = -1;
  wheelNext: Timed | null = this;
  wheelPrev: Timed | null = this;
  onDeadline(): void {
    assert(false, "the head of a slot has no deadline");
  }
}

const isEmpty = (head: Timed): boolean => head.wheelNext === head;

/** Puts `timed` last in the ring of `head`. */
function link(timed: Timed, head: Timed): void {
  const last = head.wheelPrev as Timed;
  timed.wheelPrev = last;
  timed.wheelNext = head;
  last.wheelNext = timed;
  head.wheelPrev = timed;
}

function unlink(timed: Timed): void {
  (timed.wheelPrev as Timed).wheelNext = timed.wheelNext;
  (timed.wheelNext as Timed).wheelPrev = timed.wheelPrev;
  timed.wheelNext = null;
  timed.wheelPrev = null;
}

/** Moves everything in the ring of `from` to the end of the ring of `to`. */
function splice(from: Timed, to: Timed): void {
  if (isEmpty(from)) return;
  const first = from.wheelNext as Timed;
  const last = from.wheelPrev as Timed;
  const before = to.wheelPrev as Timed;
  before.wheelNext = first;
  first.wheelPrev = before;
  last.wheelNext = to;
  to.wheelPrev = last;
  from.wheelNext = from;
  from.wheelPrev = from;
}
