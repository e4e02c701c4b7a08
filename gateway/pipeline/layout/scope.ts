/** A pipeline instance, as its filters see it. */
import type { Runtime } from "#pipeline/runtime.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import type { Context } from "./context.ts";

export interface Scope<C extends object = object> {
  readonly context: Context<C>;
  readonly runtime: Runtime;
  /** Pipelines: where `pipeNext` leads, here and in what begins from here. Only `filters/pipe.ts` looks into it. */
  readonly chain: readonly object[];
  /** Nothing that is emitted gets anywhere any more: late answers of promises are dropped. */
  readonly ended: boolean;
  /** A script threw, or gave something that can't be: logged, and the stream ends with SCRIPT_FAILED. Never throws. */
  fail(error: unknown): void;
  /** The stream ends here, in front of all filters that follow. */
  break(ending: Ending): void;
}
