/**
 * The event model: a stream is passed from sink to sink as method calls. A stream of bytes is `data … streamEnd`, a stream
 * of messages `messageStart data … messageEnd … streamEnd`; both may alternate in one stream.
 *
 * Bytes come as regions of the data plane's memory (`buffer`, `start`, `end`), valid for the call: who keeps one longer
 * retains its buffer, and releases it. A head is an object, valid until its message's exchange has ended: an `HttpHead`
 * where HTTP is spoken, whatever a codec says where it is not. A tail is a plain object, or null.
 *
 * Nothing follows `streamEnd`. A sink may be called again from within a call to its output: what it has to remember, it
 * remembers before it passes an event on. Back-pressure does not show here: see `flow.ts`.
 */
import type { Ending } from "./ending.ts";

export interface Sink {
  messageStart(head: object): void;
  data(buffer: number, start: number, end: number): void;
  messageEnd(tail: object | null): void;
  streamEnd(ending: Ending): void;
}

/** Where filters end that nobody listens to any more. */
export const NOWHERE: Sink = {
  messageStart: () => {},
  data: () => {},
  messageEnd: () => {},
  streamEnd: () => {},
};
