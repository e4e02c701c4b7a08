/**
 * One pipeline at work: its filters, linked, for one stream. Whoever made it feeds `input`, hears the outcome at the sink
 * it gave, and disposes it. It is its filters' scope and stands behind the last of them, so that nothing leaves
 * after the end.
 *
 *     owner ─▶ input: filter ─▶ filter ─▶ … ─▶ instance ─▶ owner's sink
 *
 * Instances are not pooled: what one remembers can't show up in another, and a few small objects a stream cost less than
 * the care it would take.
 */
import { NOWHERE, type Sink } from "#pipeline/events/sink.ts";
import { SCRIPT_FAILED, type Ending } from "#pipeline/events/ending.ts";
import { emit, type Emission } from "#pipeline/events/emit.ts";
import type { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import type { Context } from "./context.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Scope } from "./scope.ts";

const NO_CHAIN: readonly object[] = [];

export class Instance<C extends object = object> implements Scope<C>, Sink {
  readonly context: Context<C>;
  readonly runtime: Runtime;
  readonly chain: readonly object[];
  /** Where events go in. */
  input: Sink = this;
  ended = false;
  readonly #pipeline: Pipeline<C>;
  readonly #filters: PipeFilter<C>[] = [];
  #output: Sink;

  /** `chain`: where `pipeNext` leads from here. */
  constructor(
    pipeline: Pipeline<C>,
    context: Context<C>,
    runtime: Runtime,
    output: Sink,
    chain: readonly object[] = NO_CHAIN,
  ) {
    this.context = context;
    this.runtime = runtime;
    this.chain = chain;
    this.#pipeline = pipeline;
    this.#output = output;
    const { makers } = pipeline;
    for (let i = makers.length - 1; i >= 0; i--) {
      const filter = (makers[i] as (typeof makers)[number])(this);
      filter.output = this.input;
      this.#filters.push(filter);
      this.input = filter;
    }
  }

  /** Runs the script's `onStart`, then lets filters begin; what `onStart` answers is the first input. Once, before anything is fed. */
  start(...given: readonly unknown[]): void {
    const { onStart } = this.#pipeline;
    let first: Emission = null;
    try {
      if (onStart !== null) first = onStart(this.context, ...given);
      for (let i = 0; i < this.#filters.length; i++) (this.#filters[i] as PipeFilter<C>).started();
      if (first !== null) emit(first, this.input, this.runtime);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Another sink hears the outcome from now on. */
  redirect(output: Sink): void {
    this.#output = output;
  }

  messageStart(head: object): void {
    this.#output.messageStart(head);
  }

  data(buffer: number, start: number, end: number): void {
    this.#output.data(buffer, start, end);
  }

  messageEnd(tail: object | null): void {
    this.#output.messageEnd(tail);
  }

  streamEnd(ending: Ending): void {
    const output = this.#output;
    this.#output = NOWHERE;
    output.streamEnd(ending);
  }

  fail(error: unknown): void {
    if (this.ended) return;
    this.runtime.report(error);
    this.break(SCRIPT_FAILED);
  }

  break(ending: Ending): void {
    this.input = NOWHERE;
    this.streamEnd(ending);
  }

  /** The stream is over, whatever way: filters let go of what they hold. */
  dispose(): void {
    if (this.ended) return;
    this.ended = true;
    this.input = NOWHERE;
    this.#output = NOWHERE;
    for (let i = this.#filters.length - 1; i >= 0; i--) (this.#filters[i] as PipeFilter<C>).dispose();
    const { onEnd } = this.#pipeline;
    if (onEnd === null) return;
    try {
      onEnd(this.context);
    } catch (error) {
      this.runtime.report(error);
    }
  }
}
