/**
 * The base of all filters of pipelines: a sink that holds its next. What a filter does not override passes through. One
 * object serves one stream: it may keep what it likes in fields, and lets go of it in `dispose`.
 *
 * Lifecycle: made with its instance (`scope`), linked (`output`), fed, disposed once. After `dispose` nothing it emits
 * gets anywhere, so late promises need no check of their own.
 */
import { NOWHERE, type Sink } from "#pipeline/events/sink.ts";
import { writeBytes } from "#pipeline/events/emit.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { OVERLOADED } from "#pipeline/events/ending.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

export abstract class PipeFilter<C extends object = object> implements Sink {
  protected readonly scope: Scope<C>;
  /** The next filter, or the end of the instance. */
  output: Sink = NOWHERE;

  constructor(scope: Scope<C>) {
    this.scope = scope;
  }

  /** The instance is linked and begins: before any event. */
  started(): void {}

  messageStart(head: object): void {
    this.output.messageStart(head);
  }

  data(buffer: number, start: number, end: number): void {
    this.output.data(buffer, start, end);
  }

  messageEnd(tail: object | null): void {
    this.output.messageEnd(tail);
  }

  streamEnd(ending: Ending): void {
    this.output.streamEnd(ending);
  }

  /** The stream is over. The last call, once. */
  dispose(): void {}

  /** What regions are offsets into. */
  protected get memory(): Uint8Array {
    return this.scope.runtime.buffers.memory;
  }

  /** Bytes from elsewhere, copied into buffers and passed on. False, and the stream is broken off, without memory for them. */
  protected write(bytes: Uint8Array): boolean {
    if (writeBytes(bytes, this.output, this.scope.runtime)) return true;
    this.scope.break(OVERLOADED);
    return false;
  }
}
