/**
 * `fork`, `forkJoin`, `forkRace`: copies of the stream for side pipelines. With a list of values there is one for each, with
 * a context of its own, and its `onStart` is given the value; without, there is one, with the same context.
 *
 *     fork      the stream goes on as if nothing were          forkJoin   once all sides have ended
 *     forkRace  the outcome of the first side that says something, in place of the stream
 */
import type { Ending } from "#pipeline/events/ending.ts";
import { LooseQueue } from "#pipeline/events/loose-queue.ts";
import { NOWHERE, type Sink } from "#pipeline/events/sink.ts";
import { TOO_LARGE } from "#pipeline/events/ending.ts";
import { copyContext, type Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { PipeFilter } from "./pipe-filter.ts";
import { SideStream } from "./side-stream.ts";

/** A side for each of the values; without any there is one. */
export type ForkValues<C extends object> =
  | readonly unknown[]
  | ((context: Context<C>) => readonly unknown[])
  | undefined;

abstract class Forking<C extends object> extends PipeFilter<C> {
  readonly #pipeline: Pipeline<C>;
  readonly #values: ForkValues<C>;
  protected readonly sides: SideStream<C>[] = [];
  #begun = false;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, values: ForkValues<C>) {
    super(scope);
    this.#pipeline = pipeline;
    this.#values = values;
  }

  /** Where the outcome of a side goes. */
  protected abstract outcomeOf(): Sink;
  /** The original. */
  protected abstract main(): Sink;

  override messageStart(head: object): void {
    this.#begin();
    for (const side of this.sides) side.messageStart(head);
    this.main().messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    this.#begin();
    for (const side of this.sides) side.data(buffer, start, end);
    this.main().data(buffer, start, end);
  }

  override messageEnd(tail: object | null): void {
    this.#begin();
    for (const side of this.sides) side.messageEnd(tail);
    this.main().messageEnd(tail);
  }

  override streamEnd(ending: Ending): void {
    this.#begin();
    for (const side of this.sides) side.streamEnd(ending);
    this.main().streamEnd(ending);
  }

  override dispose(): void {
    for (const side of this.sides) side.dispose();
  }

  /** With the first event: what was set before it is known by then. */
  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const { scope } = this;
    try {
      const values = typeof this.#values === "function" ? this.#values(scope.context) : this.#values;
      if (values === undefined) this.sides.push(new SideStream(scope, this.#pipeline, scope.context, this.outcomeOf()));
      else {
        for (let i = 0; i < values.length; i++) {
          this.sides.push(new SideStream(scope, this.#pipeline, copyContext(scope.context), this.outcomeOf()));
        }
      }
      this.begun();
      this.sides.forEach((side, i) => side.start(values?.[i], i));
    } catch (error) {
      scope.fail(error);
    }
  }

  protected begun(): void {}
}

export class Fork<C extends object> extends Forking<C> {
  protected override outcomeOf(): Sink {
    return NOWHERE;
  }

  protected override main(): Sink {
    return this.output;
  }
}

export class ForkJoin<C extends object> extends Forking<C> {
  #left = 0;
  #queue: LooseQueue | null = null;

  protected override begun(): void {
    this.#left = this.sides.length;
    this.#queue = new LooseQueue(this.scope.runtime, this.output, this.#left > 0, () => this.scope.break(TOO_LARGE));
  }

  protected override outcomeOf(): Sink {
    let ended = false;
    return {
      ...NOWHERE,
      streamEnd: () => {
        if (ended) return;
        ended = true;
        if (--this.#left === 0) this.#queue?.open();
      },
    };
  }

  protected override main(): Sink {
    return this.#queue ?? NOWHERE;
  }

  override dispose(): void {
    super.dispose();
    this.#queue?.close();
  }
}

export class ForkRace<C extends object> extends Forking<C> {
  #winner: Sink | null = null;

  protected override outcomeOf(): Sink {
    const won = (): boolean => {
      this.#winner ??= runner;
      return this.#winner === runner;
    };
    const runner: Sink = {
      messageStart: (head) => {
        if (won()) this.output.messageStart(head);
      },
      data: (buffer, start, end) => {
        if (won()) this.output.data(buffer, start, end);
      },
      messageEnd: (tail) => {
        if (won()) this.output.messageEnd(tail);
      },
      streamEnd: (ending) => {
        if (won()) this.output.streamEnd(ending);
      },
    };
    return runner;
  }

  protected override main(): Sink {
    return NOWHERE;
  }
}
