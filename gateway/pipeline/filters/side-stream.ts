/**
 * A copy of a stream, and the instance that has it. It can neither alter the original nor hold it up: heads are copied, and a
 * side that is too slow is given up.
 */
import { OVERLOADED, type Ending } from "#pipeline/events/ending.ts";
import { LooseQueue } from "#pipeline/events/loose-queue.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { HttpHead } from "#pipeline/http/http-head.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

/** A connection has many messages; a side that looks back further is told that the head is gone. */
const HEADS_MAX = 16;

export class SideStream<C extends object> implements Sink {
  readonly #scope: Scope<C>;
  readonly #instance: Instance<C>;
  readonly #queue: LooseQueue;
  /** Copies that the side may still look at: one a message, the oldest first. */
  readonly #heads: HttpHead[] = [];

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, context: Context<C>, output: Sink) {
    this.#scope = scope;
    this.#instance = new Instance(pipeline, context, scope.runtime, output, scope.chain);
    // Looked up at each event: an instance that has ended takes nothing any more.
    const input: Sink = {
      messageStart: (head) => this.#instance.input.messageStart(head),
      data: (buffer, start, end) => this.#instance.input.data(buffer, start, end),
      messageEnd: (tail) => this.#instance.input.messageEnd(tail),
      streamEnd: (ending) => this.#instance.input.streamEnd(ending),
    };
    this.#queue = new LooseQueue(scope.runtime, input, false, () => this.#giveUp("it could not keep up"));
  }

  /** `given`: what `onStart` is given beside the context. */
  start(...given: readonly unknown[]): void {
    this.#instance.start(...given);
  }

  messageStart(head: object): void {
    if (!(head instanceof HttpHead)) return this.#queue.messageStart(head);
    let copy: HttpHead;
    try {
      copy = head.copy();
    } catch (error) {
      return this.#giveUp(`a head that can't be copied: ${(error as Error).message}`);
    }
    this.#heads.push(copy);
    if (this.#heads.length > HEADS_MAX) this.#heads.shift()?.close();
    this.#queue.messageStart(copy);
  }

  data(buffer: number, start: number, end: number): void {
    this.#queue.data(buffer, start, end);
  }

  messageEnd(tail: object | null): void {
    this.#queue.messageEnd(tail);
  }

  streamEnd(ending: Ending): void {
    this.#queue.streamEnd(ending);
  }

  #giveUp(why: string): void {
    this.#queue.close();
    this.#scope.runtime.log(`fork: a side is given up: ${why}`);
    this.#instance.break(OVERLOADED);
  }

  dispose(): void {
    this.#queue.close();
    this.#instance.dispose();
    for (const head of this.#heads.splice(0)) head.close();
  }
}
