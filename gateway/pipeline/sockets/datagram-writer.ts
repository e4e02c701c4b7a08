/**
 * Streams of datagrams: a message is a datagram, whatever pieces its bytes come in; bytes outside of any message are one
 * each. Receiving is the same the other way round. What is longer than a datagram can be is not sent.
 */
import { writeBytes } from "#pipeline/events/emit.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { CountedSource } from "#pipeline/flow.ts";
import type { Runtime } from "#pipeline/runtime.ts";

const BYTES_MAX = 65_507;

export class DatagramWriter implements Sink {
  readonly #memory: Uint8Array;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #ended: (ending: Ending) => void;
  #pieces: Uint8Array[] | null = null;
  #bytes = 0;

  constructor(runtime: Runtime, send: (bytes: Uint8Array) => void, ended: (ending: Ending) => void) {
    this.#memory = runtime.buffers.memory;
    this.#send = send;
    this.#ended = ended;
  }

  messageStart(): void {
    this.#pieces = [];
    this.#bytes = 0;
  }

  data(_buffer: number, start: number, end: number): void {
    const bytes = this.#memory.subarray(start, end);
    if (this.#pieces === null) {
      if (bytes.length <= BYTES_MAX) this.#send(bytes);
      return;
    }
    this.#bytes += bytes.length;
    if (this.#bytes <= BYTES_MAX) this.#pieces.push(bytes.slice());
  }

  messageEnd(): void {
    const pieces = this.#pieces;
    this.#pieces = null;
    if (pieces !== null && this.#bytes <= BYTES_MAX)
      this.#send(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces));
  }

  streamEnd(ending: Ending): void {
    this.#ended(ending);
  }
}

/** Datagrams that come while their readers are slow are lost, as they are on the way. */
export class DatagramSource extends CountedSource {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    super();
    this.#runtime = runtime;
  }

  /** One datagram, as a message. */
  deliver(bytes: Uint8Array, into: Sink): void {
    if (this.isPaused) return;
    const { flow } = this.#runtime;
    const before = flow.current;
    flow.current = this;
    into.messageStart({});
    writeBytes(bytes, into, this.#runtime);
    into.messageEnd(null);
    flow.current = before;
  }

  protected override stop(): void {}

  protected override go(): void {}
}
