/**
 * `wait`: nothing passes until a condition holds. A promise is waited for; a condition that is false is asked again, since
 * what it looks at may be changed by another stream.
 */
import { Alarm } from "#net/alarm.ts";
import { IDLE_TIMEOUT } from "#pipeline/events/ending.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { Duration } from "#pipeline/library/duration.ts";
import { FAILED, ScriptFilter } from "./script-filter.ts";

export type Condition<C extends object> = (context: Context<C>) => boolean | Promise<unknown>;

export interface WaitOptions {
  /** Then the stream ends with `idle-timeout`; for ever unless given. */
  readonly timeout?: Duration;
}

const AGAIN_MS = 10;

export class Wait<C extends object> extends ScriptFilter<C> {
  readonly #condition: Condition<C>;
  readonly #again: Alarm;
  readonly #timeout: Alarm;
  readonly #timeoutMs: number;

  constructor(scope: Scope<C>, condition: Condition<C>, timeoutMs: number) {
    super(scope);
    this.#condition = condition;
    this.#timeoutMs = timeoutMs;
    this.#again = new Alarm(scope.runtime.loop, () => this.#ask());
    this.#timeout = new Alarm(scope.runtime.loop, () => scope.break(IDLE_TIMEOUT));
  }

  override started(): void {
    this.hold();
    if (this.#timeoutMs !== Infinity) this.#timeout.set(this.#timeoutMs);
    this.#ask();
  }

  #ask(): void {
    const holds = this.call<Context<C>, unknown>(this.#condition, this.scope.context);
    if (holds === FAILED) return;
    if (holds instanceof Promise) this.waitFor(holds, () => this.#done());
    else if (holds === false) this.#again.set(AGAIN_MS);
    else this.#done();
  }

  #done(): void {
    this.#timeout.cancel();
    this.release();
  }

  override dispose(): void {
    this.#again.cancel();
    this.#timeout.cancel();
    super.dispose();
  }
}
