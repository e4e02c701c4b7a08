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
import { parseIp } from "#core/address.ts";
import { BODY_END, BODY_MORE, BodyReader } from "#http/h1/body-reader.ts";
import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, METHOD_CONNECT, type Head } from "#http/head.ts";
import { refusalOf } from "#http/refusals.ts";
import { HIGH_WATERMARK_BYTES, type Connection, type Protocol } from "#net/connection.ts";
import { HeldRegions } from "#net/held.ts";
import type { Peer } from "#net/listener.ts";
import type { TlsPeer } from "#net/tls/peer.ts";
import { CONNECTIONS_OPEN, TRAILERS_DROPPED } from "#observe/counters.ts";
import { writeChunk, writeLastChunk } from "#upstream/http1-upstream.ts";
import type { Banned, Drainable, ListenerContext } from "./context.ts";
import { addressOf, destinationOf } from "./client-ends.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { ProxyExchange } from "./exchange.ts";
import type { ExchangePool } from "./exchange-pool.ts";
import { HEAD_NO_BUFFER, HeadReader } from "./head-reader.ts";
import { framingFor, writeInformational, writeResponseHead } from "./http1-response.ts";
import { BAD_REQUEST, CLIENT_GONE, OVERLOADED } from "./outcomes.ts";

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const ANSWERING = 3;
const CLOSED = 4;

const REQUEST_TIMEOUT = 408;

export class Http1Downstream implements Protocol, DownstreamStream, Drainable {
  readonly client: string;
  readonly #clientPort: number;
  /** Where a PROXY header says that the client believes to be connected to; null when none has said so. */
  readonly #told: Uint8Array | null;
  readonly listener: ListenerContext;
  readonly trusted: boolean;
  readonly tls: TlsPeer | null;
  readonly originalAddress: string | null;
  requestMinor = 1;
  readonly #connection: Connection;
  readonly #exchanges: ExchangePool;
  readonly #held: HeldRegions;
  #exchange: ProxyExchange | null = null;
  #phase = IDLE;
  #activityMs: number;
  readonly #heads: HeadReader;
  /** Made for the first request that has content. */
  #body: BodyReader | null = null;
  #responseFraming = FRAMING_NONE;
  #keepAlive = true;
  /** The next response is the last. */
  #draining = false;
  /** And who has not asked by now is not waited for. */
  #leaving = false;
  /** Within `#consume`: what ends there must not start it again. */
  #consuming = false;
  /** The client has sent FIN. */
  #clientEnded = false;
  /** When the deadline was last looked at. */
  #seenMs = 0;
  /** Until when the rest of a body may come that nobody waits for any more; Infinity while somebody does. */
  #discardByMs = Infinity;
  /** What was sent is not the whole, and the client must see that. */
  #aborted = false;

  constructor(
    connection: Connection,
    listener: ListenerContext,
    exchanges: ExchangePool,
    peer: Peer,
    trusted: boolean,
    originalAddress: string | null,
  ) {
    this.#connection = connection;
    this.listener = listener;
    this.#exchanges = exchanges;
    this.client = peer.ip;
    this.#clientPort = peer.port;
    this.#told = peer.destination ?? null;
    this.trusted = trusted;
    this.tls = connection.tls;
    this.originalAddress = originalAddress;
    this.#held = new HeldRegions(connection.buffers);
    this.#heads = new HeadReader(connection.buffers);
    this.#activityMs = connection.loop.nowMs;
    this.#draining = listener.draining;
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

  /** Made when asked for: an idle connection holds no address bytes, which cost as much as all else it has. */
  get address(): Uint8Array {
    return addressOf(this.client, this.#clientPort);
  }

  get destination(): Uint8Array {
    return destinationOf(this.#connection, this.originalAddress, this.#told);
  }

  /** What it asked for, or a tunnel that has come of it, ends with the connection. */
  expel(banned: Banned): void {
    if (this.client !== "" && banned(parseIp(this.client))) this.#connection.expel();
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  drain(gently: boolean): void {
    this.#draining = true;
    this.#leaving ||= !gently;
    if (!gently && this.#phase === IDLE && this.#held.empty) this.#closeAfterAnswer(true);
  }

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
    const { deadlineMs } = this.#heads;
    if (nowMs >= deadlineMs) {
      this.#refuse(408, "head-timeout", "the head did not arrive in time");
      return;
    }
    if (deadlineMs < Infinity) {
      this.#checkBy(deadlineMs);
      return;
    }
    if (nowMs >= this.#discardByMs) {
      this.#close();
      return;
    }
    const queued = this.#connection.queuedBytes;
    const waitsForBody = this.#phase === BODY && this.#exchange?.wantsBody !== false;
    if (this.#phase !== IDLE && !waitsForBody && queued === 0) this.#activityMs = nowMs;
    // A client that reads slowly is told from one that has stopped: it took some since the last look.
    else if (this.#connection.tookSome()) this.#activityMs = Math.max(this.#activityMs, this.#seenMs);
    this.#seenMs = nowMs;
    const limit = this.#activityMs + (this.#phase === IDLE ? settings.idleTimeoutMs : settings.bodyIdleTimeoutMs);
    // A filter that never decides must not keep a request for ever: its client may be long gone.
    const decided = (this.#exchange?.suspendedMs ?? Infinity) + settings.idleTimeoutMs;
    const due = Math.min(limit, decided);
    // What is done about one that has passed may leave the connection in service.
    this.#checkBy(due > nowMs ? due : Infinity);
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
    writeInformational(this.#connection, head, this.requestMinor);
  }

  sendHead(head: Head): boolean {
    const framing = framingFor(head, this.requestMinor);
    // A client that expects 100 may keep its body back now: what comes next could be either (RFC 9110 §10.1.1).
    const unsure = this.#exchange?.request.expectContinue === true;
    // One whose body is late already is not waited for again (RFC 9110 §15.5.9).
    const over = unsure || head.status === REQUEST_TIMEOUT || !this.#canDiscard;
    const bodyLeft = this.#phase === BODY && over;
    if (framing === FRAMING_CLOSE || this.#draining || bodyLeft) this.#keepAlive = false;
    this.#responseFraming = framing;
    const connection = this.#connection;
    if (connection.queuedBytes === 0) this.#activityMs = connection.loop.nowMs;
    const method = this.#exchange?.request.method ?? 0;
    return writeResponseHead(connection, head, method, this.requestMinor, framing, this.#keepAlive);
  }

  sendData(buffer: number, start: number, end: number): void {
    const connection = this.#connection;
    if (connection.queuedBytes === 0) this.#activityMs = connection.loop.nowMs;
    const chunked = this.#responseFraming === FRAMING_CHUNKED;
    const written = chunked ? writeChunk(connection, buffer, start, end) : connection.write(buffer, start, end);
    if (!written) this.#overloaded();
  }

  sendEnd(trailers: Head | null): void {
    if (this.#responseFraming !== FRAMING_CHUNKED) {
      if (trailers !== null) this.listener.worker.counters.add(TRAILERS_DROPPED, 1);
      return;
    }
    if (!writeLastChunk(this.#connection, trailers)) this.#overloaded();
  }

  #overloaded(): void {
    this.abort();
    this.#exchange?.clientGone(OVERLOADED);
  }

  resumeRequest(): void {
    if (this.#phase === ANSWERING) this.#listen();
    if (this.#phase !== BODY || this.#consuming) return;
    this.#activityMs = this.#connection.loop.nowMs;
    this.#pump();
  }

  pauseRequest(): void {
    this.#connection.pause();
  }

  abort(): void {
    this.#keepAlive = false;
    this.#aborted = true;
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
      // It has a body's idle time once: who sends a byte now and then would be kept for as long as the body is.
      this.#discardByMs = this.#connection.loop.nowMs + this.#settings.bodyIdleTimeoutMs;
      if (!this.#canDiscard) this.#closeAfterAnswer(true);
      else if (!this.#consuming) this.#pump();
      return;
    }
    this.#nextRequest();
  }

  release(): { connection: Connection; held: HeldRegions; left(): void } {
    this.#phase = CLOSED;
    return { connection: this.#connection, held: this.#held, left: () => this.#leave() };
  }

  // Reading.

  #nextRequest(): void {
    this.#phase = IDLE;
    this.#discardByMs = Infinity;
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
    if (this.#phase === ANSWERING) this.#listen();
    if (!this.#canConsume() || this.#phase === CLOSED) return;
    if (this.#clientEnded) this.onEnd();
    else if (this.#leaving && this.#phase === IDLE) this.#closeAfterAnswer(true);
    else this.#connection.resume();
  }

  /** It has asked for all it wants to: its leaving would be noticed, and what comes next. */
  #listen(): void {
    if (this.#held.empty && !this.#clientEnded) this.#connection.resume();
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
      if (this.#clientEnded || this.#leaving) this.#closeAfterAnswer(true);
      else this.#connection.resume();
    }
  }

  /** Answers where to go on. */
  #readHead(buffer: number, at: number, end: number): number {
    const { loop } = this.#connection;
    const heads = this.#heads;
    const exchange = this.#exchanges.take();
    const deadlineMs = loop.nowMs + this.#settings.headTimeoutMs;
    const next = heads.read(exchange.request, buffer, at, end, this.listener.engine.limits, deadlineMs);
    if (next > 0) {
      this.#begin(exchange, heads.buffer);
      heads.done();
      return next;
    }
    exchange.request.reset();
    if (next < 0 && next !== HEAD_NO_BUFFER) {
      this.#refuseWith(exchange, next);
      return end;
    }
    this.#exchanges.give(exchange);
    if (next === HEAD_NO_BUFFER) {
      this.#gone();
    } else if (this.#phase === IDLE) {
      this.#phase = HEAD;
      this.#connection.expireBy(deadlineMs);
    }
    return end;
  }

  #begin(exchange: ProxyExchange, buffer: number): void {
    const request = exchange.request;
    this.#exchange = exchange;
    this.requestMinor = request.minor;
    // Behind a CONNECT that is refused may stand what was meant for its tunnel, and is no request.
    this.#keepAlive = request.keepAlive && !this.#draining && request.method !== METHOD_CONNECT;
    const { framing, contentLength } = request;
    if (framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0)) {
      this.#phase = ANSWERING;
    } else {
      this.#phase = BODY;
      this.#body ??= new BodyReader(this.listener.worker.scratch);
      this.#body.begin(framing, contentLength, this.listener.engine.limits);
    }
    exchange.begin(this, buffer);
  }

  #readBody(buffer: number, at: number, end: number): number {
    const body = this.#body as BodyReader;
    const result = body.read(this.#connection.memory, at, end);
    if (result < 0) {
      this.#badBody(result);
      return end;
    }
    if (result === BODY_MORE) return body.next;
    if (body.dataEnd > body.dataStart) this.#bodyData(buffer, body.dataStart, body.dataEnd);
    if (result === BODY_END) this.#bodyEnd(body);
    return body.next;
  }

  #bodyData(buffer: number, start: number, end: number): void {
    if (this.#exchange !== null) {
      this.#exchange.requestData(buffer, start, end);
      return;
    }
    (this.#body as BodyReader).discard(end - start);
    if (!this.#canDiscard) this.#closeAfterAnswer(true);
  }

  #bodyEnd(body: BodyReader): void {
    if (this.#phase === BODY && this.#exchange === null) {
      this.#nextRequest();
    } else if (this.#phase === BODY) {
      this.#phase = ANSWERING;
      this.#exchange?.requestEnd(body.trailers);
    }
    body.release();
  }

  get #canDiscard(): boolean {
    return this.#body === null || this.#body.canDiscard;
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
    this.requestMinor = 1;
    this.#answerRefused(exchange, status, code, detail);
  }

  #refuse(status: number, code: string, detail: string): void {
    this.#answerRefused(this.#exchanges.take(), status, code, detail);
  }

  #answerRefused(exchange: ProxyExchange, status: number, code: string, detail: string): void {
    this.#heads.clear();
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
    // Nothing but the way it ends tells whether a body without length and chunks is whole (RFC 9112 §8).
    if (this.#aborted && this.#responseFraming === FRAMING_CLOSE) {
      this.#close(true);
      return;
    }
    const reading = !this.#clientEnded && (this.#phase === BODY || !clean || !this.#held.empty);
    this.#phase = CLOSED;
    this.#leave();
    this.#held.clear();
    if (reading || this.#connection.queuedBytes > 0) this.#connection.linger(this.#settings.bodyIdleTimeoutMs);
    else this.#connection.close();
  }

  #close(byReset = false): void {
    if (this.#phase === CLOSED) return;
    this.#phase = CLOSED;
    this.#leave();
    this.#held.clear();
    if (byReset) this.#connection.reset();
    else this.#connection.close();
  }

  #leave(): void {
    const { connections, worker } = this.listener;
    if (!connections.delete(this)) return;
    worker.clients.left(this.client);
    this.#heads.clear();
    this.#body?.release();
    worker.counters.add(CONNECTIONS_OPEN, -1);
    if (connections.size === 0) this.listener.emptied();
  }
}
