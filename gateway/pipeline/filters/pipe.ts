/**
 * `pipe`, `pipeNext`, `branch`: which pipeline a stream goes through is found out when it comes.
 *
 *     pipe([a, b, c])     a, and from a's `pipeNext` on b, and from b's c: each decides whether the next is reached
 *
 * What is known beforehand is joined when the stream begins, what a script says with the first event. Nothing to join: it
 * passes as it is.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { FAILED, ScriptFilter } from "./script-filter.ts";

/** One pipeline, or several in a chain. */
export type PipeTarget<C extends object> = Pipeline<C> | readonly Pipeline<C>[] | undefined | null;
export type PipeTargetOf<C extends object> =
  | PipeTarget<C>
  | ((context: Context<C>) => PipeTarget<C> | Promise<PipeTarget<C>>);

abstract class Joining<C extends object> extends ScriptFilter<C> {
  #child: Instance<C> | null = null;
  #decided = false;

  /** Decides where to, by `join`, now or later; until then what comes waits. */
  protected abstract decide(): void;

  protected decideOnce(): void {
    if (this.#decided) return;
    this.#decided = true;
    this.decide();
  }

  protected join(target: PipeTarget<C>): void {
    const chain = Array.isArray(target) ? (target as readonly Pipeline<C>[]) : null;
    const first = chain === null ? (target as Pipeline<C> | undefined | null) : chain[0];
    if (first === undefined || first === null) return;
    if (!Array.isArray(first.makers))
      throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: `pipe to ${typeof first}, which is no pipeline` });
    const { context, runtime, chain: outer } = this.scope;
    this.#child = new Instance(first, context, runtime, this.output, chain === null ? outer : chain.slice(1));
    this.#child.start();
  }

  get #next(): Sink {
    return this.#child === null ? this.output : this.#child.input;
  }

  override messageStart(head: object): void {
    this.decideOnce();
    super.messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    this.decideOnce();
    super.data(buffer, start, end);
  }

  override messageEnd(tail: object | null): void {
    this.decideOnce();
    super.messageEnd(tail);
  }

  override streamEnd(ending: Ending): void {
    this.decideOnce();
    super.streamEnd(ending);
  }

  override takeMessageStart(head: object): void {
    this.#next.messageStart(head);
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.#next.data(buffer, start, end);
  }

  override takeMessageEnd(tail: object | null): void {
    this.#next.messageEnd(tail);
  }

  override takeStreamEnd(ending: Ending): void {
    this.#next.streamEnd(ending);
  }

  override dispose(): void {
    super.dispose();
    this.#child?.dispose();
  }
}

export class Pipe<C extends object> extends Joining<C> {
  readonly #target: PipeTargetOf<C>;

  constructor(scope: Scope<C>, target: PipeTargetOf<C>) {
    super(scope);
    this.#target = target;
  }

  override started(): void {
    if (typeof this.#target !== "function") this.decideOnce();
  }

  protected override decide(): void {
    if (typeof this.#target !== "function") return this.join(this.#target);
    const target = this.call<Context<C>, PipeTarget<C>>(this.#target, this.scope.context);
    if (target === FAILED) return;
    if (target instanceof Promise) this.waitFor(target, (settled) => this.join(settled));
    else this.attempt((settled) => this.join(settled), target);
  }
}

export class PipeNext<C extends object> extends Joining<C> {
  override started(): void {
    this.decideOnce();
  }

  protected override decide(): void {
    this.join(this.scope.chain as readonly Pipeline<C>[]);
  }
}

export interface Case<C extends object> {
  /** Null: whatever comes. */
  readonly condition: ((context: Context<C>) => boolean) | null;
  readonly pipeline: Pipeline<C>;
}

export class Branch<C extends object> extends Joining<C> {
  readonly #cases: readonly Case<C>[];

  constructor(scope: Scope<C>, cases: readonly Case<C>[]) {
    super(scope);
    this.#cases = cases;
  }

  protected override decide(): void {
    for (const { condition, pipeline } of this.#cases) {
      const holds = condition === null || this.call<Context<C>, boolean>(condition, this.scope.context);
      if (holds === FAILED) return;
      if (holds === true) return this.join(pipeline);
    }
  }
}
