/**
 * Filters that hand their stream on to an instance of another pipeline. It has the same context, and what comes out of it
 * goes on in this filter's place, its end included.
 */
import { ScriptFilter } from "./script-filter.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

export abstract class JoinFilter<C extends object> extends ScriptFilter<C> {
  readonly #pipeline: Pipeline<C>;
  #child: Instance<C> | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>) {
    super(scope);
    this.#pipeline = pipeline;
  }

  /** Where the stream goes on; null until `join`. */
  protected get child(): Sink | null {
    return this.#child === null ? null : this.#child.input;
  }

  /** Begins the instance, once. `output` hears its outcome: what follows this filter, unless given. */
  protected join(output: Sink = this.output): Sink {
    const child = new Instance(this.#pipeline, this.scope.context, this.scope.runtime, output, this.scope.chain);
    this.#child = child;
    child.start();
    return child.input;
  }

  override dispose(): void {
    super.dispose();
    this.#child?.dispose();
  }
}
