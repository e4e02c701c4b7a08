/**
 * A copy of a stream that must not hold up the original: events go on at once, or wait here while whoever takes them is busy,
 * up to a bound. Beyond that the copy is given up.
 */
import { NOBODY } from "#pipeline/flow.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import type { Ending } from "./ending.ts";
import { EventQueue, type QueueOwner } from "./queue.ts";
import type { Sink } from "./sink.ts";

/** What may wait: as much as one connection may have queued. */
const WAITING_BYTES_MAX = 1024 * 1024;

export class LooseQueue implements Sink, QueueOwner {
  readonly #runtime: Runtime;
  readonly #queue: EventQueue;
  readonly #output: Sink;
  readonly #overflow: () => void;
  #held: boolean;
  #bytes = 0;
  #draining = false;
  #over = false;

  /** `held`: nothing goes on before `open`. `overflow` is told when the copy is given up. */
  constructor(runtime: Runtime, output: Sink, held: boolean, overflow: () => void) {
    this.#runtime = runtime;
    this.#queue = new EventQueue(runtime, this);
    this.#output = output;
    this.#held = held;
    this.#overflow = overflow;
  }

  messageStart(head: object): void {
    this.#add(() => this.#queue.messageStart(head));
  }

  data(buffer: number, start: number, end: number): void {
    if (this.#over) return;
    this.#bytes += end - start;
    if (this.#bytes <= WAITING_BYTES_MAX) return this.#add(() => this.#queue.data(buffer, start, end));
    this.close();
    this.#overflow();
  }

  messageEnd(tail: object | null): void {
    this.#add(() => this.#queue.messageEnd(tail));
  }

  streamEnd(ending: Ending): void {
    this.#add(() => this.#queue.streamEnd(ending));
  }

  open(): void {
    this.#held = false;
    this.#drain();
  }

  /** Lets go of what waits; nothing more goes on. */
  close(): void {
    this.#over = true;
    this.#queue.clear();
  }

  // What the queue hands on.

  takeMessageStart(head: object): void {
    this.#output.messageStart(head);
  }

  takeData(buffer: number, start: number, end: number): void {
    this.#bytes -= end - start;
    this.#output.data(buffer, start, end);
  }

  takeMessageEnd(tail: object | null): void {
    this.#output.messageEnd(tail);
  }

  takeStreamEnd(ending: Ending): void {
    this.#output.streamEnd(ending);
  }

  resumed(): void {
    this.#drain();
  }

  /** The queue would stop whoever feeds it: that shall be nobody. */
  #add(push: () => void): void {
    if (this.#over) return;
    const { flow } = this.#runtime;
    const before = flow.current;
    flow.current = NOBODY;
    push();
    flow.current = before;
    this.#drain();
  }

  #drain(): void {
    if (this.#draining || this.#held) return;
    this.#draining = true;
    while (!this.#over && !this.#queue.isPaused && !this.#queue.isEmpty) this.#queue.shift();
    this.#draining = false;
  }
}
