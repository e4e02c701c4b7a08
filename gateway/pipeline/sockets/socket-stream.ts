/**
 * A connection as both ends of a pipeline: what it receives goes to its `receiver`, and it is the sink of what is to be sent. As a
 * source it can be paused; as a sink it stops whoever writes more than it can send.
 *
 *     ENDED out       FIN behind everything; what the peer still sends is taken
 *     FINISHED out    FIN; the peer's rest is read and dropped for a moment, so that it can read the answer; then closed
 *     other endings   closed by reset: the peer must not take what it has for the whole
 *
 * The connection is closed when both directions have ended. `owner.closed` is the last call, once.
 */
import { HIGH_WATERMARK_BYTES, type Connection, type Protocol } from "#net/connection.ts";
import { ENDED, FINISHED, IDLE_TIMEOUT, OVERLOADED, RESET, type Ending } from "#pipeline/events/ending.ts";
import { NOWHERE, type Sink } from "#pipeline/events/sink.ts";
import { CountedSource, Gate } from "#pipeline/flow.ts";
import type { Runtime } from "#pipeline/runtime.ts";

export interface SocketOwner {
  /** A connect ended: 0, an errno, TLS_FAILED or TLS_UNTRUSTED. */
  connected(error: number): void;
  /** Nothing more comes, nothing more can be sent. */
  closed(): void;
}

/** Something with a way in, which may change. */
export interface Receiver {
  readonly input: Sink;
}

const NO_RECEIVER: Receiver = { input: NOWHERE };

/** How long a peer may take to read what it was sent last. */
const PATIENCE_MS = 30_000;

export class SocketStream extends CountedSource implements Protocol, Sink {
  readonly connection: Connection;
  readonly #runtime: Runtime;
  readonly #owner: SocketOwner;
  readonly #gate: Gate;
  /** Without a byte in either direction for this long it is given up. */
  readonly #idleMs: number;
  /** Whose input what is received goes to. */
  receiver: Receiver = NO_RECEIVER;
  #inEnded = false;
  #outEnded = false;
  #closed = false;
  bytesIn = 0;
  bytesOut = 0;

  constructor(connection: Connection, runtime: Runtime, owner: SocketOwner, idleMs: number) {
    super();
    this.connection = connection;
    this.#runtime = runtime;
    this.#owner = owner;
    this.#gate = new Gate(runtime.flow);
    this.#idleMs = idleMs;
  }

  /** The connection is established: begins to receive. */
  begin(): void {
    this.#touch();
    this.connection.expireBy(this.connection.deadlineMs);
    if (!this.isPaused) this.connection.resume();
  }

  #touch(): void {
    this.connection.deadlineMs = this.connection.loop.nowMs + this.#idleMs;
  }

  // What the connection tells.

  onConnected(error: number): void {
    this.#owner.connected(error);
  }

  onBytes(buffer: number, start: number, end: number): void {
    this.#touch();
    this.bytesIn += end - start;
    const { flow } = this.#runtime;
    const before = flow.current;
    flow.current = this;
    this.receiver.input.data(buffer, start, end);
    flow.current = before;
  }

  onEnd(): void {
    if (this.#inEnded) return;
    this.#inEnded = true;
    this.#endInput(ENDED);
    this.#closeWhenDone();
  }

  onDrained(): void {
    this.#touch();
    this.#gate.open();
    this.#closeWhenDone();
  }

  onBroken(): void {
    this.#endInput(RESET);
    this.#close();
  }

  onDeadline(nowMs: number): void {
    if (nowMs < this.connection.deadlineMs) this.connection.expireBy(this.connection.deadlineMs);
    else if (this.connection.tookSome()) {
      this.#touch();
      this.connection.expireBy(this.connection.deadlineMs);
    } else {
      this.#endInput(IDLE_TIMEOUT);
      this.abort();
    }
  }

  // What is to be sent.

  messageStart(): void {}

  data(buffer: number, start: number, end: number): void {
    const { connection } = this;
    if (this.#outEnded) return;
    this.bytesOut += end - start;
    if (!connection.write(buffer, start, end)) {
      this.#endInput(OVERLOADED);
      this.abort();
    } else if (connection.queuedBytes > HIGH_WATERMARK_BYTES) this.#gate.shut();
  }

  messageEnd(): void {}

  streamEnd(ending: Ending): void {
    if (this.#outEnded) return;
    this.#outEnded = true;
    if (ending === FINISHED) this.#finish();
    else if (ending !== ENDED) this.abort();
    else {
      this.connection.end();
      this.#closeWhenDone();
    }
  }

  /** Closes now; what is queued is lost. */
  close(): void {
    this.connection.close();
    this.#close();
  }

  /** Closes by reset. */
  abort(): void {
    this.connection.reset();
    this.#close();
  }

  protected override stop(): void {
    this.connection.pause();
  }

  protected override go(): void {
    this.connection.resume();
  }

  #endInput(ending: Ending): void {
    const { input } = this.receiver;
    this.receiver = NO_RECEIVER;
    const { flow } = this.#runtime;
    const before = flow.current;
    flow.current = this;
    input.streamEnd(ending);
    flow.current = before;
  }

  #finish(): void {
    if (this.#inEnded && this.connection.queuedBytes === 0) this.connection.close();
    else this.connection.linger(PATIENCE_MS);
    this.#close();
  }

  #closeWhenDone(): void {
    if (!this.#inEnded || !this.#outEnded) return;
    this.connection.flush();
    if (this.connection.queuedBytes > 0) return;
    this.connection.close();
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outEnded = true;
    this.receiver = NO_RECEIVER;
    this.#gate.open();
    this.#owner.closed();
  }
}
