/**
 * What one exchange does to get a response: endpoint by endpoint, connection by connection, until one answers or nothing
 * is left to try. Pooled with its exchange, which hears of one response or one failure.
 *
 * Bytes of the request head stay in the buffer they were received in, which is retained here until nothing can ask for
 * them any more: another attempt, the log, a filter on the way back.
 */
import { TLS_FAILED, TLS_UNTRUSTED } from "#net/tls/client-tls.ts";
import { ETIMEDOUT } from "#core/errno.ts";
import { VIA } from "#http/names.ts";
import { FRAMING_NONE, METHOD_CONNECT, METHOD_OTHER, METHOD_PATCH, METHOD_POST, type Head } from "#http/head.ts";
import { Alarm } from "#net/alarm.ts";
import { HIGH_WATERMARK_BYTES } from "#net/connection.ts";
import { UPSTREAM_CONNECT_FAILURES, UPSTREAM_HEDGES, UPSTREAM_RETRIES } from "#observe/counters.ts";
import { BROKEN_CLOSED, BROKEN_RESET, BROKEN_TIMEOUT, BROKEN_UNUSED, type Broken } from "#upstream/broken.ts";
import type { RetryPolicy } from "#upstream/retry-policy.ts";
import type { ReleasedUpstream, UpstreamStream } from "#upstream/stream.ts";
import type { Asker } from "./asker.ts";
import { BodyReplay } from "./body-replay.ts";
import { Choice, type ChoiceOwner } from "./choice.ts";
import type { WorkerContext } from "./context.ts";
import type { Detour } from "./detour.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Engine, Route } from "./engine.ts";
import { Hedge, type HedgeOwner } from "./hedge.ts";
import * as outcomes from "./outcomes.ts";
import { RequestWriter } from "./request-writer.ts";
import type { Target } from "./target.ts";

/** Endpoints one exchange may try to connect to without being told to: nothing of the request has left by then. */
const CONNECTS_MAX = 3;

/** Of a body that goes over a used connection, kept for when that turns out to be dead. */
const STALE_BODY_BYTES_MAX = 64 * 1024;

/** The exchange, as its attempts see it. */
export interface AttemptsOwner {
  readonly request: Head;
  readonly response: Head;
  readonly ended: boolean;
  readonly asker: Asker;
  informational(): void;
  /** `response` is parsed; its bytes are valid for the call. */
  responseHead(): void;
  responseData(buffer: number, start: number, end: number): void;
  responseEnd(trailers: Head | null): void;
  /** The request's body can be taken: its head has been sent, or the endpoint has caught up. */
  bodyWanted(): void;
  /** There is no response, or no more of it. */
  upstreamFailed(outcome: outcomes.Outcome): void;
}

export class Attempts implements HedgeOwner, ChoiceOwner {
  readonly #worker: WorkerContext;
  readonly #owner: AttemptsOwner;
  readonly request: Head;
  readonly response: Head;
  readonly #choice: Choice;
  readonly #target: Target;
  readonly #writer: RequestWriter;
  readonly #replay: BodyReplay;
  /** Of one attempt, where the policy bounds it. */
  readonly #alarm: Alarm;
  /** Until a second request is made beside the first. */
  readonly #hedgeAlarm: Alarm;
  #hedge: Hedge | null = null;
  #engine: Engine | null = null;
  #downstream: DownstreamStream | null = null;
  #policy: RetryPolicy | null = null;
  #keepsHead = false;
  /** Buffer that holds the request head; −1 once it is given up. */
  #head = -1;
  /** What is sent of the body is kept as well. */
  #keepsBody = false;
  #retries = 0;
  #connects = 0;
  #answered = false;
  /** The endpoint takes the body too slowly. */
  #paused = false;
  requestMethod = 0;
  /** The connection in use; null before, between and after attempts. */
  stream: UpstreamStream | null = null;

  constructor(worker: WorkerContext, owner: AttemptsOwner) {
    this.#worker = worker;
    this.#owner = owner;
    this.request = owner.request;
    this.response = owner.response;
    this.#choice = new Choice(worker, this);
    this.#target = this.#choice.target;
    this.#writer = new RequestWriter(worker.workspace);
    this.#replay = new BodyReplay(worker.buffers, worker.trailers);
    this.#alarm = new Alarm(worker.loop, () => this.#tookTooLong());
    this.#hedgeAlarm = new Alarm(worker.loop, () => this.#beginHedge());
  }

  /** The endpoint being used, for the log; empty before one is. */
  get address(): string {
    return this.#target.address;
  }

  get wantsBody(): boolean {
    return this.stream !== null && !this.#paused && this.#target.connected;
  }

  /** The request's head has left, or may at any time. */
  get begun(): boolean {
    return this.#engine !== null;
  }

  get keepsHead(): boolean {
    return this.#head >= 0;
  }

  /** Retains the buffer that holds the request's head. */
  keepHead(buffer: number): void {
    this.#worker.buffers.retain(buffer);
    this.#head = buffer;
  }

  /** `keepsHead`: the head is wanted to the end. `detour`: a filter's, in the place of what the route says. */
  begin(
    route: Route,
    downstream: DownstreamStream,
    engine: Engine,
    keepsHead: boolean,
    detour: Detour | null = null,
  ): void {
    this.#engine = engine;
    this.#downstream = downstream;
    this.#keepsHead = keepsHead;
    this.requestMethod = this.request.method;
    const outcome = this.#choice.begin(route, downstream, detour);
    if (outcome !== outcomes.OK) {
      this.#owner.upstreamFailed(outcome);
      return;
    }
    this.#policy = this.#target.upstream?.retry ?? null;
    this.#policy?.request();
    this.#choice.choose();
  }

  data(buffer: number, start: number, end: number): void {
    const { stream } = this;
    if (stream === null) return;
    if (this.#keepsBody) this.#replay.data(buffer, start, end);
    stream.sendData(buffer, start, end);
    if (this.stream !== null && stream.queuedBytes > HIGH_WATERMARK_BYTES) {
      this.#paused = true;
      this.#downstream?.pauseRequest();
    }
  }

  end(trailers: Head | null): void {
    if (this.#keepsBody) this.#replay.end(trailers);
    this.stream?.sendEnd(trailers);
  }

  /** Nobody waits for a response any more. */
  drop(): void {
    this.#alarm.cancel();
    this.#dropHedge();
    this.#choice.drop();
    this.stream?.discard();
    this.stream = null;
  }

  /** A tunnel begins: hands the connection over. */
  release(): ReleasedUpstream {
    const released = (this.stream as UpstreamStream).release();
    this.stream = null;
    return released;
  }

  reset(): void {
    this.drop();
    this.#releaseHead();
    this.#choice.reset();
    this.#replay.reset();
    this.#engine = null;
    this.#downstream = null;
    this.#policy = null;
    this.#keepsHead = false;
    this.#keepsBody = false;
    this.#retries = 0;
    this.#connects = 0;
    this.#answered = false;
    this.#paused = false;
  }

  // Connecting.

  chosen(): void {
    this.#connect();
  }

  notChosen(outcome: outcomes.Outcome): void {
    this.#owner.upstreamFailed(outcome);
  }

  #connect(): void {
    this.#timeAttempt();
    this.#paused = false;
    this.#connects++;
    this.stream = this.#target.acquire(this, this.#engine as Engine, this.#downstream);
    if (this.#target.connected) this.#send();
  }

  #timeAttempt(): void {
    if (this.#policy === null) return;
    const { perTryMs, hedgeAfterMs } = this.#policy.spec;
    if (perTryMs > 0) this.#alarm.set(perTryMs);
    const hedges = hedgeAfterMs > 0 && this.#isIdempotent && this.request.framing === FRAMING_NONE;
    if (hedges && this.#hedge === null) this.#hedgeAlarm.set(hedgeAfterMs);
  }

  onConnected(): void {
    this.#target.connected = true;
    this.#send();
  }

  onConnectFailed(error: number): void {
    this.#worker.counters.add(UPSTREAM_CONNECT_FAILURES, 1);
    this.stream = null;
    this.#alarm.cancel();
    this.#choice.failed();
    if (this.#leadByHedge()) return;
    const policy = this.#policy;
    const byPolicy = policy !== null && policy.spec.onConnectFailure;
    if (this.#connects < CONNECTS_MAX && this.#choice.chooseOther()) this.#again();
    else if (byPolicy && this.#mayRetry(policy) && this.#choice.chooseAny()) this.#retry();
    else this.#owner.upstreamFailed(connectOutcome(error));
  }

  #send(): void {
    const stream = this.stream as UpstreamStream;
    const { request } = this;
    const { forwarding } = this.#engine as Engine;
    const downstream = this.#downstream as DownstreamStream;
    if (!this.#writer.send(request, downstream, this.#owner.asker.host, forwarding, stream)) {
      this.drop();
      this.#owner.upstreamFailed(outcomes.HEAD_TOO_LONG);
      return;
    }
    this.#choice.noteBinding();
    const repeats = stream.served > 0 || (this.#policy !== null && this.#isIdempotent);
    if (this.#connects > 1) this.#replay.sendTo(stream);
    if (repeats && request.framing !== FRAMING_NONE && !this.#keepsBody) this.#keepBody();
    if (!repeats && !this.#keepsHead) this.#releaseHead();
    if (this.stream !== null) this.#owner.bodyWanted();
  }

  // A second request beside the first.

  #beginHedge(): void {
    if (this.stream === null || !this.#canRepeat) return;
    const target = this.#choice.beside();
    if (target === null || !this.#mayRetry(this.#policy as RetryPolicy)) return;
    this.#retries++;
    this.#worker.counters.add(UPSTREAM_HEDGES, 1);
    this.#hedge = new Hedge(this, target);
    this.#hedge.start(this.#engine as Engine, this.#downstream);
  }

  sendBeside(stream: UpstreamStream): boolean {
    const { forwarding } = this.#engine as Engine;
    const downstream = this.#downstream as DownstreamStream;
    return this.#writer.send(this.request, downstream, this.#owner.asker.host, forwarding, stream);
  }

  hedgeAnswers(): boolean {
    if (this.stream !== null && this.#policy?.wantsStatus(this.response.status) === true) {
      // The first may do better.
      this.response.reset();
      this.#hedge?.drop();
      this.hedgeFailed();
      return false;
    }
    this.stream?.discard();
    this.stream = null;
    return this.#leadByHedge();
  }

  hedgeFailed(): void {
    const { upstream = null, member = null } = this.#hedge?.target ?? {};
    this.#hedge = null;
    if (upstream !== null && member !== null) upstream.failed(member);
  }

  /** The first attempt is over: what stands beside it takes its place. False: nothing does. */
  #leadByHedge(): boolean {
    const hedge = this.#hedge;
    this.#hedgeAlarm.cancel();
    if (hedge === null) return false;
    this.#hedge = null;
    this.stream = hedge.lead();
    this.#target.follow(hedge.target);
    this.#choice.noteBinding();
    this.#timeAttempt();
    return true;
  }

  #dropHedge(): void {
    this.#hedgeAlarm.cancel();
    this.#hedge?.drop();
    this.#hedge = null;
  }

  // Trying again.

  /** From the beginning of the body, and not from its middle: a second attempt that keeps it finds all of it kept. */
  #keepBody(): void {
    this.#keepsBody = true;
    this.#replay.begin(this.#policy?.spec.bodyBytesMax ?? STALE_BODY_BYTES_MAX);
  }

  /** To do it twice is the same as to do it once (RFC 9110 §9.2.2). Of two tunnels one could have been taken for used. */
  get #isIdempotent(): boolean {
    const method = this.requestMethod;
    const named = method !== METHOD_POST && method !== METHOD_PATCH && method !== METHOD_OTHER;
    return named && method !== METHOD_CONNECT && !this.request.upgrade;
  }

  /** All that was sent can be sent again. */
  get #canRepeat(): boolean {
    return this.#head >= 0 && !this.#answered && this.#replay.complete;
  }

  /** The policy has a retry left for this request, and for the upstream. */
  #mayRetry(policy: RetryPolicy): boolean {
    return this.#retries < policy.spec.attempts && policy.take(this.#worker.loop.nowMs);
  }

  #retry(): void {
    this.#retries++;
    this.#again();
  }

  #again(): void {
    this.#worker.counters.add(UPSTREAM_RETRIES, 1);
    this.#connect();
  }

  #releaseHead(): void {
    if (this.#head < 0) return;
    this.#worker.buffers.release(this.#head);
    this.#head = -1;
  }

  /** The attempt has had its time. */
  #tookTooLong(): void {
    const { stream } = this;
    if (stream === null || this.#answered) return;
    this.stream = null;
    stream.discard();
    this.#choice.failed();
    if (this.#leadByHedge()) return;
    const policy = this.#policy as RetryPolicy;
    // Before it is connected nothing has left: whatever the request is.
    const unsent = !this.#target.connected;
    const repeats = unsent
      ? policy.spec.onTimeout || policy.spec.onConnectFailure
      : this.#repeatsBroken(BROKEN_TIMEOUT);
    if (repeats && this.#mayRetry(policy) && this.#choice.chooseAny()) this.#retry();
    else this.#owner.upstreamFailed(outcomes.UPSTREAM_TIMEOUT);
  }

  #repeatsBroken(reason: Broken): boolean {
    return this.#canRepeat && this.#isIdempotent && this.#policy !== null && this.#policy.wantsBroken(reason);
  }

  // What the endpoint answers.

  onUpstreamDrained(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#owner.bodyWanted();
  }

  onInformational(): void {
    this.#owner.informational();
  }

  onResponseHead(_buffer: number): void {
    this.#alarm.cancel();
    const { status } = this.response;
    const { viaResponse } = (this.#engine as Engine).forwarding;
    const isForwarded = this.#target.connect !== "tunnel";
    if (isForwarded && viaResponse.length > 0) this.response.add(VIA, viaResponse, 0, viaResponse.length);
    // What a proxy answers to CONNECT tells of its target: its own health would be for any client to spoil.
    if (status >= 500 && this.requestMethod !== METHOD_CONNECT) this.#choice.failed();
    else this.#choice.succeeded();
    if (this.#retriesStatus(status)) return;
    this.#choice.bind(this.response);
    this.#answered = true;
    this.#dropHedge();
    this.#keepsBody = false;
    this.#replay.forget();
    if (!this.#keepsHead) this.#releaseHead();
    this.#owner.responseHead();
  }

  /** True when another attempt is made in the place of this answer. */
  #retriesStatus(status: number): boolean {
    const policy = this.#policy;
    if (policy === null || !policy.wantsStatus(status) || !this.#canRepeat || !this.#isIdempotent) return false;
    if (this.#hedge === null && (!this.#mayRetry(policy) || !this.#choice.chooseAny())) return false;
    this.stream?.discard();
    this.stream = null;
    this.response.reset();
    if (!this.#leadByHedge()) this.#retry();
    return true;
  }

  onResponseData(buffer: number, start: number, end: number): void {
    this.#owner.responseData(buffer, start, end);
  }

  onResponseEnd(trailers: Head | null): void {
    this.stream = null;
    this.#owner.responseEnd(trailers);
  }

  /**
   * A connection that was idle may have been closed by the endpoint just before. Then nothing of the request was acted
   * upon, but that can't be known: what is safe to do twice, and has no body, is sent again over a fresh connection, once;
   * and anything when nothing of it had left.
   */
  onUpstreamBroken(reason: Broken): void {
    const { stream } = this;
    this.stream = null;
    this.#alarm.cancel();
    const closed = reason === BROKEN_CLOSED || reason === BROKEN_RESET;
    const bodiless = this.request.framing === FRAMING_NONE;
    const stale = closed && stream !== null && stream.served > 0 && bodiless && this.#isIdempotent;
    if ((stale || reason === BROKEN_UNUSED) && this.#canRepeat && this.#target.again()) {
      this.#again();
      return;
    }
    this.#choice.failed();
    if (this.#leadByHedge()) return;
    const policy = this.#policy;
    if (policy !== null && this.#repeatsBroken(reason) && this.#mayRetry(policy) && this.#choice.chooseAny())
      this.#retry();
    else this.#owner.upstreamFailed(outcomes.outcomeOf(reason));
  }
}

function connectOutcome(error: number): outcomes.Outcome {
  switch (error) {
    case ETIMEDOUT:
      return outcomes.CONNECT_TIMEOUT;
    case TLS_FAILED:
      return outcomes.UPSTREAM_TLS;
    case TLS_UNTRUSTED:
      return outcomes.UPSTREAM_UNTRUSTED;
    default:
      return outcomes.CONNECT_FAILED;
  }
}
