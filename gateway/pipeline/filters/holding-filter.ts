/**
 * Filters that can make their stream wait: for a promise of a script, mostly. While one holds, what comes is queued; once
 * it is released the queue goes first. Such filters override `take…` in place of the sink's methods.
 */
import { EventQueue, type QueueOwner } from "#pipeline/events/queue.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { PipeFilter } from "./pipe-filter.ts";

export abstract class HoldingFilter<C extends object> extends PipeFilter<C> implements QueueOwner {
  /** How many reasons there are to wait. */
  #holds = 0;
  #queue: EventQueue | null = null;
  #draining = false;

  override messageStart(head: object): void {
    if (this.#queue === null) this.takeMessageStart(head);
    else this.#queue.messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    if (this.#queue === null) this.takeData(buffer, start, end);
    else this.#queue.data(buffer, start, end);
  }

  override messageEnd(tail: object | null): void {
    if (this.#queue === null) this.takeMessageEnd(tail);
    else this.#queue.messageEnd(tail);
  }

  override streamEnd(ending: Ending): void {
    if (this.#queue === null) this.takeStreamEnd(ending);
    else this.#queue.streamEnd(ending);
  }

  takeMessageStart(head: object): void {
    this.output.messageStart(head);
  }

  takeData(buffer: number, start: number, end: number): void {
    this.output.data(buffer, start, end);
  }

  takeMessageEnd(tail: object | null): void {
    this.output.messageEnd(tail);
  }

  takeStreamEnd(ending: Ending): void {
    this.output.streamEnd(ending);
  }

  /** What comes from now on waits until `release` has been called as often. */
  protected hold(): void {
    this.#holds++;
    this.#queue ??= new EventQueue(this.scope.runtime, this);
  }

  protected release(): void {
    this.#holds--;
    this.#drain();
  }

  /** Holds until `promise` has settled, then lets `go` have its answer, and the stream go on. A rejection is the script's failure. */
  protected waitFor<T>(promise: Promise<T>, go: (answer: T) => void): void {
    const { runtime } = this.scope;
    this.hold();
    runtime.promises.begin();
    promise.then(
      (answer) => {
        runtime.promises.end();
        this.attempt(go, answer);
        this.release();
      },
      (error: unknown) => {
        runtime.promises.end();
        this.scope.fail(error);
      },
    );
  }

  /** What a script answered may be something that nothing can be done with: that is its failure. */
  protected attempt<A>(go: (answer: A) => void, answer: A): void {
    try {
      go(answer);
    } catch (error) {
      this.scope.fail(error);
    }
  }

  override dispose(): void {
    this.#queue?.clear();
  }

  resumed(): void {
    this.#drain();
  }

  #drain(): void {
    const queue = this.#queue;
    if (queue === null || this.#draining) return;
    this.#draining = true;
    while (this.#holds === 0 && !queue.isPaused && !queue.isEmpty) queue.shift();
    this.#draining = false;
    if (this.#holds > 0 || queue.isPaused || !queue.isEmpty) return;
    // Nothing waits: what comes goes straight through again.
    this.#queue = null;
    queue.open();
  }
}
