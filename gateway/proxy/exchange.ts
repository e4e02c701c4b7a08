/**
 * One request and its response, from the parsed head to the log line. Pooled: every field goes back to its beginning when
 * the exchange ends. An upstream forgets it then; a filter that is still thinking can't, so an exchange that ends while
 * it is suspended is not used again.
 *
 *     begin ─▶ request filters ─▶ endpoint ─▶ request head and body sent ─▶ response head ─▶ response filters ─▶ body ─▶ end
 *                   │ reply                                                        ▲
 *                   └───────────────── local reply, through the same response filters
 *
 * Bytes of the request head stay in the buffer they were received in, which the exchange retains until nothing can ask
 * for them any more.
 */
import { parseIp } from "#core/address.ts";
import { assert } from "#core/assert.ts";
import { ETIMEDOUT } from "#core/errno.ts";
import type { RequestEncodeOptions } from "#http/h1/encode.ts";
import {
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  METHOD_CONNECT,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
} from "#http/head.ts";
import { HIGH_WATERMARK_BYTES } from "#net/connection.ts";
import {
  REQUEST_BODY_BYTES,
  REQUESTS,
  RESPONSE_BODY_BYTES,
  UPSTREAM_CONNECT_FAILURES,
  UPSTREAM_RETRIES,
} from "#observe/counters.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  HOOK_END,
  type Exchange,
  type Verdict,
} from "#pipeline/filter.ts";
import {
  BROKEN_BAD_RESPONSE,
  BROKEN_CLOSED,
  BROKEN_NO_BUFFERS,
  BROKEN_RESET,
  BROKEN_TIMEOUT,
  type Broken,
} from "#upstream/broken.ts";
import { refusalOf } from "#http/refusals.ts";
import type { ResponseSink, UpstreamStream } from "#upstream/stream.ts";
import { logExchange } from "./access.ts";
import type { WorkerContext } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Engine, Route } from "./engine.ts";
import { forwardedLines } from "./forwarded.ts";
import { problemReply, writeReply } from "./local-reply.ts";
import * as outcomes from "./outcomes.ts";
import { Target } from "./target.ts";
import { startTunnel } from "./tunnel.ts";

const SWITCHING_PROTOCOLS = 101;

/** Where an exchange goes when it has ended. */
interface Home {
  give(exchange: ProxyExchange): void;
  /** It has ended and must not serve again. */
  retire(): void;
}

export class ProxyExchange implements Exchange, ResponseSink {
  readonly #worker: WorkerContext;
  readonly #home: Home;
  readonly request: Head;
  readonly response: Head;
  readonly state: unknown[] = [];
  readonly #target: Target;
  readonly #encode: RequestEncodeOptions = {
    dropForwarded: true,
    appendStart: 0,
    appendEnd: 0,
    framing: FRAMING_NONE,
    upgrade: false,
  };

  #clientBytes: Uint8Array | null = null;
  #downstream: DownstreamStream | null = null;
  #engine: Engine | null = null;
  #route: Route | null = null;
  #upstream: UpstreamStream | null = null;
  /** Buffer that holds the request head; −1 once it is given up. */
  #requestBuffer = -1;
  /** The filter that is to run next, on the way there; on the way back, the one that ran last. */
  #position = 0;
  #suspended = false;
  /** A filter was left thinking: it may still speak, and must not be heard by another request. */
  #abandoned = false;
  /** When the filter that is thinking was asked; Infinity while none is. */
  suspendedMs = Infinity;
  #replying = false;
  /** Buffer of a local reply, its body within: −1 when there is none. */
  #replyBuffer = -1;
  #replyBodyStart = 0;
  #replyBodyEnd = 0;
  #requestEnded = false;
  #responseStarted = false;
  #requestPaused = false;
  /** The request head was written to an upstream: what comes is a second try. */
  #sent = false;
  #upstreamPaused = false;
  #outcome: outcomes.Outcome = outcomes.OK;
  requestMethod = 0;
  startMs = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** True from the end to the next beginning. */
  ended = true;

  constructor(worker: WorkerContext, home: Home) {
    this.#worker = worker;
    this.#home = home;
    this.request = new Head(worker.scratch);
    this.response = new Head(worker.scratch);
    this.#target = new Target(worker);
  }

  get clientAddress(): string {
    return this.#stream.client;
  }

  get clientAddressBytes(): Uint8Array {
    this.#clientBytes ??= ipBytes(this.#stream.client);
    return this.#clientBytes;
  }

  get routeName(): string {
    return this.#route?.spec.name ?? "";
  }

  get upstreamAddress(): string {
    return this.#target.address;
  }

  /** True while the request's body can be taken. */
  get wantsBody(): boolean {
    return this.#upstream !== null && !this.#requestPaused && this.#target.connected;
  }

  get #stream(): DownstreamStream {
    assert(this.#downstream !== null, "exchange without a client");
    return this.#downstream;
  }

  /** `request` is parsed; its bytes are in `buffer`, which is retained here. */
  begin(downstream: DownstreamStream, buffer: number): void {
    const worker = this.#worker;
    const engine = downstream.listener.engine;
    engine.retain();
    worker.buffers.retain(buffer);
    this.#downstream = downstream;
    this.#engine = engine;
    this.#requestBuffer = buffer;
    this.ended = false;
    this.startMs = worker.loop.nowMs;
    this.requestMethod = this.request.method;
    const { framing, contentLength } = this.request;
    this.#requestEnded = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0);
    worker.counters.add(REQUESTS, 1);
    if (this.requestMethod === METHOD_CONNECT) {
      this.#fail(outcomes.METHOD_UNSUPPORTED);
      return;
    }
    const index = (engine.routers[downstream.listener.index] as Engine["routers"][number]).match(this.request);
    if (index < 0) {
      this.#fail(outcomes.NO_ROUTE);
      return;
    }
    const route = engine.routes[index] as Route;
    this.#route = route;
    if (route.hasRequestHooks) this.#filterRequest();
    else this.#proceed();
  }

  /** A request that could not even be parsed: answered, counted, logged. `status` and `detail` say what was wrong. */
  refuse(downstream: DownstreamStream, status: number, code: string, detail: string): void {
    const engine = downstream.listener.engine;
    engine.retain();
    this.#downstream = downstream;
    this.#engine = engine;
    this.ended = false;
    this.startMs = this.#worker.loop.nowMs;
    this.#outcome = outcomes.BAD_REQUEST;
    this.#worker.counters.add(REQUESTS, 1);
    this.#requestEnded = false;
    this.#makeReply(status, [], problemReply(status, code, detail), "application/problem+json");
    this.#answer();
  }

  requestData(buffer: number, start: number, end: number): void {
    this.requestBytes += end - start;
    const upstream = this.#upstream;
    if (upstream === null) return;
    upstream.sendData(buffer, start, end);
    if (this.#upstream !== null && upstream.queuedBytes > HIGH_WATERMARK_BYTES) {
      this.#requestPaused = true;
      this.#stream.pauseRequest();
    }
  }

  requestEnd(trailers: Head | null): void {
    this.#requestEnded = true;
    this.#upstream?.sendEnd(trailers);
  }

  /** The client has gone, or broke off in the middle of its body. */
  clientGone(outcome: outcomes.Outcome): void {
    if (this.ended) return;
    this.#dropUpstream();
    this.#end(outcome, false);
  }

  /** The rest of the request's body did not come in time. */
  clientTimedOut(): void {
    this.#giveUpRequest(outcomes.CLIENT_TIMEOUT, 408, "body-timeout", "the body did not arrive in time");
  }

  /** The request's body is malformed: `refusal` of the codec. What the upstream has of it is broken off. */
  refuseBody(refusal: number): void {
    const { status, code, detail } = refusalOf(refusal);
    this.#giveUpRequest(outcomes.BAD_REQUEST, status, code, detail);
  }

  /** The filter that is thinking has had its time. */
  filterTimedOut(): void {
    const { status, code, detail } = outcomes.OUTCOMES[outcomes.FILTER_TIMEOUT] as outcomes.OutcomeSpec;
    this.#giveUpRequest(outcomes.FILTER_TIMEOUT, status, code, detail);
  }

  #giveUpRequest(outcome: outcomes.Outcome, status: number, code: string, detail: string): void {
    this.#dropUpstream();
    // While a filter looks at the response, nothing of it has been sent.
    if (this.#responseStarted && !this.#suspended) {
      this.#stream.abort();
      this.#end(outcome, false);
      return;
    }
    this.#abandon();
    this.#outcome = outcome;
    this.#makeReply(status, [], problemReply(status, code, detail), "application/problem+json");
    this.#answer();
  }

  /** The client has taken everything that was written. */
  clientDrained(): void {
    if (!this.#upstreamPaused) return;
    this.#upstreamPaused = false;
    this.#upstream?.resume();
  }

  respond(status: number, headers: readonly (readonly [string, string])[], body: Uint8Array): void {
    this.#outcome = outcomes.LOCAL_REPLY;
    this.#makeReply(status, headers, body, "text/plain; charset=utf-8");
  }

  resume(verdict: Verdict): void {
    if (this.ended || !this.#suspended) return;
    this.#suspended = false;
    this.suspendedMs = Infinity;
    if (this.#responseStarted) {
      if (verdict === REPLY) this.#replaceResponse();
      this.#filterResponse();
      if (!this.#suspended && !this.ended) this.#upstream?.unblock();
      return;
    }
    this.#position++;
    if (verdict === REPLY) this.#reply();
    else this.#filterRequest();
  }

  /** What will take it on may be a promise that is settled already: its reactions run when the turn is over. */
  #suspend(): void {
    this.#suspended = true;
    this.suspendedMs = this.#worker.loop.nowMs;
    this.#worker.loop.yieldSoon();
  }

  /** Goes on without the filter that is thinking: whatever it says later is too late. */
  #abandon(): void {
    this.#abandoned ||= this.#suspended;
    this.#suspended = false;
    this.suspendedMs = Infinity;
  }

  #filterRequest(): void {
    const chain = (this.#route as Route).chain;
    while (this.#position < chain.length) {
      const filter = chain[this.#position] as Route["chain"][number];
      if ((filter.hooks & HOOK_REQUEST_HEAD) !== 0) {
        const verdict = filter.requestHead(this, this.#position);
        if (verdict === SUSPEND) {
          this.#suspend();
          return;
        }
        if (verdict === REPLY) {
          this.#position++;
          this.#reply();
          return;
        }
        assert(verdict === CONTINUE, "a filter's verdict");
      }
      this.#position++;
    }
    this.#proceed();
  }

  /** The filters have let it pass: choose where it goes. */
  #proceed(): void {
    const route = this.#route as Route;
    const original = route.split === null ? this.#stream.originalAddress : null;
    const outcome = this.#target.choose(route, original);
    if (outcome !== outcomes.OK) this.#fail(outcome);
    else this.#connect();
  }

  #connect(): void {
    const upstream = this.#target.acquire(this, this.#engine as Engine);
    this.#upstream = upstream;
    if (this.#target.connected) this.#send();
  }

  onConnected(): void {
    this.#target.connected = true;
    this.#send();
  }

  onConnectFailed(error: number): void {
    this.#worker.counters.add(UPSTREAM_CONNECT_FAILURES, 1);
    this.#upstream = null;
    if (this.#target.next()) {
      this.#worker.counters.add(UPSTREAM_RETRIES, 1);
      this.#connect();
    } else {
      this.#fail(error === ETIMEDOUT ? outcomes.CONNECT_TIMEOUT : outcomes.CONNECT_FAILED);
    }
  }

  #send(): void {
    const stream = this.#stream;
    const encode = this.#encode;
    encode.dropForwarded = !stream.trusted;
    encode.appendStart = this.#worker.workspace.start;
    encode.appendEnd = forwardedLines(stream, this.request, this.#worker.workspace, this.#sent);
    this.#sent = true;
    encode.framing = this.request.framing;
    encode.upgrade = this.request.upgrade;
    const upstream = this.#upstream as UpstreamStream;
    if (!upstream.sendHead(this.request, encode)) {
      this.#dropUpstream();
      this.#fail(outcomes.HEAD_TOO_LONG);
      return;
    }
    if (!this.#mayRetry(upstream) && !this.#keepsRequest()) this.#releaseRequest();
    stream.resumeRequest();
  }

  /**
   * A connection that was idle may have been closed by the endpoint just before. Then nothing of the request was acted
   * upon, but that can't be known: only what is safe to do twice, and was sent whole, is sent again (RFC 9110 §9.2.2).
   */
  #mayRetry(upstream: UpstreamStream): boolean {
    const method = this.requestMethod;
    const idempotent = method !== METHOD_POST && method !== METHOD_PATCH && method !== METHOD_OTHER;
    return upstream.served > 0 && idempotent && this.request.framing === FRAMING_NONE && !this.request.upgrade;
  }

  #keepsRequest(): boolean {
    const route = this.#route;
    return this.#worker.accessLog.enabled || (route !== null && (route.hasResponseHooks || route.hasEndHooks));
  }

  onInformational(): void {
    if (this.#downstream?.requestMinor === 1) this.#stream.sendInformational(this.response);
  }

  onResponseHead(_buffer: number): void {
    if (!this.#keepsRequest()) this.#releaseRequest();
    const route = this.#route as Route;
    this.#responseStarted = true;
    if (route.hasResponseHooks) {
      this.#position = route.chain.length;
      this.#filterResponse();
      if (this.#suspended) this.#keepResponse();
      return;
    }
    this.#deliverHead();
  }

  /** The response filters take their time: the head must outlive the buffer it was received in. */
  #keepResponse(): void {
    if (this.response.keep()) this.#upstream?.block();
    else {
      this.#dropUpstream();
      this.#abandon();
      this.#responseStarted = false;
      this.#fail(outcomes.OVERLOADED);
    }
  }

  /** Runs the response hooks that are left, from the last filter to the first. */
  #filterResponse(): void {
    const chain = (this.#route as Route).chain;
    while (this.#position > 0) {
      this.#position--;
      const filter = chain[this.#position] as Route["chain"][number];
      if ((filter.hooks & HOOK_RESPONSE_HEAD) === 0) continue;
      const verdict = filter.responseHead(this, this.#position);
      if (verdict === SUSPEND) {
        this.#suspend();
        return;
      }
      if (verdict === REPLY) this.#replaceResponse();
    }
    if (this.#replying) this.#deliverReply();
    else this.#deliverHead();
  }

  /** A response filter answers in the upstream's place: the head is its own already, the upstream's body is not wanted. */
  #replaceResponse(): void {
    this.#replying = true;
    this.#dropUpstream();
  }

  #deliverHead(): void {
    if (this.response.status === SWITCHING_PROTOCOLS) {
      this.#switchProtocols();
      return;
    }
    if (!this.#stream.sendHead(this.response)) {
      this.#dropUpstream();
      this.#stream.abort();
      this.#end(outcomes.OVERLOADED, false);
    }
  }

  onResponseData(buffer: number, start: number, end: number): void {
    this.responseBytes += end - start;
    const stream = this.#stream;
    stream.sendData(buffer, start, end);
    if (!this.ended && !this.#upstreamPaused && stream.queuedBytes > HIGH_WATERMARK_BYTES) {
      this.#upstreamPaused = true;
      this.#upstream?.pause();
    }
  }

  onResponseEnd(trailers: Head | null): void {
    this.#upstream = null;
    this.#stream.sendEnd(trailers);
    if (!this.ended) this.#end(this.#outcome, this.#requestEnded);
  }

  onUpstreamBroken(reason: Broken): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#responseStarted) {
      this.#stream.abort();
      this.#end(outcomes.RESPONSE_CUT, false);
      return;
    }
    const again = (reason === BROKEN_CLOSED || reason === BROKEN_RESET) && this.#requestBuffer >= 0;
    if (again && upstream !== null && this.#mayRetry(upstream) && this.#target.again()) {
      this.#worker.counters.add(UPSTREAM_RETRIES, 1);
      this.#connect();
      return;
    }
    this.#fail(outcomeOf(reason));
  }

  onUpstreamDrained(): void {
    if (!this.#requestPaused) return;
    this.#requestPaused = false;
    this.#stream.resumeRequest();
  }

  /** Answers with a problem document of the outcome's own status. */
  #fail(outcome: outcomes.Outcome): void {
    const spec = outcomes.OUTCOMES[outcome] as outcomes.OutcomeSpec;
    this.#outcome = outcome;
    this.#makeReply(spec.status, [], problemReply(spec.status, spec.code, spec.detail), "application/problem+json");
    if (this.#route !== null && this.#route.hasResponseHooks) {
      this.#position = Math.min(this.#position, this.#route.chain.length);
      this.#reply();
    } else {
      this.#answer();
    }
  }

  #makeReply(
    status: number,
    headers: readonly (readonly [string, string])[],
    body: Uint8Array,
    contentType: string,
  ): void {
    if (this.#replyBuffer < 0) this.#replyBuffer = this.#worker.buffers.allocate();
    if (this.#replyBuffer < 0) return;
    const head = this.request.method;
    const region = writeReply(
      this.#worker.buffers,
      this.#replyBuffer,
      this.response,
      status,
      headers,
      body,
      contentType,
      head,
    );
    this.#replyBodyStart = region.start;
    this.#replyBodyEnd = region.end;
  }

  /** The reply is made: back through the response hooks of the filters that have seen the request. */
  #reply(): void {
    this.#replying = true;
    this.#responseStarted = true;
    // The filter that replied does not see its own reply: it stands at position − 1.
    if (this.#outcome === outcomes.LOCAL_REPLY) this.#position--;
    this.#filterResponse();
  }

  #answer(): void {
    this.#responseStarted = true;
    this.#deliverReply();
  }

  #deliverReply(): void {
    const stream = this.#stream;
    if (this.#replyBuffer < 0 || !stream.sendHead(this.response)) {
      stream.abort();
      this.#end(outcomes.OVERLOADED, false);
      return;
    }
    if (this.#replyBodyEnd > this.#replyBodyStart) {
      this.responseBytes += this.#replyBodyEnd - this.#replyBodyStart;
      stream.sendData(this.#replyBuffer, this.#replyBodyStart, this.#replyBodyEnd);
    }
    if (!this.ended) stream.sendEnd(null);
    if (!this.ended) this.#end(this.#outcome, this.#requestEnded);
  }

  #switchProtocols(): void {
    const stream = this.#stream;
    // Nobody asked for it, or the body that belongs before it is still to come.
    if (!this.request.upgrade || !this.#requestEnded) {
      this.#dropUpstream();
      this.#fail(outcomes.UPSTREAM_INVALID);
      return;
    }
    if (!stream.sendHead(this.response)) {
      this.#dropUpstream();
      stream.abort();
      this.#end(outcomes.UPSTREAM_INVALID, false);
      return;
    }
    const up = (this.#upstream as UpstreamStream).release();
    this.#upstream = null;
    this.#end(outcomes.TUNNEL, true);
    startTunnel(stream.release(), up);
  }

  #dropUpstream(): void {
    this.#upstream?.discard();
    this.#upstream = null;
  }

  #releaseRequest(): void {
    if (this.#requestBuffer < 0) return;
    this.#worker.buffers.release(this.#requestBuffer);
    this.#requestBuffer = -1;
  }

  #end(outcome: outcomes.Outcome, clean: boolean): void {
    const worker = this.#worker;
    const stream = this.#stream;
    const route = this.#route;
    this.#abandon();
    const abandoned = this.#abandoned;
    const status = this.#responseStarted ? this.response.status : 0;
    this.ended = true;
    worker.counters.ended(outcome, status);
    worker.counters.add(REQUEST_BODY_BYTES, this.requestBytes);
    worker.counters.add(RESPONSE_BODY_BYTES, this.responseBytes);
    if (worker.accessLog.enabled) logExchange(worker, this, outcome, status, this.#requestBuffer >= 0);
    if (route !== null && route.hasEndHooks) {
      for (let i = 0; i < route.chain.length; i++) {
        const filter = route.chain[i] as Route["chain"][number];
        if ((filter.hooks & HOOK_END) !== 0) filter.end(this, i);
      }
    }
    // A tunnel takes the connection over; everything else goes on, or closes, as its protocol does.
    this.#reset();
    if (outcome !== outcomes.TUNNEL) stream.finished(clean);
    if (abandoned) this.#home.retire();
    else this.#home.give(this);
  }

  #reset(): void {
    this.#releaseRequest();
    if (this.#replyBuffer >= 0) this.#worker.buffers.release(this.#replyBuffer);
    this.request.reset();
    this.response.reset();
    this.#engine?.release();
    for (let i = 0; i < this.state.length; i++) this.state[i] = null;
    this.#target.reset();
    this.#clientBytes = null;
    this.#downstream = null;
    this.#engine = null;
    this.#route = null;
    this.#upstream = null;
    this.#position = 0;
    this.#suspended = false;
    this.#abandoned = false;
    this.#replying = false;
    this.#replyBuffer = -1;
    this.#replyBodyStart = 0;
    this.#replyBodyEnd = 0;
    this.#requestEnded = false;
    this.#responseStarted = false;
    this.#requestPaused = false;
    this.#sent = false;
    this.#upstreamPaused = false;
    this.#outcome = outcomes.OK;
    this.requestBytes = 0;
    this.responseBytes = 0;
  }
}

/** 16 bytes, IPv4 mapped; zeros for a Unix socket. */
function ipBytes(client: string): Uint8Array {
  return client === "" ? new Uint8Array(16) : parseIp(client);
}

function outcomeOf(reason: Broken): outcomes.Outcome {
  switch (reason) {
    case BROKEN_TIMEOUT:
      return outcomes.UPSTREAM_TIMEOUT;
    case BROKEN_RESET:
      return outcomes.UPSTREAM_RESET;
    case BROKEN_BAD_RESPONSE:
      return outcomes.UPSTREAM_INVALID;
    case BROKEN_NO_BUFFERS:
      return outcomes.OVERLOADED;
    default:
      return outcomes.UPSTREAM_CLOSED;
  }
}
