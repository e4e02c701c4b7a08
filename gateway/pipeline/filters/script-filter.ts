/**
 * Filters that run a handler of a script. What it throws ends this one stream with SCRIPT_FAILED and is logged; a promise
 * it answers makes the stream wait.
 */
import { Data } from "#pipeline/events/data.ts";
import type { Context } from "#pipeline/layout/context.ts";
import { HoldingFilter } from "./holding-filter.ts";

/** What a handler is given beside the event: what this stream remembers. */
export type Handler<E, C extends object, A> = (event: E, context: Context<C>) => A | Promise<A>;

/** The handler threw: the stream is broken off by now. */
export const FAILED: unique symbol = Symbol("failed");

export abstract class ScriptFilter<C extends object> extends HoldingFilter<C> {
  /** Runs it now, or FAILED. */
  protected call<E, A>(handler: Handler<E, C, A>, event: E): A | Promise<A> | typeof FAILED {
    const { scope } = this;
    try {
      const answer = handler(event, scope.context);
      scope.runtime.promises.touched();
      return answer;
    } catch (error) {
      scope.fail(error);
      return FAILED;
    }
  }

  /** Runs it and lets `go` have its answer, now or once its promise has settled. */
  protected answer<E, A>(handler: Handler<E, C, A>, event: E, go: (answer: A) => void): void {
    const answer = this.call(handler, event);
    if (answer === FAILED) return;
    if (answer instanceof Promise) this.waitFor(answer, go);
    else this.attempt(go, answer);
  }

  /** The same for bytes: the window that the handler sees is closed behind it. `go` gets it with the answer. */
  protected answerData<A>(
    handler: Handler<Data, C, A>,
    buffer: number,
    start: number,
    end: number,
    go: (answer: A, data: Data) => void,
  ): void {
    const { buffers } = this.scope.runtime;
    const data = Data.window(this.memory, buffer, start, end);
    const answer = this.call(handler, data);
    if (answer instanceof Promise) {
      buffers.retain(buffer);
      const done = (): void => {
        data.invalidate();
        buffers.release(buffer);
      };
      this.waitFor(answer, (value) => go(value, data));
      answer.then(done, done);
      return;
    }
    if (answer !== FAILED) this.attempt((each: A) => go(each, data), answer);
    data.invalidate();
  }
}
