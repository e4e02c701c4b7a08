/**
 * An HTTP/1.1 connection to an endpoint, one exchange at a time: writes the request, reads the response, then is idle in
 * its endpoint's pool or closed. While it is idle it goes on receiving, so a connection that the endpoint closes is known
 * to be dead before anything is sent on it.
 *
 *     CONNECTING ─▶ WAITING ─▶ BODY ─▶ IDLE ─▶ WAITING …          any ─▶ CLOSED
 *
 * What goes wrong is told to the exchange once, by `onUpstreamBroken` or `onConnectFailed`; the connection is closed by then.
 */
import { ETIMEDOUT } from "#core/errno.ts";
import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeChunkSize, encodeRequestHead, encodeTrailers, type RequestEncodeOptions } from "#http/h1/encode.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import {
  beginsTunnel,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  type Head,
  type Scratch,
} from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { Carry } from "#net/carry.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import { HeldRegions } from "#net/held.ts";
import {
  BROKEN_BAD_RESPONSE,
  BROKEN_CLOSED,
  BROKEN_NO_BUFFERS,
  BROKEN_RESET,
  BROKEN_TIMEOUT,
  BROKEN_UNUSED,
  type Broken,
} from "./broken.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ReleasedUpstream, ResponseSink, UpstreamStream, UpstreamTimeouts } from "./stream.ts";

const CONNECTING = 0;
const WAITING = 1;
const BODY = 2;
const IDLE = 3;
const CLOSED = 4;

/** `ffffffff CR LF` and the CRLF behind the chunk before it. */
const CHUNK_SIZE_BYTES = 20;
const SWITCHING_PROTOCOLS = 101;

export class Http1Upstream implements Protocol, UpstreamStream {
  readonly endpoint: Endpoint;
  readonly #connection: Connection;
  readonly #scratch: Scratch;
  readonly #limits: HeadLimits;
  readonly #carry: Carry;
  readonly #held: HeldRegions;
  #timeouts: UpstreamTimeouts;
  #sink: ResponseSink | null = null;
  #phase = CONNECTING;
  #activityMs: number;
  #requestFraming = FRAMING_NONE;
  #requestDone = false;
  /** What the connection had handed on when the request's head was written to it. */
  #handedBefore = -1;
  #responseFraming = FRAMING_NONE;
  #remaining = 0;
  #keepAlive = false;
  #blocked = false;
  #paused = false;
  #endSeen = false;
  /** There was no buffer for its introduction. */
  #nameless = false;
  #decoder: ChunkedDecoder | null = null;
  /** Exchanges this connection has served before: a failure on a used one may only mean that it was idle too long. */
  served = 0;

  constructor(
    endpoint: Endpoint,
    connection: Connection,
    timeouts: UpstreamTimeouts,
    limits: HeadLimits,
    scratch: Scratch,
  ) {
    this.endpoint = endpoint;
    this.#connection = connection;
    this.#timeouts = timeouts;
    this.#limits = limits;
    this.#scratch = scratch;
    this.#carry = new Carry(connection.buffers);
    this.#held = new HeldRegions(connection.buffers);
    this.#activityMs = connection.loop.nowMs;
    endpoint.enter();
  }

  /** Starts to connect on behalf of `sink`. `introduction`: what the endpoint gets before anything else; null: nothing. */
  dial(sink: ResponseSink, introduction: Uint8Array | null = null): void {
    this.#sink = sink;
    this.endpoint.connect(this.#connection, this);
    // Before it is connected: so it stands in front of whatever the connection writes by itself, as TLS does.
    if (introduction !== null && !this.#connection.sendAhead(introduction)) this.#nameless = true;
    this.#connection.expireBy(this.#activityMs + this.#timeouts.connectMs);
  }

  /** Takes an idle connection into service. */
  begin(sink: ResponseSink, timeouts: UpstreamTimeouts): void {
    this.#sink = sink;
    this.#phase = WAITING;
    this.#activityMs = this.#connection.loop.nowMs;
    this.endpoint.enter();
    if (timeouts !== this.#timeouts) {
      this.#timeouts = timeouts;
      this.#connection.expireBy(this.#activityMs + Math.min(timeouts.requestMs, timeouts.idleMs));
    }
  }

  get open(): boolean {
    return this.#phase !== CLOSED;
  }

  /** Bytes written that the endpoint has not taken. */
  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  /** Writes the head. False when it does not fit into one buffer, or none is free. */
  sendHead(head: Head, options: RequestEncodeOptions): boolean {
    const connection = this.#connection;
    let at = connection.reserve(head.end - head.start);
    if (at < 0) return false;
    let end = encodeRequestHead(head, at, connection.reservedEnd, options);
    if (end < 0) {
      connection.flush();
      at = connection.reserve(this.#scratch.regionBytes);
      if (at < 0) return false;
      end = encodeRequestHead(head, at, connection.reservedEnd, options);
      if (end < 0) return false;
    }
    connection.commit(end);
    this.#handedBefore = connection.handed;
    this.#requestFraming = options.framing;
    const empty = options.framing === FRAMING_LENGTH && head.contentLength === 0;
    this.#requestDone = empty || options.framing === FRAMING_NONE;
    return true;
  }

  sendData(buffer: number, start: number, end: number): void {
    const connection = this.#connection;
    this.#activityMs = connection.loop.nowMs;
    let written = true;
    if (this.#requestFraming === FRAMING_CHUNKED) {
      written = writeChunk(connection, buffer, start, end);
    } else {
      written = connection.write(buffer, start, end);
    }
    if (!written) this.#break(BROKEN_NO_BUFFERS);
  }

  sendEnd(trailers: Head | null): void {
    this.#requestDone = true;
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#requestFraming === FRAMING_CHUNKED && !writeLastChunk(this.#connection, trailers)) {
      this.#break(BROKEN_NO_BUFFERS);
    }
  }

  /** Stops reading the response until `resume`: the client is too slow. */
  pause(): void {
    this.#paused = true;
    this.#connection.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#activityMs = this.#connection.loop.nowMs;
    if (!this.#blocked) this.#connection.resume();
  }

  /** Within `onResponseHead`: keeps everything behind the head until `unblock`. */
  block(): void {
    this.#blocked = true;
    this.#connection.pause();
  }

  unblock(): void {
    this.#blocked = false;
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#phase === BODY) this.#completeIfEmpty(!this.#held.empty);
    while (!this.#blocked && this.#phase !== CLOSED && this.#held.shift()) {
      const { buffer, start, end } = this.#held;
      this.#consume(buffer, start, end);
      this.#connection.buffers.release(buffer);
    }
    if (this.#blocked || this.#phase === CLOSED) return;
    if (this.#endSeen) this.onEnd();
    else if (!this.#paused) this.#connection.resume();
  }

  /** The exchange is over before its time: closes without a word. */
  discard(): void {
    this.#sink = null;
    this.#close();
  }

  /** What the endpoint sent behind its head is in `held`, which passes to the caller with the connection. */
  release(): ReleasedUpstream {
    this.#sink = null;
    this.#phase = CLOSED;
    this.#carry.clear();
    const { endpoint } = this;
    return { connection: this.#connection, held: this.#held, left: () => endpoint.leave() };
  }

  onConnected(error: number): void {
    const sink = this.#sink;
    if (sink === null) return;
    if (error !== 0) {
      this.#failConnect(error);
      return;
    }
    this.#phase = WAITING;
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#nameless) {
      this.#break(BROKEN_NO_BUFFERS);
      return;
    }
    this.#connection.expireBy(this.#activityMs + this.#checkEveryMs());
    this.#connection.resume();
    sink.onConnected();
  }

  onBytes(buffer: number, start: number, end: number): void {
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#blocked) {
      this.#held.push(buffer, start, end);
      return;
    }
    this.#consume(buffer, start, end);
  }

  onEnd(): void {
    if (this.#blocked) {
      this.#endSeen = true;
      return;
    }
    if (this.#phase === BODY && this.#responseFraming === FRAMING_CLOSE) {
      this.#keepAlive = false;
      this.#complete(null, false);
    } else {
      this.#break(this.#unsent ? BROKEN_UNUSED : BROKEN_CLOSED);
    }
  }

  /** Nothing of the request has left: what comes, bytes or the end, is no answer to it. */
  get #unsent(): boolean {
    return this.#phase === WAITING && this.#handedBefore === this.#connection.handed;
  }

  onDrained(): void {
    this.#activityMs = this.#connection.loop.nowMs;
    this.#sink?.onUpstreamDrained();
  }

  onBroken(): void {
    if (this.#phase === CONNECTING) this.#failConnect(ETIMEDOUT);
    else this.#break(this.#unsent ? BROKEN_UNUSED : BROKEN_RESET);
  }

  onDeadline(nowMs: number): void {
    if (this.#phase === CONNECTING) {
      this.#failConnect(ETIMEDOUT);
      return;
    }
    const allowed = this.#phase === IDLE ? this.#timeouts.idleMs : this.#timeouts.requestMs;
    // It is the client who keeps us waiting, or a filter.
    const lacksRequest = this.#phase !== IDLE && !this.#requestDone && this.#connection.queuedBytes === 0;
    if (this.#paused || this.#blocked || lacksRequest) this.#activityMs = nowMs;
    const limit = this.#activityMs + allowed;
    if (nowMs < limit) this.#connection.expireBy(Math.min(limit, nowMs + this.#checkEveryMs()));
    else if (this.#phase === IDLE) this.#leavePool();
    else this.#break(BROKEN_TIMEOUT);
  }

  /** Never longer than either time-out, so that a phase that begins between two checks is not noticed late. */
  #checkEveryMs(): number {
    return Math.min(this.#timeouts.requestMs, this.#timeouts.idleMs);
  }

  #consume(buffer: number, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#blocked) {
        this.#held.push(buffer, at, end);
        return;
      }
      if (this.#phase === WAITING) at = this.#readHead(buffer, at, end);
      else if (this.#phase === BODY) at = this.#readBody(buffer, at, end);
      else {
        // Bytes that answer nothing: the connection can't be trusted any more.
        if (this.#phase === IDLE) this.#leavePool();
        return;
      }
    }
  }

  /** Answers where to go on; `end` when all is used. */
  #readHead(buffer: number, at: number, end: number): number {
    if (this.#unsent) {
      this.#break(BROKEN_UNUSED);
      return end;
    }
    const sink = this.#sink as ResponseSink;
    const carry = this.#carry;
    if (!carry.active) {
      const next = parseResponseHead(sink.response, at, end, this.#limits, sink.requestMethod);
      if (next > 0) {
        const on = this.#keepBehind(sink, buffer, next, end);
        this.#headRead(sink, buffer, next < end);
        return on;
      }
      if (next < 0) return this.#badResponse(end);
      if (carry.append(at, end) < 0) {
        this.#break(BROKEN_NO_BUFFERS);
      }
      return end;
    }
    const before = carry.end;
    const copied = carry.append(at, end);
    const next = parseResponseHead(sink.response, carry.start, carry.end, this.#limits, sink.requestMethod);
    if (next < 0 || (next === 0 && copied < end - at)) return this.#badResponse(end);
    if (next === 0) return end;
    const owned = carry.detach();
    const behind = at + (next - before);
    const on = this.#keepBehind(sink, buffer, behind, end);
    this.#headRead(sink, owned, behind < end);
    this.#connection.buffers.release(owned);
    return on;
  }

  /** What is not HTTP any more is there when the connection is handed over. Answers where to go on. */
  #keepBehind(sink: ResponseSink, buffer: number, at: number, end: number): number {
    if (!beginsTunnel(sink.response.status, sink.requestMethod) || at === end) return at;
    this.#held.push(buffer, at, end);
    return end;
  }

  #badResponse(end: number): number {
    this.#break(BROKEN_BAD_RESPONSE);
    return end;
  }

  /** `more`: bytes have come behind the head. */
  #headRead(sink: ResponseSink, buffer: number, more: boolean): void {
    const head = sink.response;
    if (head.status < 200 && head.status !== SWITCHING_PROTOCOLS) {
      sink.onInformational();
      head.reset();
      return;
    }
    this.#phase = BODY;
    this.#responseFraming = head.framing;
    this.#remaining = head.framing === FRAMING_LENGTH ? head.contentLength : 0;
    this.#keepAlive = head.keepAlive && head.framing !== FRAMING_CLOSE;
    if (head.framing === FRAMING_CHUNKED) {
      this.#decoder ??= new ChunkedDecoder(this.#scratch);
      this.#decoder.reset(this.#limits);
    }
    sink.onResponseHead(buffer);
    if (this.#sink !== sink) return;
    if (!this.#blocked) this.#completeIfEmpty(more);
  }

  /** A response without a body is whole with its head. */
  #completeIfEmpty(more: boolean): void {
    const sink = this.#sink;
    const tunnel = sink !== null && beginsTunnel(sink.response.status, sink.requestMethod);
    if (
      (this.#responseFraming === FRAMING_NONE && !tunnel) ||
      (this.#responseFraming === FRAMING_LENGTH && this.#remaining === 0)
    )
      this.#complete(null, more);
  }

  #readBody(buffer: number, at: number, end: number): number {
    const sink = this.#sink as ResponseSink;
    if (this.#responseFraming === FRAMING_LENGTH) {
      const stop = Math.min(end, at + this.#remaining);
      this.#remaining -= stop - at;
      if (stop > at) sink.onResponseData(buffer, at, stop);
      if (this.#remaining === 0 && this.#sink === sink) this.#complete(null, stop < end);
      return stop;
    }
    if (this.#responseFraming === FRAMING_CHUNKED) return this.#readChunks(sink, buffer, at, end);
    sink.onResponseData(buffer, at, end);
    return end;
  }

  #readChunks(sink: ResponseSink, buffer: number, at: number, end: number): number {
    const decoder = this.#decoder as ChunkedDecoder;
    const result = decoder.decode(this.#connection.memory, at, end);
    if (result === CHUNK_DATA) sink.onResponseData(buffer, decoder.dataStart, decoder.dataEnd);
    else if (result === CHUNK_END) this.#complete(decoder.trailers, decoder.next < end);
    else if (result !== CHUNK_MORE) return this.#badResponse(end);
    return decoder.next;
  }

  /**
   * The response is whole. The connection is free before the exchange hears of it, so that it can be taken again at once.
   * With `more` bytes behind the response it is not: they answer nothing, and would be read as the next one's answer.
   */
  #complete(trailers: Head | null, more: boolean): void {
    const sink = this.#sink as ResponseSink;
    this.#sink = null;
    this.served++;
    const reusable = !more && this.#keepAlive && this.#requestDone && this.endpoint.references > 0;
    if (reusable) this.#toPool();
    sink.onResponseEnd(trailers !== null && trailers.fieldCount > 0 ? trailers : null);
    trailers?.reset();
    if (!reusable) this.#close();
  }

  #toPool(): void {
    this.#phase = IDLE;
    this.#paused = false;
    this.endpoint.leave();
    this.#connection.resume();
    this.endpoint.put(this, this.#connection.loop.turns);
  }

  #leavePool(): void {
    this.endpoint.drop(this);
    this.#close();
  }

  #failConnect(error: number): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#close();
    sink?.onConnectFailed(error);
  }

  #break(reason: Broken): void {
    if (this.#phase === IDLE) {
      this.#leavePool();
      return;
    }
    const sink = this.#sink;
    this.#sink = null;
    this.#close();
    sink?.onUpstreamBroken(reason);
  }

  #close(): void {
    if (this.#phase === CLOSED) return;
    if (this.#phase !== IDLE) this.endpoint.leave();
    this.#phase = CLOSED;
    this.#carry.clear();
    this.#held.clear();
    this.#decoder?.trailers.reset();
    this.#connection.close();
  }
}

/** One chunk: its size line, the region, and the line end. False when the process is out of buffers. */
export function writeChunk(connection: Connection, buffer: number, start: number, end: number): boolean {
  if (end === start) return true;
  const at = connection.reserve(CHUNK_SIZE_BYTES);
  if (at < 0) return false;
  connection.commit(encodeChunkSize(connection.memory, at, end - start));
  if (!connection.write(buffer, start, end)) return false;
  const tail = connection.reserve(2);
  if (tail < 0) return false;
  connection.memory[tail] = 0x0d;
  connection.memory[tail + 1] = 0x0a;
  connection.commit(tail + 2);
  return true;
}

/** The last chunk and the trailer section. False when the process is out of buffers. */
export function writeLastChunk(connection: Connection, trailers: Head | null): boolean {
  const wanted = trailers === null ? CHUNK_SIZE_BYTES : trailers.lineBytes + CHUNK_SIZE_BYTES;
  const at = connection.reserve(wanted);
  if (at < 0) return false;
  if (trailers === null) {
    connection.memory.set(LAST_CHUNK, at);
    connection.commit(at + LAST_CHUNK.length);
    return true;
  }
  const end = encodeTrailers(trailers, at, connection.reservedEnd);
  if (end < 0) return false;
  connection.commit(end);
  return true;
}

/** `0 CRLF CRLF`: the end of a chunked body without trailers. */
const LAST_CHUNK = Uint8Array.of(0x30, 0x0d, 0x0a, 0x0d, 0x0a);
