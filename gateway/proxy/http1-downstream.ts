/**
 * An HTTP/1.1 client connection: reads requests, one at a time and in order, and writes their responses.
 *
 *     IDLE ─▶ HEAD (in pieces) ─▶ BODY ─▶ ANSWERING ─▶ IDLE …      ─▶ CLOSING (sent FIN, discarding) ─▶ closed
 *       └──────────── whole head ───┘
 *
 * Pipelined requests wait in the buffers they were received in, with the receive stopped, until their turn.
 *
 * Deadlines are checked lazily: every event stamps `#activityMs`, and the timer compares when it fires.
 */
import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeResponseHead } from "#http/h1/encode.ts";
import { findHeadEnd } from "#http/h1/find-head-end.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { REFUSED_HEAD_LENGTH, refusalOf } from "#http/refusals.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { Carry } from "#net/carry.ts";
import { HIGH_WATERMARK_BYTES, type Connection, type Protocol } from "#net/connection.ts";
import { HeldRegions } from "#net/held.ts";
import { CONNECTIONS_OPEN } from "#observe/counters.ts";
import { writeChunk, writeLastChunk } from "#upstream/http1-upstream.ts";
import type { Drainable, ListenerContext } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { ProxyExchange } from "./exchange.ts";
import type { ExchangePool } from "./exchange-pool.ts";
import { BAD_REQUEST, CLIENT_GONE, OVERLOADED } from "./outcomes.ts";
import { responseOptions } from "./response-options.ts";

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const ANSWERING = 3;
const CLOSED = 4;

/** A request body that the response did not wait for is read to its end up to this many bytes, else the connection closes. */
const DISCARD_BYTES_MAX = 256 * 1024;

export class Http1Downstream implements Protocol, DownstreamStream, Drainable {
  readonly client: string;
  readonly listener: ListenerContext;
  readonly trusted: boolean;
  readonly originalAddress: string | null;
  requestMinor = 1;
  readonly #connection: Connection;
  readonly #exchanges: ExchangePool;
  readonly #carry: Carry;
  readonly #held: HeldRegions;
  #exchange: ProxyExchange | null = null;
  #phase = IDLE;
  #activityMs: number;
  /** A head must be whole by then; meaningful in phase HEAD. */
  #headDeadlineMs = 0;
  #requestFraming = FRAMING_NONE;
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  #responseFraming = FRAMING_NONE;
  #keepAlive = true;
  #draining = false;
  /** Within `#consume`: what ends there must not start it again. */
  #consuming = false;
  /** The client has sent FIN. */
  #clientEnded = false;
  #discarded = 0;
  /** Bytes that the client had not taken at the last look at the deadline, and when that was. */
  #queuedSeen = 0;
  #seenMs = 0;

  constructor(
    connection: Connection,
    listener: ListenerContext,
    exchanges: ExchangePool,
    client: string,
    trusted: boolean,
    originalAddress: string | null,
  ) {
    this.#connection = connection;
    this.listener = listener;
    this.#exchanges = exchanges;
    this.client = client;
    this.trusted = trusted;
    this.originalAddress = originalAddress;
    this.#carry = new Carry(connection.buffers);
    this.#held = new HeldRegions(connection.buffers);
    this.#activityMs = connection.loop.nowMs;
    listener.connections.add(this);
    listener.worker.counters.add(CONNECTIONS_OPEN, 1);
  }

  start(): void {
    this.#connection.resume();
    this.#checkBy(this.#activityMs + this.#settings.headTimeoutMs);
  }

  get #settings(): ListenerContext["engine"]["snapshot"]["settings"] {
    return this.listener.engine.snapshot.settings;
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  drain(): void {
    this.#draining = true;
    if (this.#phase === IDLE && this.#held.empty) this.#closeAfterAnswer(true);
  }

  // What the connection tells.

  onConnected(): void {}

  onBytes(buffer: number, start: number, end: number): void {
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#held.empty) this.#consume(buffer, start, end);
    else this.#held.push(buffer, start, end);
  }

  onEnd(): void {
    this.#clientEnded = true;
    // What was asked before is answered, to the last byte.
    if (this.#phase === IDLE && this.#held.empty) this.#closeAfterAnswer(true);
    else if (this.#phase === HEAD) this.#refuse(400, "head-cut", "the connection ended in the middle of the head");
    else if (this.#phase === BODY && this.#held.empty) this.#cut();
  }

  onDrained(): void {
    this.#activityMs = this.#connection.loop.nowMs;
    if (this.#exchange !== null) this.#exchange.clientDrained();
    else if (this.#phase === IDLE) this.#pump();
  }

  onBroken(): void {
    this.#gone();
  }

  onDeadline(nowMs: number): void {
    const settings = this.#settings;
    if (this.#phase === HEAD) {
      if (nowMs >= this.#headDeadlineMs) this.#refuse(408, "head-timeout", "the head did not arrive in time");
      else this.#checkBy(this.#headDeadlineMs);
      return;
    }
    const queued = this.#connection.queuedBytes;
    const waitsForBody = this.#phase === BODY && this.#exchange?.wantsBody !== false;
    if (this.#phase !== IDLE && !waitsForBody && queued === 0) this.#activityMs = nowMs;
    // A client that reads slowly is told from one that has stopped by what is left: some of it went since the last look.
    else if (queued < this.#queuedSeen) this.#activityMs = Math.max(this.#activityMs, this.#seenMs);
    this.#queuedSeen = queued;
    this.#seenMs = nowMs;
    const limit = this.#activityMs + (this.#phase === IDLE ? settings.idleTimeoutMs : settings.bodyIdleTimeoutMs);
    // A filter that never decides must not keep a request for ever: its client may be long gone.
    const decided = (this.#exchange?.suspendedMs ?? Infinity) + settings.idleTimeoutMs;
    if (nowMs < limit) this.#checkBy(decided > nowMs ? Math.min(limit, decided) : limit);
    if (nowMs >= decided) this.#exchange?.filterTimedOut();
    else if (nowMs < limit) return;
    else if (this.#phase === IDLE) this.#close();
    else this.#timeOut();
  }

  /**
   * Looks at the deadline by `limitMs`, and so often that no phase that begins meanwhile is noticed late; twice in the
   * shortest, to see whether a slow reader moves.
   */
  #checkBy(limitMs: number): void {
    const { idleTimeoutMs, bodyIdleTimeoutMs } = this.#settings;
    const everyMs = Math.min(idleTimeoutMs, bodyIdleTimeoutMs) / 2;
    this.#connection.expireBy(Math.min(limitMs, this.#connection.loop.nowMs + everyMs));
  }

  // What the exchange asks for.

  sendInformational(head: Head): void {
    // Nobody must have it, and nothing else bounds how many an upstream sends.
    if (this.#connection.queuedBytes > HIGH_WATERMARK_BYTES) return;
    const at = this.#connection.reserve(head.end - head.start + 1024);
    if (at < 0) return;
    const end = encodeResponseHead(
      head,
      at,
      this.#connection.reservedEnd,
      responseOptions(this.requestMinor, FRAMING_NONE, true, false),
    );
    if (end > 0) this.#connection.commit(end);
    this.#connection.flush();
  }

  sendHead(head: Head): boolean {
    let framing = head.framing;
    if (framing === FRAMING_CHUNKED || framing === FRAMING_CLOSE) {
      framing = this.requestMinor === 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
    }
    // A client that expects 100 may keep its body back now: what comes next could be either (RFC 9110 §10.1.1).
    const unsure = this.#exchange?.request.expectContinue === true;
    const bodyLeft = this.#phase === BODY && (unsure || !this.#canDiscard());
    if (framing === FRAMING_CLOSE || this.#draining || bodyLeft) this.#keepAlive = false;
    this.#responseFraming = framing;
    const upgrade = head.status === 101;
    const options = responseOptions(this.requestMinor, framing, this.#keepAlive, upgrade);
    const connection = this.#connection;
    if (connection.queuedBytes === 0) this.#activityMs = connection.loop.nowMs;
    let at = connection.reserve(head.end - head.start + 256);
    if (at < 0) return false;
    let end = encodeResponseHead(head, at, connection.reservedEnd, options);
    if (end < 0) {
      connection.flush();
      at = connection.reserve(BUFFER_BYTES);
      if (at < 0) return false;
      end = encodeResponseHead(head, at, connection.reservedEnd, options);
      if (end < 0) return false;
    }
    connection.commit(end);
    return true;
  }

  sendData(buffer: number, start: number, end: number): void {
    const connection = this.#connection;
    if (connection.queuedBytes === 0) this.#activityMs = connection.loop.nowMs;
    const chunked = this.#responseFraming === FRAMING_CHUNKED;
    const written = chunked ? writeChunk(connection, buffer, start, end) : connection.write(buffer, start, end);
    if (!written) this.#exchange?.clientGone(OVERLOADED);
  }

  sendEnd(trailers: Head | null): void {
    if (this.#responseFraming !== FRAMING_CHUNKED) return;
    if (!writeLastChunk(this.#connection, trailers)) this.#exchange?.clientGone(OVERLOADED);
  }

  resumeRequest(): void {
    if (this.#phase !== BODY || this.#consuming) return;
    this.#activityMs = this.#connection.loop.nowMs;
    this.#pump();
  }

  pauseRequest(): void {
    this.#connection.pause();
  }

  abort(): void {
    this.#keepAlive = false;
  }

  finished(clean: boolean): void {
    this.#exchange = null;
    if (this.#phase === CLOSED) return;
    if (!this.#keepAlive || (!clean && this.#phase !== BODY)) {
      this.#closeAfterAnswer(clean);
      return;
    }
    // A body that nobody waits for any more is read and dropped; what follows it is the next request.
    if (this.#phase === BODY) {
      if (!this.#canDiscard()) this.#closeAfterAnswer(true);
      else if (!this.#consuming) this.#pump();
      return;
    }
    this.#nextRequest();
  }

  release(): { connection: Connection; held: HeldRegions; left(): void } {
    this.#phase = CLOSED;
    this.#carry.clear();
    return { connection: this.#connection, held: this.#held, left: () => this.#leave() };
  }

  // Reading.

  #nextRequest(): void {
    this.#phase = IDLE;
    this.#activityMs = this.#connection.loop.nowMs;
    if (!this.#consuming) this.#pump();
  }

  /** Works off what is held, then receives again. */
  #pump(): void {
    while (this.#canConsume() && this.#held.shift()) {
      const { buffer, start, end } = this.#held;
      this.#consume(buffer, start, end);
      this.#connection.buffers.release(buffer);
    }
    if (!this.#canConsume() || this.#phase === CLOSED) return;
    if (this.#clientEnded) this.onEnd();
    else if (this.#draining && this.#phase === IDLE) this.#closeAfterAnswer(true);
    else this.#connection.resume();
  }

  #canConsume(): boolean {
    if (this.#phase === CLOSED || this.#phase === ANSWERING) return false;
    // Pipelined requests whose answers are not read are not begun: their answers would fill the memory.
    if (this.#phase === IDLE) return this.#connection.queuedBytes <= HIGH_WATERMARK_BYTES;
    return this.#phase !== BODY || this.#exchange === null || this.#exchange.wantsBody;
  }

  #consume(buffer: number, start: number, end: number): void {
    this.#consuming = true;
    let at = start;
    while (at < end && this.#canConsume()) {
      at = this.#phase === BODY ? this.#readBody(buffer, at, end) : this.#readHead(buffer, at, end);
    }
    this.#consuming = false;
    if (this.#phase === CLOSED) return;
    if (at < end) {
      this.#held.unshift(buffer, at, end);
      this.#connection.pause();
    } else if (this.#phase === IDLE && this.#held.empty) {
      if (this.#clientEnded || this.#draining) this.#closeAfterAnswer(true);
      else this.#connection.resume();
    }
  }

  /** Parses a head where it lies, or puts it together; answers where to go on. */
  #readHead(buffer: number, at: number, end: number): number {
    const carry = this.#carry;
    if (carry.active) return this.#readCarried(at, end);
    const exchange = this.#exchanges.take();
    const next = parseRequestHead(exchange.request, at, end, this.listener.engine.limits);
    if (next > 0) {
      this.#begin(exchange, buffer);
      return next;
    }
    exchange.request.reset();
    if (next < 0) {
      this.#refuseWith(exchange, next);
      return end;
    }
    this.#exchanges.give(exchange);
    if (carry.append(at, end) < 0) {
      this.#gone();
      return end;
    }
    this.#phase = HEAD;
    this.#headDeadlineMs = this.#connection.loop.nowMs + this.#settings.headTimeoutMs;
    this.#connection.expireBy(this.#headDeadlineMs);
    return end;
  }

  #readCarried(at: number, end: number): number {
    const carry = this.#carry;
    const before = carry.end;
    const copied = carry.append(at, end);
    const limits = this.listener.engine.limits;
    // A dripping head is only searched for its end, which costs no more than its bytes; parsed once, when it is whole.
    const whole = findHeadEnd(this.#connection.memory, Math.max(carry.start, before - 3), carry.end) >= 0;
    if (!whole && copied === end - at && carry.end - carry.start <= limits.headBytesMax) return end;
    const exchange = this.#exchanges.take();
    const next = parseRequestHead(exchange.request, carry.start, carry.end, limits);
    if (next > 0) {
      const owned = carry.detach();
      this.#begin(exchange, owned);
      this.#connection.buffers.release(owned);
      return at + (next - before);
    }
    exchange.request.reset();
    if (next === 0 && copied === end - at) {
      this.#exchanges.give(exchange);
      return end;
    }
    carry.clear();
    if (next === 0) this.#refuseWith(exchange, REFUSED_HEAD_LENGTH);
    else this.#refuseWith(exchange, next);
    return end;
  }

  #begin(exchange: ProxyExchange, buffer: number): void {
    const request = exchange.request;
    this.#exchange = exchange;
    this.requestMinor = request.minor;
    this.#keepAlive = request.keepAlive && !this.#draining;
    this.#requestFraming = request.framing;
    this.#discarded = 0;
    this.#phase = request.framing === FRAMING_NONE ? ANSWERING : BODY;
    if (request.framing === FRAMING_LENGTH) {
      this.#remaining = request.contentLength;
      if (this.#remaining === 0) this.#phase = ANSWERING;
    } else if (request.framing === FRAMING_CHUNKED) {
      this.#decoder ??= new ChunkedDecoder(this.listener.worker.scratch);
      this.#decoder.reset(this.listener.engine.limits);
    }
    exchange.begin(this, buffer);
  }

  #readBody(buffer: number, at: number, end: number): number {
    if (this.#requestFraming === FRAMING_LENGTH) {
      const stop = Math.min(end, at + this.#remaining);
      this.#remaining -= stop - at;
      this.#bodyData(buffer, at, stop);
      if (this.#remaining === 0) this.#bodyEnd(null);
      return stop;
    }
    const decoder = this.#decoder as ChunkedDecoder;
    const result = decoder.decode(this.#connection.memory, at, end);
    if (result === CHUNK_DATA) this.#bodyData(buffer, decoder.dataStart, decoder.dataEnd);
    else if (result === CHUNK_END) this.#bodyEnd(decoder.trailers);
    else if (result !== CHUNK_MORE) {
      this.#badBody(result);
      return end;
    }
    return decoder.next;
  }

  #bodyData(buffer: number, start: number, end: number): void {
    if (this.#exchange !== null) {
      this.#exchange.requestData(buffer, start, end);
      return;
    }
    this.#discarded += end - start;
    if (!this.#canDiscard()) this.#closeAfterAnswer(true);
  }

  #bodyEnd(trailers: Head | null): void {
    if (this.#phase !== BODY) return;
    if (this.#exchange === null) {
      this.#nextRequest();
    } else {
      this.#phase = ANSWERING;
      this.#exchange.requestEnd(trailers !== null && trailers.fieldCount > 0 ? trailers : null);
    }
    trailers?.reset();
  }

  #canDiscard(): boolean {
    const known = this.#requestFraming === FRAMING_LENGTH ? this.#remaining : 0;
    return this.#discarded + known <= DISCARD_BYTES_MAX;
  }

  /** A chunk that is none: what of the body has reached the upstream is taken back by breaking that connection. */
  #badBody(refusal: number): void {
    const exchange = this.#exchange;
    this.#keepAlive = false;
    if (exchange === null) {
      this.#closeAfterAnswer(true);
      return;
    }
    exchange.refuseBody(refusal);
  }

  #refuseWith(exchange: ProxyExchange, refusal: number): void {
    const { status, code, detail } = refusalOf(refusal);
    this.#exchange = exchange;
    this.#keepAlive = false;
    this.#phase = ANSWERING;
    this.requestMinor = 1;
    exchange.refuse(this, status, code, detail);
  }

  #refuse(status: number, code: string, detail: string): void {
    const exchange = this.#exchanges.take();
    this.#carry.clear();
    this.#exchange = exchange;
    this.#keepAlive = false;
    this.#phase = ANSWERING;
    exchange.refuse(this, status, code, detail);
  }

  #cut(): void {
    this.#keepAlive = false;
    if (this.#exchange === null) this.#closeAfterAnswer(true);
    else this.#exchange.clientGone(BAD_REQUEST);
  }

  #timeOut(): void {
    const exchange = this.#exchange;
    this.#keepAlive = false;
    if (exchange === null) this.#close();
    else exchange.clientTimedOut();
  }

  #gone(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    this.#close();
    exchange?.clientGone(CLIENT_GONE);
  }

  /** The answer is written, whole or not: send it, then close. */
  #closeAfterAnswer(clean: boolean): void {
    if (this.#phase === CLOSED) return;
    const reading = !this.#clientEnded && (this.#phase === BODY || !clean || !this.#held.empty);
    this.#phase = CLOSED;
    this.#leave();
    this.#held.clear();
    if (reading || this.#connection.queuedBytes > 0) this.#connection.linger(this.#settings.bodyIdleTimeoutMs);
    else this.#connection.close();
  }

  #close(): void {
    if (this.#phase === CLOSED) return;
    this.#phase = CLOSED;
    this.#leave();
    this.#held.clear();
    this.#connection.close();
  }

  #leave(): void {
    const { connections, worker } = this.listener;
    if (!connections.delete(this)) return;
    this.#carry.clear();
    this.#decoder?.trailers.reset();
    worker.counters.add(CONNECTIONS_OPEN, -1);
    if (connections.size === 0) this.listener.emptied();
  }
}
