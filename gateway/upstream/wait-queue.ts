/**
 * Requests and TCP streams that wait for an endpoint, in order: bounded in number and in time. One for an upstream and not one for an
 * endpoint, so that who comes first goes to whatever is free first.
 *
 * Places become free within other exchanges' calls; who waits is admitted at the end of the turn, outside of them.
 */
import { Alarm } from "#net/alarm.ts";
import type { UpstreamLimitsSpec } from "#snapshot/snapshot.ts";
import type { UpstreamContext } from "./context.ts";

export interface Waiter {
  /** When it began to wait; kept by the queue. */
  waitingSinceMs: number;
  /** There may be a place: it chooses again. */
  admitted(): void;
  waitedTooLong(): void;
}

export class WaitQueue {
  readonly #context: UpstreamContext;
  readonly #limits: UpstreamLimitsSpec;
  readonly #hasPlace: () => boolean;
  readonly #waiting: Waiter[] = [];
  readonly #alarm: Alarm;
  #woken = false;

  /** `hasPlace`: can any endpoint take a request now? */
  constructor(context: UpstreamContext, limits: UpstreamLimitsSpec, hasPlace: () => boolean) {
    this.#context = context;
    this.#limits = limits;
    this.#hasPlace = hasPlace;
    this.#alarm = new Alarm(context.loop, () => this.#expire());
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** False when it is full. */
  add(waiter: Waiter): boolean {
    if (this.#waiting.length >= this.#limits.queueMax) return false;
    waiter.waitingSinceMs = this.#context.loop.nowMs;
    this.#waiting.push(waiter);
    if (!this.#alarm.isSet) this.#alarm.set(this.#limits.queueMs);
    return true;
  }

  /** It waits no more: its client has gone. */
  remove(waiter: Waiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#waiting.length === 0) this.#alarm.cancel();
  }

  /** A place may have become free. */
  wake(): void {
    if (this.#woken || this.#waiting.length === 0) return;
    this.#woken = true;
    this.#context.gather.add(this);
  }

  flushGathered(): void {
    this.#woken = false;
    while (this.#waiting.length > 0 && this.#hasPlace()) {
      const waiter = this.#waiting.shift() as Waiter;
      if (this.#waiting.length === 0) this.#alarm.cancel();
      waiter.admitted();
    }
  }

  #expire(): void {
    const limit = this.#context.loop.nowMs - this.#limits.queueMs;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.waitingSinceMs > limit) {
        this.#alarm.set(first.waitingSinceMs - limit);
        return;
      }
      this.#waiting.shift();
      first.waitedTooLong();
    }
  }
}
