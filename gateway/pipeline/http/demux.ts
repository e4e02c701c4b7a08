/**
 * `demuxHTTP`: bytes of a client's connection in, requests out, each to an instance of its own; their responses come back as
 * bytes, in order. One request at a time: pipelined ones wait in the buffers they were received in, and the client's
 * receive is stopped meanwhile.
 *
 *     IDLE ─▶ HEAD (in pieces) ─▶ BODY ─▶ ANSWERING ─▶ IDLE …      ─▶ CLOSED          after 101: TUNNEL
 *       └──────────── whole head ───┘
 *
 * What is not HTTP is answered 400 (or what the codec says) and the connection closed. To its requests the filter is the
 * source in the client's place: paused by one of them it stops the client, and what waits here.
 */
import { FRAMING_LENGTH, FRAMING_NONE } from "#http/head.ts";
import { BODY_END, BODY_MORE, BodyReader } from "#http/h1/body-reader.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import type { HeadLimits } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { Alarm } from "#net/alarm.ts";
import { HeldRegions } from "#net/held.ts";
import { ENDED, FINISHED, OVERLOADED, RESET, type Ending } from "#pipeline/events/ending.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import { Valve } from "#pipeline/flow.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { Waiter } from "#pipeline/runtime.ts";
import { DemuxExchange, type ExchangeOwner } from "./demux-exchange.ts";
import { HttpHead } from "./http-head.ts";
import { answerContinue, answerProblem, type Problem } from "./local-answer.ts";
import { MessageWriter } from "./message-writer.ts";
import { PartialHead } from "./partial-head.ts";
import { tailOf } from "./tails.ts";

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const ANSWERING = 3;
const TUNNEL = 4;
const CLOSED = 5;

/** What is under way needs the last 1/32 of the buffers to end: no request is begun then. */
const SHORT_SHARE = 32;

export interface DemuxLimits extends HeadLimits {
  /** From a head's first byte to its last; 10 s. */
  readonly headTimeoutMs: number;
  /** Between two pieces of a body; 30 s. */
  readonly bodyTimeoutMs: number;
  /** Between two requests; 60 s. */
  readonly idleTimeoutMs: number;
}

export class DemuxHttp<C extends object> extends PipeFilter<C> implements ExchangeOwner, Waiter {
  readonly #pipeline: Pipeline<C>;
  readonly #limits: DemuxLimits;
  readonly #held: HeldRegions;
  readonly #turnstile: Turnstile;
  readonly #alarm: Alarm;
  readonly writer: MessageWriter;
  #exchange: DemuxExchange<C> | null = null;
  /** For the head that comes next. */
  #next: HttpHead | null = null;
  #partial: PartialHead | null = null;
  #body: BodyReader | null = null;
  #phase = IDLE;
  #activityMs: number;
  keepAlive = true;
  #clientEnded = false;
  #consuming = false;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, limits: DemuxLimits) {
    super(scope);
    const { runtime } = scope;
    this.#pipeline = pipeline;
    this.#limits = limits;
    this.#held = new HeldRegions(runtime.buffers);
    this.#turnstile = new Turnstile(() => this.#pump());
    this.writer = new MessageWriter(runtime, this.output);
    this.#activityMs = runtime.loop.nowMs;
    this.#alarm = new Alarm(runtime.loop, () => this.#look());
    this.#alarm.set(limits.idleTimeoutMs);
    runtime.waiters.add(this);
  }

  drain(): void {
    if (this.#phase === IDLE && this.#held.empty) this.#close(FINISHED);
  }

  override messageStart(): void {}

  override messageEnd(): void {}

  override data(buffer: number, start: number, end: number): void {
    const { flow, loop } = this.scope.runtime;
    this.#activityMs = loop.nowMs;
    this.#turnstile.behind = flow.current;
    if (this.#held.empty) this.#consume(buffer, start, end);
    else this.#held.push(buffer, start, end);
  }

  override streamEnd(ending: Ending): void {
    this.#clientEnded = true;
    const exchange = this.#exchange;
    if (this.#phase === TUNNEL) exchange?.instance.input.streamEnd(ending);
    else if (ending !== ENDED || this.#phase === BODY) this.#leave(ending === ENDED ? RESET : ending);
    else if (this.#phase === HEAD) this.#refuse({ status: 400, code: "head-cut", detail: "the head is cut off" });
    // What was asked before is answered, to the last byte.
    else if (this.#phase === IDLE && this.#held.empty) this.#close(FINISHED);
  }

  override dispose(): void {
    this.scope.runtime.waiters.delete(this);
    this.#alarm.cancel();
    this.#phase = CLOSED;
    this.#held.clear();
    this.#partial?.clear();
    this.#next?.close();
    this.#exchange?.dispose();
    this.#exchange = null;
    this.#body?.release();
  }

  // Reading.

  #canConsume(): boolean {
    if (this.#phase === IDLE) return !this.#turnstile.isPaused;
    return this.#phase !== ANSWERING && this.#phase !== CLOSED;
  }

  /** What waits, as far as it can go on. */
  #pump(): void {
    if (this.#consuming) return;
    const { buffers } = this.scope.runtime;
    while (this.#canConsume() && this.#held.shift()) {
      const { buffer, start, end } = this.#held;
      this.#consume(buffer, start, end);
      buffers.release(buffer);
    }
    if (this.#phase === CLOSED) return;
    if (!this.#held.empty) this.#turnstile.hold();
    else if (this.#phase === IDLE && this.#clientEnded) this.#close(FINISHED);
  }

  #consume(buffer: number, start: number, end: number): void {
    const { flow } = this.scope.runtime;
    const before = flow.current;
    flow.current = this.#turnstile;
    this.#consuming = true;
    let at = start;
    while (at < end && this.#canConsume()) {
      if (this.#phase === BODY) at = this.#readBody(buffer, at, end);
      else if (this.#phase === TUNNEL) {
        this.#exchange?.instance.input.data(buffer, at, end);
        at = end;
      } else at = this.#readHead(buffer, at, end);
    }
    this.#consuming = false;
    flow.current = before;
    if (this.#phase === CLOSED || at === end) return;
    this.#held.unshift(buffer, at, end);
    this.#turnstile.hold();
  }

  #readHead(buffer: number, at: number, end: number): number {
    if (this.#partial !== null) return this.#readPartial(this.#partial, at, end);
    const head = (this.#next ??= new HttpHead(this.scope.runtime));
    const next = parseRequestHead(head.wire, at, end, this.#limits);
    if (next > 0) {
      this.#begin(head, buffer);
      return next;
    }
    if (next < 0) this.#refuse(refusalOf(next));
    else this.#beginPartial(at, end);
    return end;
  }

  #beginPartial(at: number, end: number): void {
    const { headTimeoutMs } = this.#limits;
    const { buffers, loop } = this.scope.runtime;
    const partial = new PartialHead(buffers, loop.nowMs + headTimeoutMs);
    if (!partial.begin(at, end)) {
      this.#leave(OVERLOADED);
      return;
    }
    this.#partial = partial;
    this.#phase = HEAD;
    this.#alarm.set(headTimeoutMs);
  }

  #readPartial(partial: PartialHead, at: number, end: number): number {
    if (!partial.add(at, end, this.#limits)) return end;
    const head = (this.#next ??= new HttpHead(this.scope.runtime));
    const parsed = partial.parse(head.wire, this.#limits);
    if (parsed === 0) return end;
    if (parsed < 0) {
      this.#refuse(refusalOf(parsed));
      return end;
    }
    this.#partial = null;
    const owned = partial.detach();
    const { next } = partial;
    this.#begin(head, owned);
    this.scope.runtime.buffers.release(owned);
    return next;
  }

  #begin(head: HttpHead, buffer: number): void {
    const { runtime } = this.scope;
    const { wire } = head;
    const { buffers } = runtime;
    if (buffers.free < buffers.count / SHORT_SHARE) {
      this.#refuse(OVERLOADED);
      return;
    }
    this.#next = null;
    head.hold(buffer);
    this.keepAlive = wire.keepAlive && !runtime.retired;
    this.writer.sink = this.output;
    const exchange = new DemuxExchange(this, this.scope, this.#pipeline, head);
    this.#exchange = exchange;
    const { framing, contentLength, expectContinue } = wire;
    const bodiless = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0);
    this.#phase = bodiless ? ANSWERING : BODY;
    if (!bodiless) {
      this.#body ??= new BodyReader(runtime.scratch);
      this.#body.begin(framing, contentLength, this.#limits);
      this.#alarm.set(this.#limits.bodyTimeoutMs);
    }
    const { keepAlive } = this;
    // A client that is answered before it was asked for its body may send it or not: what comes next could be either.
    if (expectContinue) this.keepAlive = false;
    exchange.begin();
    if (bodiless) exchange.instance.input.messageEnd(null);
    else if (expectContinue && exchange.isWaiting) {
      this.keepAlive = keepAlive;
      answerContinue(this.output, runtime);
    }
  }

  #readBody(buffer: number, at: number, end: number): number {
    const body = this.#body as BodyReader;
    const result = body.read(this.memory, at, end);
    if (result < 0) {
      this.#badBody(refusalOf(result));
      return end;
    }
    if (result === BODY_MORE) return body.next;
    const { next } = body;
    if (body.dataEnd > body.dataStart) this.#bodyData(body, buffer, body.dataStart, body.dataEnd);
    if (result === BODY_END && this.#phase === BODY) this.#bodyEnd(body);
    return next;
  }

  #bodyData(body: BodyReader, buffer: number, start: number, end: number): void {
    if (this.#exchange !== null) {
      this.#exchange.instance.input.data(buffer, start, end);
      return;
    }
    body.discard(end - start);
    if (!body.canDiscard) this.#close(FINISHED);
  }

  #bodyEnd(body: BodyReader): void {
    if (this.#exchange === null) this.#goOn();
    else {
      this.#phase = ANSWERING;
      this.#exchange.instance.input.messageEnd(tailOf(body.trailers));
    }
    body.release();
  }

  // What exchanges tell.

  answered(): void {
    this.#exchange = null;
    if (this.#phase === CLOSED) return;
    const reads = this.#phase === BODY;
    if (!this.keepAlive || (reads && this.#body?.canDiscard !== true)) this.#close(FINISHED);
    // A body that nobody waits for any more is read and dropped; what follows it is the next request.
    else if (!reads) this.#goOn();
  }

  becameTunnel(): void {
    this.#phase = TUNNEL;
    this.#turnstile.letGo();
  }

  cut(ending: Ending): void {
    this.#exchange = null;
    this.#close(ending);
  }

  #goOn(): void {
    this.#phase = IDLE;
    this.#activityMs = this.scope.runtime.loop.nowMs;
    if (this.#clientEnded && this.#held.empty && !this.#consuming) this.#close(FINISHED);
    else this.#turnstile.letGo();
  }

  // The end.

  #badBody(problem: Problem): void {
    const waiting = this.#exchange?.isWaiting !== false;
    this.#exchange?.dispose();
    this.#exchange = null;
    if (waiting) this.#refuse(problem);
    else this.#close(RESET);
  }

  /** Not HTTP, or not in time: says so, and closes. */
  #refuse(problem: Problem): void {
    if (answerProblem(problem, this.output, this.scope.runtime, false, 1, true)) this.#close(FINISHED);
    else this.#close(OVERLOADED);
  }

  #leave(ending: Ending): void {
    this.#exchange?.dispose();
    this.#exchange = null;
    this.#close(ending);
  }

  #close(ending: Ending): void {
    if (this.#phase === CLOSED) return;
    this.#phase = CLOSED;
    this.#alarm.cancel();
    this.#held.clear();
    this.#turnstile.letGo();
    this.output.streamEnd(ending);
  }

  /** The alarm has rung: has anything been waited for too long? */
  #look(): void {
    const { headTimeoutMs, bodyTimeoutMs, idleTimeoutMs } = this.#limits;
    const { loop } = this.scope.runtime;
    if (this.#phase === HEAD && loop.nowMs >= (this.#partial?.deadlineMs ?? 0)) {
      this.#refuse({ status: 408, code: "head-timeout", detail: "the head did not arrive in time" });
      return;
    }
    if (this.#phase === ANSWERING || this.#phase === TUNNEL || this.#turnstile.isPaused) this.#activityMs = loop.nowMs;
    const allowed = this.#phase === BODY ? bodyTimeoutMs : this.#phase === HEAD ? headTimeoutMs : idleTimeoutMs;
    const limit = this.#activityMs + allowed;
    if (loop.nowMs < limit) this.#alarm.set(limit - loop.nowMs);
    else if (this.#phase === BODY)
      this.#badBody({ status: 408, code: "body-timeout", detail: "the body did not arrive in time" });
    else this.#close(FINISHED);
  }
}

/** The source that requests see: in front of the client, and of what waits. */
class Turnstile extends Valve {
  readonly #more: () => void;
  #holding = false;

  constructor(more: () => void) {
    super();
    this.#more = more;
  }

  /** What has come can't go on, unless somebody else has stopped it already and will let it go on. */
  hold(): void {
    if (this.isPaused) return;
    this.#holding = true;
    this.pause();
  }

  letGo(): void {
    if (!this.#holding) return;
    this.#holding = false;
    this.resume();
  }

  protected override go(): void {
    super.go();
    this.#more();
  }
}
