/**
 * `throttleConcurrency`, `throttleMessageRate`, `throttleDataRate`: what passes takes from a quota. When that is used up, the
 * stream waits, and whoever feeds it with it; or it ends with REJECTED, which a server answers 429.
 */
import { Alarm } from "#net/alarm.ts";
import { REJECTED } from "#pipeline/events/ending.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { Quota } from "#pipeline/library/quota.ts";
import { HoldingFilter } from "./holding-filter.ts";

/** One quota for all streams, or which one this stream takes from; undefined: none. */
export type QuotaOf<C extends object> = Quota | ((context: Context<C>) => Quota | undefined);

export interface ThrottleOptions {
  /** What finds the quota used up is rejected instead of delayed. */
  readonly reject?: boolean;
}

abstract class Throttle<C extends object> extends HoldingFilter<C> {
  readonly #quotaOf: QuotaOf<C>;
  readonly #reject: boolean;
  readonly #alarm: Alarm;
  #quota: Quota | null | undefined;
  #stop: (() => void) | null = null;

  constructor(scope: Scope<C>, quota: QuotaOf<C>, { reject = false }: ThrottleOptions) {
    super(scope);
    this.#quotaOf = quota;
    this.#reject = reject;
    this.#alarm = new Alarm(scope.runtime.loop, () => this.#again());
  }

  /** Asked once a stream, when it first passes something. */
  protected get quota(): Quota | null {
    if (this.#quota !== undefined) return this.#quota;
    try {
      const { context } = this.scope;
      const found = (typeof this.#quotaOf === "function" ? this.#quotaOf(context) : this.#quotaOf) ?? null;
      if (found !== null && !(found instanceof Quota)) throw new TypeError(`a throttle's quota is ${typeof found}`);
      this.#quota = found;
    } catch (error) {
      this.#quota = null;
      this.scope.fail(error);
    }
    return this.#quota;
  }

  /** Waits until `amount` may be there, then `retry` is called; or rejects. */
  protected wait(quota: Quota, amount: number): void {
    if (this.#reject) return this.scope.break(REJECTED);
    if (this.#stop !== null) return;
    this.hold();
    this.#stop = quota.onProduce(() => this.#again());
    const ms = quota.waitMs(amount);
    if (ms !== Infinity) this.#alarm.set(ms);
  }

  #again(): void {
    if (this.#stop === null) return;
    this.#stop();
    this.#stop = null;
    this.#alarm.cancel();
    if (!this.scope.ended) this.retry();
    this.release();
  }

  /** What was waited for is tried again; it may wait again. */
  protected abstract retry(): void;

  override dispose(): void {
    this.#stop?.();
    this.#stop = null;
    this.#alarm.cancel();
    super.dispose();
  }
}

/** A stream has one of the quota from its first event until it is over. */
export class ThrottleConcurrency<C extends object> extends Throttle<C> {
  #taken: Quota | null = null;
  #asked = false;

  override started(): void {
    this.retry();
  }

  protected override retry(): void {
    const { quota } = this;
    if (quota === null || this.#taken !== null) return;
    this.#asked = true;
    if (quota.take(1)) this.#taken = quota;
    else this.wait(quota, 1);
  }

  override dispose(): void {
    const taken = this.#taken;
    this.#taken = null;
    super.dispose();
    if (this.#asked && taken !== null) taken.produce(1);
  }
}

/** A message takes one when it begins. */
export class ThrottleMessageRate<C extends object> extends Throttle<C> {
  #waiting: object | null = null;

  override takeMessageStart(head: object): void {
    this.#waiting = head;
    this.retry();
  }

  protected override retry(): void {
    const head = this.#waiting;
    if (head === null) return;
    const { quota } = this;
    if (quota !== null && !quota.take(1)) return this.wait(quota, 1);
    this.#waiting = null;
    this.output.messageStart(head);
  }
}

/** Bytes take as many; what there is quota for passes at once. */
export class ThrottleDataRate<C extends object> extends Throttle<C> {
  #buffer = -1;
  #start = 0;
  #end = 0;

  override takeData(buffer: number, start: number, end: number): void {
    const passed = this.#pass(buffer, start, end);
    if (passed === end) return;
    this.scope.runtime.buffers.retain(buffer);
    this.#buffer = buffer;
    this.#start = passed;
    this.#end = end;
  }

  protected override retry(): void {
    const buffer = this.#buffer;
    if (buffer < 0) return;
    this.#start = this.#pass(buffer, this.#start, this.#end);
    if (this.#start < this.#end) return;
    this.#buffer = -1;
    this.scope.runtime.buffers.release(buffer);
  }

  /** How far it came. */
  #pass(buffer: number, start: number, end: number): number {
    const { quota } = this;
    const some = quota === null ? end - start : Math.floor(quota.consume(end - start));
    if (some > 0) this.output.data(buffer, start, start + some);
    if (quota !== null && start + some < end) this.wait(quota, Math.min(end - start - some, quota.initial));
    return start + some;
  }

  override dispose(): void {
    if (this.#buffer >= 0) this.scope.runtime.buffers.release(this.#buffer);
    this.#buffer = -1;
    super.dispose();
  }
}
