/**
 * A connection to an endpoint that is to be joined to the client's as it is: where the gateway itself ends a CONNECT, the endpoint is sent
 * nothing of it, and the answer is made here as soon as the connection stands. Nothing is received before it is handed over, so an
 * endpoint that speaks first is heard behind the answer.
 *
 *     CONNECTING ─▶ ANSWERED ─▶ released        any ─▶ CLOSED
 */
import type { HttpDate } from "#http/date.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { piece, writePiece } from "#http/h1/write.ts";
import { METHOD_CONNECT } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import { HeldRegions } from "#net/held.ts";
import { bufferBytes } from "#pipeline/runtime.ts";
import { ETIMEDOUT } from "#core/errno.ts";
import { BROKEN_NO_BUFFERS, BROKEN_RESET, type Broken } from "./broken.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ReleasedUpstream, ResponseSink, UpstreamStream } from "./stream.ts";

const STATUS_LINE = piece("HTTP/1.1 200 OK\r\n");
const HEAD_END = piece("\r\n");
const LIMITS: HeadLimits = { headBytesMax: 256, targetBytesMax: 0, fieldsMax: 8 };

export class TunnelStream implements Protocol, UpstreamStream {
  readonly endpoint: Endpoint;
  readonly served = 0;
  readonly #connection: Connection;
  readonly #date: HttpDate;
  #sink: ResponseSink | null = null;
  #connected = false;
  #closed = false;
  /** There was no buffer for its introduction. */
  #nameless = false;

  constructor(endpoint: Endpoint, connection: Connection, date: HttpDate) {
    this.endpoint = endpoint;
    this.#connection = connection;
    this.#date = date;
    endpoint.enter();
  }

  /** `introduction`: what the endpoint gets before anything else; null: nothing. */
  dial(sink: ResponseSink, introduction: Uint8Array | null, connectMs: number): void {
    const connection = this.#connection;
    this.#sink = sink;
    this.endpoint.connectStream(connection, this);
    // Before it is connected: so it stands in front of whatever the connection writes by itself, as TLS does.
    if (introduction !== null && !connection.sendAhead(introduction)) this.#nameless = true;
    connection.expireBy(connection.loop.nowMs + connectMs);
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  /** The request ends at the gateway, and has no content. */
  sendHead(): boolean {
    return true;
  }

  sendData(): void {}
  sendEnd(): void {}

  /** Never idle: it serves one client. */
  begin(): void {}

  /** It does not receive as it is. */
  pause(): void {}
  resume(): void {}
  block(): void {}
  unblock(): void {}

  discard(): void {
    this.#sink = null;
    this.#close();
  }

  release(): ReleasedUpstream {
    this.#sink = null;
    this.#closed = true;
    const { endpoint } = this;
    const held = new HeldRegions(this.#connection.buffers);
    return { connection: this.#connection, held, left: () => endpoint.leave() };
  }

  onConnected(error: number): void {
    const sink = this.#sink;
    if (sink === null) return;
    if (error !== 0) {
      this.#failConnect(error);
      return;
    }
    this.#connected = true;
    this.#connection.deadlineMs = Number.POSITIVE_INFINITY;
    this.#connection.loop.timers.forget(this.#connection);
    if (this.#nameless) {
      this.#break(BROKEN_NO_BUFFERS);
      return;
    }
    sink.onConnected();
    if (this.#sink === sink) this.#answer(sink);
  }

  #answer(sink: ResponseSink): void {
    const { buffers } = this.#connection;
    const buffer = buffers.allocate();
    if (buffer < 0) {
      this.#break(BROKEN_NO_BUFFERS);
      return;
    }
    const { memory } = buffers;
    const at = buffer * bufferBytes(buffers);
    const limit = at + LIMITS.headBytesMax;
    // Without framing fields: RFC 9110 section 9.3.6.
    let end = writePiece(memory, at, limit, STATUS_LINE);
    end = writePiece(memory, end, limit, this.#date.line);
    end = writePiece(memory, end, limit, HEAD_END);
    parseResponseHead(sink.response, at, end, LIMITS, METHOD_CONNECT);
    sink.onResponseHead(buffer);
    buffers.release(buffer);
  }

  onBytes(): void {}

  /** The relay passes it on. */
  onEnd(): void {}

  onDrained(): void {}

  onBroken(error: number): void {
    if (this.#connected) this.#break(BROKEN_RESET);
    else this.#failConnect(error);
  }

  onDeadline(): void {
    this.#failConnect(ETIMEDOUT);
  }

  #failConnect(error: number): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#close();
    sink?.onConnectFailed(error);
  }

  #break(reason: Broken): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#close();
    sink?.onUpstreamBroken(reason);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.endpoint.leave();
    this.#connection.close();
  }
}
