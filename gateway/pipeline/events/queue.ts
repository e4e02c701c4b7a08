/**
 * Events that wait: for a promise, for a delay, for a reader that is slow. In order, with what they hold of the arena;
 * whoever brought them in is paused until the queue is empty again, so that it is bounded by one batch of receives.
 *
 * The queue is itself the source of what it hands on, so a sink further down that is full stops it in its turn.
 */
import { CountedSource, Gate } from "#pipeline/flow.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import type { Ending } from "./ending.ts";
import type { Sink } from "./sink.ts";

/** Who a queue hands its events to. */
export interface QueueOwner {
  takeMessageStart(head: object): void;
  takeData(buffer: number, start: number, end: number): void;
  takeMessageEnd(tail: object | null): void;
  takeStreamEnd(ending: Ending): void;
  /** After a pause the queue may go on. */
  resumed(): void;
}

type Event =
  | { readonly kind: "start"; readonly head: object }
  | { readonly kind: "data"; readonly buffer: number; readonly start: number; readonly end: number }
  | { readonly kind: "end"; readonly tail: object | null }
  | { readonly kind: "close"; readonly ending: Ending };

export class EventQueue extends CountedSource implements Sink {
  readonly #runtime: Runtime;
  readonly #gate: Gate;
  readonly #events: Event[] = [];
  readonly #owner: QueueOwner;

  constructor(runtime: Runtime, owner: QueueOwner) {
    super();
    this.#runtime = runtime;
    this.#gate = new Gate(runtime.flow);
    this.#owner = owner;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0;
  }

  messageStart(head: object): void {
    this.#push({ kind: "start", head });
  }

  data(buffer: number, start: number, end: number): void {
    this.#runtime.buffers.retain(buffer);
    this.#push({ kind: "data", buffer, start, end });
  }

  messageEnd(tail: object | null): void {
    this.#push({ kind: "end", tail });
  }

  streamEnd(ending: Ending): void {
    this.#push({ kind: "close", ending });
  }

  #push(event: Event): void {
    this.#events.push(event);
    this.#gate.shut();
  }

  /** Hands the first event on. */
  shift(): void {
    const event = this.#events.shift();
    if (event === undefined) return;
    const { flow, buffers } = this.#runtime;
    const before = flow.current;
    flow.current = this;
    const owner = this.#owner;
    switch (event.kind) {
      case "start":
        owner.takeMessageStart(event.head);
        break;
      case "data":
        owner.takeData(event.buffer, event.start, event.end);
        buffers.release(event.buffer);
        break;
      case "end":
        owner.takeMessageEnd(event.tail);
        break;
      case "close":
        owner.takeStreamEnd(event.ending);
    }
    flow.current = before;
  }

  /** Whoever was stopped may go on. */
  open(): void {
    this.#gate.open();
  }

  /** Lets go of what waits. */
  clear(): void {
    for (const event of this.#events.splice(0)) if (event.kind === "data") this.#runtime.buffers.release(event.buffer);
    this.#gate.open();
  }

  protected override stop(): void {}

  protected override go(): void {
    this.#owner.resumed();
  }
}
