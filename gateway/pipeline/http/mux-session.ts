/**
 * One session of `muxHTTP`: an HTTP/1.1 client connection, as the events of its pipeline. One exchange at a time; while
 * idle it listens, so that one that ends is known to be dead before anything is sent on it.
 *
 *     IDLE ─▶ HEAD ─▶ BODY ─▶ IDLE …              any ─▶ CLOSED           after 101: TUNNEL
 */
import { BODY_END, BODY_MORE, BodyReader } from "#http/h1/body-reader.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, METHOD_CONNECT } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { Alarm } from "#net/alarm.ts";
import { Carry } from "#net/carry.ts";
import { BAD_RESPONSE, ENDED, IDLE_TIMEOUT, OVERLOADED, RESET, type Ending } from "#pipeline/events/ending.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { Valve } from "#pipeline/flow.ts";
import { copyContext, type Context } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import { HttpHead } from "./http-head.ts";
import { MessageWriter, type WriteResult } from "./message-writer.ts";
import { tailOf } from "./tails.ts";

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const TUNNEL = 3;
const CLOSED = 4;

/** Who keeps sessions. */
interface SessionOwner<C extends object> {
  readonly pipeline: Pipeline<C>;
  readonly limits: { readonly idleTimeoutMs: number; readonly messagesMax: number; readonly responseTimeoutMs: number };
  put(session: MuxSession<C>): void;
  closed(session: MuxSession<C>): void;
}

/** The request's side of an exchange. */
export interface MuxExchange {
  readonly requestMethod: number;
  /** `head` is the exchange's to close. */
  responseHead(head: HttpHead): void;
  responseData(buffer: number, start: number, end: number): void;
  /** The session is free, or gone, by now. */
  responseEnd(tail: object | null): void;
  /** There is no response, or no more of it. `untouched`: no byte of it has come. */
  failed(ending: Ending, untouched: boolean): void;
}

export class MuxSession<C extends object> implements Sink {
  readonly #owner: SessionOwner<C>;
  readonly key: unknown;
  readonly runtime: Runtime;
  readonly #instance: Instance<C>;
  readonly #writer: MessageWriter;
  readonly #carry: Carry;
  readonly #alarm: Alarm;
  readonly #body: BodyReader;
  #exchange: MuxExchange | null = null;
  /** The source that the response's readers see: one that is slow holds this exchange, and not the session. */
  #valve = new Valve();
  #phase = IDLE;
  #next: HttpHead | null = null;
  #requestDone = true;
  #keepAlive = true;
  #framing = FRAMING_NONE;
  #activityMs: number;
  /** Requests it has served before. */
  served = 0;
  /** In which turn of the loop it became idle. */
  idleTurn = -1;

  constructor(owner: SessionOwner<C>, key: unknown, context: Context<C>, runtime: Runtime) {
    this.#owner = owner;
    this.key = key;
    this.runtime = runtime;
    this.#carry = new Carry(runtime.buffers);
    this.#body = new BodyReader(runtime.scratch);
    this.#activityMs = runtime.loop.nowMs;
    this.#alarm = new Alarm(runtime.loop, () => this.#look());
    // Of the request that opens it, as it is now: what that sets later is not the session's.
    this.#instance = new Instance(owner.pipeline, copyContext(context), runtime, this);
    this.#writer = new MessageWriter(runtime, this.#instance.input);
    this.#alarm.set(Math.min(owner.limits.responseTimeoutMs, owner.limits.idleTimeoutMs));
  }

  // The request.

  begin(exchange: MuxExchange, head: HttpHead): void {
    const first = this.served === 0;
    this.#exchange = exchange;
    this.#phase = HEAD;
    this.#requestDone = false;
    this.#activityMs = this.runtime.loop.nowMs;
    if (first) this.#instance.start();
    if (this.#exchange !== exchange) return;
    this.#writer.sink = this.#instance.input;
    this.#check(this.#writer.request(head));
  }

  data(buffer: number, start: number, end: number): void {
    const { flow, loop } = this.runtime;
    const before = flow.current;
    this.#activityMs = loop.nowMs;
    this.#valve.behind = before;
    flow.current = this.#valve;
    this.#read(buffer, start, end);
    flow.current = before;
  }

  #read(buffer: number, start: number, end: number): void {
    let at = start;
    while (at < end && this.#phase !== CLOSED) {
      if (this.#phase === HEAD) at = this.#readHead(buffer, at, end);
      else if (this.#phase === BODY) at = this.#readBody(buffer, at, end);
      else if (this.#phase === TUNNEL) {
        this.#exchange?.responseData(buffer, at, end);
        return;
      } else {
        // It answers nothing: what else comes can't be trusted.
        this.close();
        return;
      }
    }
  }

  requestData(buffer: number, start: number, end: number): void {
    this.#activityMs = this.runtime.loop.nowMs;
    if (this.#phase === TUNNEL) this.#instance.input.data(buffer, start, end);
    else this.#check(this.#writer.data(buffer, start, end));
  }

  requestEnd(tail: object | null): void {
    if (this.#phase === TUNNEL) return;
    this.#requestDone = true;
    this.#activityMs = this.runtime.loop.nowMs;
    this.#check(this.#writer.end(tail));
  }

  /** The client's end, in a tunnel. */
  requestClose(ending: Ending): void {
    if (this.#phase === TUNNEL) this.#instance.input.streamEnd(ending);
  }

  #check(result: WriteResult): void {
    if (result !== "done") this.#fail(result === "no-memory" ? OVERLOADED : RESET);
  }

  // The response.

  messageStart(): void {}

  messageEnd(): void {}

  streamEnd(ending: Ending): void {
    if (this.#phase === BODY && this.#framing === FRAMING_CLOSE && ending === ENDED) {
      this.#keepAlive = false;
      this.#complete(null, false);
    } else if (this.#phase === TUNNEL || this.#phase === IDLE) this.#fail(ending);
    else this.#fail(ending === ENDED ? RESET : ending);
  }

  #readHead(buffer: number, at: number, end: number): number {
    const head = (this.#next ??= new HttpHead(this.runtime));
    const carry = this.#carry;
    const exchange = this.#exchange as MuxExchange;
    if (!carry.active) {
      const next = parseResponseHead(head.wire, at, end, DEFAULT_HEAD_LIMITS, exchange.requestMethod);
      if (next > 0) return this.#headRead(head, exchange, buffer, next, end);
      if (next < 0) this.#fail(BAD_RESPONSE);
      else if (carry.append(at, end) < 0) this.#fail(OVERLOADED);
      return end;
    }
    const before = carry.end;
    const copied = carry.append(at, end);
    const next = parseResponseHead(head.wire, carry.start, carry.end, DEFAULT_HEAD_LIMITS, exchange.requestMethod);
    if (next < 0 || (next === 0 && copied < end - at)) this.#fail(BAD_RESPONSE);
    if (next <= 0) return end;
    const owned = carry.detach();
    const behind = this.#headRead(head, exchange, owned, at + (next - before), end);
    this.runtime.buffers.release(owned);
    return behind;
  }

  /** Answers where to go on. */
  #headRead(head: HttpHead, exchange: MuxExchange, buffer: number, next: number, end: number): number {
    const { wire } = head;
    const { status } = wire;
    // Interim responses are for who waits between; this filter's client has been told to go on (demux).
    if (status < 200 && status !== 101) return next;
    this.#next = null;
    head.hold(buffer);
    const tunnel = status === 101 || (exchange.requestMethod === METHOD_CONNECT && status < 300);
    this.#framing = wire.framing;
    this.#phase = tunnel ? TUNNEL : BODY;
    this.#keepAlive = wire.keepAlive && wire.framing !== FRAMING_CLOSE;
    if (!tunnel) this.#body.begin(wire.framing, wire.contentLength, DEFAULT_HEAD_LIMITS);
    const empty = wire.framing === FRAMING_NONE || (wire.framing === FRAMING_LENGTH && wire.contentLength === 0);
    exchange.responseHead(head);
    if (!tunnel && empty && this.#exchange === exchange && this.#phase === BODY) this.#complete(null, next < end);
    return next;
  }

  #readBody(buffer: number, at: number, end: number): number {
    const body = this.#body;
    const exchange = this.#exchange as MuxExchange;
    const result = body.read(this.runtime.buffers.memory, at, end);
    if (result < 0) {
      this.#fail(BAD_RESPONSE);
      return end;
    }
    if (result === BODY_MORE) return body.next;
    const { next } = body;
    if (body.dataEnd > body.dataStart) exchange.responseData(buffer, body.dataStart, body.dataEnd);
    if (result === BODY_END && this.#exchange === exchange && this.#phase === BODY) {
      this.#complete(tailOf(body.trailers), next < end);
    }
    return next;
  }

  /** The response is whole. With `more` bytes behind it the session is not used again: they answer nothing. */
  #complete(tail: object | null, more: boolean): void {
    const exchange = this.#exchange as MuxExchange;
    const { limits } = this.#owner;
    this.#exchange = null;
    this.#phase = IDLE;
    this.served++;
    if (this.#valve.isPaused) {
      this.#valve.detach();
      this.#valve = new Valve();
    }
    this.idleTurn = this.runtime.loop.turns;
    this.#body.release();
    const reusable = !more && this.#keepAlive && this.#requestDone && this.served < limits.messagesMax;
    if (reusable && !this.runtime.retired) this.#owner.put(this);
    else this.close();
    exchange.responseEnd(tail);
  }

  // The end.

  #fail(ending: Ending): void {
    const exchange = this.#exchange;
    const untouched = this.#phase === HEAD && !this.#carry.active;
    this.close();
    exchange?.failed(ending, untouched);
  }

  /** Whoever waits for an answer is not told. */
  close(): void {
    if (this.#phase === CLOSED) return;
    this.#phase = CLOSED;
    this.#exchange = null;
    this.#alarm.cancel();
    this.#carry.clear();
    this.#next?.close();
    this.#body.release();
    this.#instance.dispose();
    this.#owner.closed(this);
  }

  #look(): void {
    const { idleTimeoutMs, responseTimeoutMs } = this.#owner.limits;
    const { loop } = this.runtime;
    // It is the client who keeps us waiting.
    if (this.#phase === TUNNEL || (this.#phase !== IDLE && !this.#requestDone)) this.#activityMs = loop.nowMs;
    const idle = this.#phase === IDLE;
    const limit = this.#activityMs + (idle ? idleTimeoutMs : responseTimeoutMs);
    if (loop.nowMs < limit) this.#alarm.set(Math.min(limit - loop.nowMs, idleTimeoutMs, responseTimeoutMs));
    else if (idle) this.close();
    else this.#fail(IDLE_TIMEOUT);
  }
}
