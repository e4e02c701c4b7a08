/**
 * One request and its response, from the parsed head to the log line: what the client, the filters and the upstream's
 * side (`Attempts`) say to each other. Pooled: every field goes back to its beginning when the exchange ends. An upstream
 * forgets it then; a filter that is still thinking can't, so an exchange that ends while it is suspended is not used again.
 *
 *     begin ─▶ request filters ─▶ endpoint ─▶ request head and body sent ─▶ response head ─▶ response filters ─▶ body ─▶ end
 *                   │ reply                                                        ▲
 *                   └───────────────── local reply, through the same response filters
 */
import { beginsTunnel, FRAMING_LENGTH, FRAMING_NONE, Head } from "#http/head.ts";
import { Alarm } from "#net/alarm.ts";
import { refusalOf } from "#http/refusals.ts";
import { REQUESTS } from "#observe/counters.ts";
import { SAME_LENGTH, type BodyStage, type LengthEffect } from "#pipeline/body.ts";
import { CONTINUE, REPLY, SUSPEND, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { recordEnd } from "./access.ts";
import { admit, isTooLong, refusedFor } from "./admission.ts";
import { Attempts, type AttemptsOwner } from "./attempts.ts";
import { Bodies, type BodiesOwner } from "./bodies.ts";
import { ClientSide } from "./client-side.ts";
import type { WorkerContext } from "./context.ts";
import { detourTo, type Detour } from "./detour.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Engine, Route } from "./engine.ts";
import { FactsOfExchange } from "./exchange-facts.ts";
import type { Home } from "./home.ts";
import { FilterWalk } from "./filter-walk.ts";
import { LocalReply, type ReplyFields } from "./local-reply.ts";
import * as outcomes from "./outcomes.ts";
import { asksForTunnel, startTunnel } from "./tunnel.ts";

export class ProxyExchange extends ClientSide implements Exchange, AttemptsOwner, BodiesOwner {
  readonly #worker: WorkerContext;
  readonly #home: Home<ProxyExchange>;
  readonly request: Head;
  readonly response: Head;
  readonly state: unknown[] = [];
  readonly facts = new FactsOfExchange(this);
  readonly #walk: FilterWalk;
  readonly #reply: LocalReply;
  readonly #attempts: Attempts;
  readonly #bodies: Bodies;

  #engine: Engine | null = null;
  #route: Route | null = null;
  /** What goes back is the gateway's own. */
  #replying = false;
  #requestEnded = false;
  /** A response is on its way back; while a filter thinks about it, nothing of it has been sent. */
  #responseStarted = false;
  #outcome: outcomes.Outcome = outcomes.OK;
  /** Where a filter sends it instead. */
  #detour: Detour | null = null;
  readonly #timer: Alarm;
  startMs = 0;
  requestBytes = 0;
  /** True from the end to the next beginning. */
  ended = true;

  constructor(worker: WorkerContext, home: Home<ProxyExchange>) {
    super();
    this.#worker = worker;
    this.#home = home;
    this.request = new Head(worker.scratch);
    this.response = new Head(worker.scratch);
    this.#walk = new FilterWalk(worker.loop);
    this.#reply = new LocalReply(worker.buffers, this.response, worker.date);
    this.#attempts = new Attempts(worker, this);
    this.#bodies = new Bodies(worker, this, this.#attempts);
    this.#timer = new Alarm(worker.loop, () => this.#tookTooLong());
  }

  get routeName(): string {
    return this.#route?.spec.name ?? "";
  }

  /** A tenant's own upstream is `acme/api` in the snapshot. */
  get upstreamName(): string {
    const action = this.#route?.spec.action;
    const only = action?.kind === "upstream" && action.split.length === 1 ? action.split[0]?.upstream : undefined;
    const chosen = only === undefined ? undefined : this.#engine?.upstreams[only];
    const { name } = this.#detour?.upstream ?? chosen ?? { name: "" };
    return name.slice(name.indexOf("/") + 1);
  }

  get upstreamAddress(): string {
    return this.#attempts.address;
  }

  /** When the filter that is thinking was asked; Infinity while none is. */
  get suspendedMs(): number {
    return this.#walk.suspendedMs;
  }

  /** True while the request's body can be taken. */
  get wantsBody(): boolean {
    return this.#bodies.wantsRequest;
  }

  get responseBytes(): number {
    return this.#bodies.responseBytes;
  }

  // What the client's side tells.

  /** `request` is parsed; its bytes are in `buffer`, which is retained here. */
  begin(downstream: DownstreamStream, buffer: number): void {
    const { request } = this;
    const engine = this.#open(downstream);
    this.#attempts.keepHead(buffer);
    const { framing } = request;
    this.#requestEnded = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && request.contentLength === 0);
    const { listener } = downstream;
    this.asker.begin(request, downstream.trusted, engine.forwarding);
    const index = admit(request, engine, listener.index, this.clientCertificate, this.#worker.buffers);
    if (index < 0) {
      this.#fail(refusedFor(index));
      return;
    }
    const route = engine.route(index);
    this.#route = route;
    if (isTooLong(request, route)) {
      this.#fail(outcomes.BODY_TOO_LARGE);
      return;
    }
    if (route.requestTimeoutMs > 0) this.#timer.set(route.requestTimeoutMs);
    if (route.hasRequestHooks) this.#filterRequest();
    else this.#proceed();
  }

  /** A request that could not even be parsed: answered, counted, logged. `status` and `detail` say what was wrong. */
  refuse(downstream: DownstreamStream, status: number, code: string, detail: string): void {
    this.#open(downstream);
    this.#outcome = outcomes.BAD_REQUEST;
    this.#requestEnded = false;
    this.#reply.makeProblem(status, code, detail, this.asker, this.request.method);
    this.#deliverReply();
  }

  #open(downstream: DownstreamStream): Engine {
    const engine = downstream.listener.engine;
    engine.retain();
    this.downstream = downstream;
    this.#engine = engine;
    this.ended = false;
    this.startMs = this.#worker.loop.nowMs;
    this.#worker.counters.add(REQUESTS, 1);
    return engine;
  }

  requestData(buffer: number, start: number, end: number): void {
    this.requestBytes += end - start;
    if (this.#route !== null && this.requestBytes > this.#route.bodyBytesMax) {
      this.#giveUp(outcomes.BODY_TOO_LARGE);
      return;
    }
    this.#bodies.requestData(buffer, start, end);
  }

  requestEnd(trailers: Head | null): void {
    this.#requestEnded = true;
    this.#bodies.requestEnd(trailers);
  }

  bodyWanted(): void {
    this.#bodies.requestWanted();
  }

  /** The client has gone, or broke off in the middle of its body. */
  clientGone(outcome: outcomes.Outcome): void {
    if (this.ended) return;
    this.#attempts.drop();
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
    this.#giveUp(outcomes.FILTER_TIMEOUT);
  }

  #giveUp(outcome: outcomes.Outcome): void {
    const { status, code, detail } = outcomes.OUTCOMES[outcome] as outcomes.OutcomeSpec;
    this.#giveUpRequest(outcome, status, code, detail);
  }

  /** It is the client's fault as long as its body is not whole. */
  #tookTooLong(): void {
    if (this.#requestEnded) this.#giveUp(outcomes.REQUEST_TIMEOUT);
    else this.#giveUpRequest(outcomes.REQUEST_TIMEOUT, 408, "request-timeout", "the request did not arrive in time");
  }

  #giveUpRequest(outcome: outcomes.Outcome, status: number, code: string, detail: string): void {
    this.#attempts.drop();
    if (this.#responseStarted && !this.#walk.suspended) {
      this.#cut(outcome);
      return;
    }
    this.#walk.abandon();
    this.#outcome = outcome;
    this.#makeProblem(status, code, detail);
    this.#deliverReply();
  }

  /** The client has taken everything that was written. */
  clientDrained(): void {
    this.#bodies.clientDrained();
  }

  // Filters.

  respond(status: number, headers: ReplyFields, body: Uint8Array): void {
    this.#outcome = outcomes.LOCAL_REPLY;
    if (this.#refusesTunnel(status)) return;
    this.#bodies.dropResponse();
    this.#reply.make(status, headers, body, "text/plain; charset=utf-8", this.request.method);
  }

  respondFrom(status: number, headers: ReplyFields, contentLength: number, source: BodyStage): void {
    this.#outcome = outcomes.LOCAL_REPLY;
    this.#bodies.dropResponse();
    this.#reply.makeHead(status, headers, contentLength, this.request.method);
    if (this.#refusesTunnel(status) || this.response.framing === FRAMING_NONE) source.dispose();
    else this.#bodies.addResponse(source, SAME_LENGTH);
  }

  /** A filter answers CONNECT with success: the client would take what follows for its tunnel, and there is none. */
  #refusesTunnel(status: number): boolean {
    if (!beginsTunnel(status, this.request.method)) return false;
    this.#makeProblem(500, "connect-without-tunnel", "a filter answered CONNECT with success, without a tunnel");
    return true;
  }

  interrupt(status: number, headers: ReplyFields, body: Uint8Array): boolean {
    const route = this.#route;
    if (this.ended || this.#responseStarted || route === null) return false;
    this.#attempts.drop();
    this.#walk.abandon();
    this.respond(status, headers, body);
    this.#walk.turnHere(route.chain);
    this.#replyThroughFilters();
    return true;
  }

  filterRequestBody(stage: BodyStage, effect: LengthEffect): void {
    this.#bodies.addRequest(stage, effect);
    if (this.#walk.suspended && this.#bodies.request?.full === false) this.#readAhead();
  }

  filterResponseBody(stage: BodyStage, effect: LengthEffect): void {
    this.#bodies.addResponse(stage, effect);
    // It was thinking, and now wants the body to decide: what was held back for that long comes.
    if (this.#walk.suspended && this.#bodies.response?.holds === true) this.#attempts.stream?.unblock();
  }

  routeTo(upstream: string, endpoint: string): boolean {
    if (this.#responseStarted) return false;
    this.#detour = detourTo(this.#engine as Engine, upstream, endpoint);
    return this.#detour !== null;
  }

  resume(verdict: Verdict): void {
    if (this.ended || !this.#walk.suspended) return;
    this.#walk.wake();
    if (this.#responseStarted) {
      if (verdict === REPLY) this.#replaceResponse();
      this.#filterResponse();
      if (!this.#walk.suspended && !this.ended) this.#attempts.stream?.unblock();
    } else if (verdict === REPLY) {
      this.#replyThroughFilters();
    } else {
      this.#walk.pass();
      this.#filterRequest();
    }
  }

  #filterRequest(): void {
    const verdict = this.#walk.request(this, (this.#route as Route).chain);
    if (verdict === CONTINUE) this.#proceed();
    else if (verdict === REPLY) this.#replyThroughFilters();
    else if (this.#bodies.request?.full === false) this.#readAhead();
  }

  /** A filter thinks, and wants the body for it. A client that waits to be asked for it is asked (RFC 9110 section 10.1.1). */
  #readAhead(): void {
    this.#reply.continueIfExpected(this.request, this.stream);
    this.stream.resumeRequest();
  }

  /** Runs the response hooks that are left, from the last filter to the first. */
  #filterResponse(): void {
    const chain = (this.#route as Route).chain;
    let verdict = this.#walk.response(this, chain);
    while (verdict === REPLY) {
      this.#replaceResponse();
      verdict = this.#walk.response(this, chain);
    }
    if (verdict === SUSPEND) return;
    if (this.#replying) this.#deliverReply();
    else this.#deliverHead();
  }

  /** A response filter answers in the upstream's place: the head is its own already, the upstream's body is not wanted. */
  #replaceResponse(): void {
    this.#replying = true;
    this.#attempts.drop();
  }

  // Towards the upstream.

  /** The filters have let it pass: choose where it goes. */
  #proceed(): void {
    const route = this.#route as Route;
    this.#attempts.begin(route, this.stream, this.#engine as Engine, this.#keepsRequest, this.#detour);
  }

  /** The log, or a filter that has not run yet, may ask for the request's head when it has been sent. */
  get #keepsRequest(): boolean {
    const route = this.#route;
    const { accessLog, tap } = this.#worker;
    return accessLog.enabled || tap.open || (route !== null && (route.hasResponseHooks || route.hasEndHooks));
  }

  /** No endpoint can be had, or none answered: there will be no response. */
  upstreamFailed(outcome: outcomes.Outcome): void {
    if (this.#walk.suspended) this.#failSuspended(outcome);
    else if (this.#responseStarted) this.#cut(outcomes.RESPONSE_CUT);
    else this.#fail(outcome);
  }

  // What the upstream answers.

  informational(): void {
    if (this.downstream?.requestMinor === 1) this.stream.sendInformational(this.response);
  }

  responseHead(): void {
    const route = this.#route as Route;
    this.#responseStarted = true;
    if (!route.hasResponseHooks) {
      this.#deliverHead();
      return;
    }
    this.#walk.turnAtEnd(route.chain);
    this.#filterResponse();
    if (this.#walk.suspended) this.#keepResponse();
  }

  /** The response filters take their time: the head must outlive the buffer it was received in. */
  #keepResponse(): void {
    if (this.response.keep()) {
      // A filter that waits for the body itself must get it.
      if (this.#bodies.response?.holds !== true) this.#attempts.stream?.block();
      return;
    }
    this.#attempts.drop();
    this.#failSuspended(outcomes.OVERLOADED);
  }

  #deliverHead(): void {
    const { request, response, stream } = this;
    const tunnel = beginsTunnel(response.status, request.method);
    // Nobody asked for it, or the body that belongs before it is still to come.
    if (tunnel && !(this.#requestEnded && asksForTunnel(request, response))) {
      this.#attempts.drop();
      this.#fail(outcomes.UPSTREAM_INVALID);
    } else if (!stream.sendHead(response)) {
      this.#attempts.drop();
      this.#cut(outcomes.OVERLOADED);
    } else if (tunnel) {
      const up = this.#attempts.release();
      this.#end(outcomes.TUNNEL, true);
      startTunnel(stream.listener, stream.release(), up);
    } else {
      this.#bodies.headSent();
    }
  }

  responseData(buffer: number, start: number, end: number): void {
    this.#bodies.responseData(buffer, start, end);
  }

  responseEnd(trailers: Head | null): void {
    this.#bodies.responseEnd(trailers);
  }

  /** The response is with the client, as far as it is ours to send. */
  responseSent(): void {
    this.#end(this.#outcome, this.#requestEnded);
  }

  /** A filter takes no more of the request's body. */
  requestFailed(status: number, code: string, detail: string): void {
    this.#giveUpRequest(outcomes.LOCAL_REPLY, status, code, detail);
  }

  responseFailed(): void {
    this.#attempts.drop();
    this.#cut(outcomes.RESPONSE_CUT);
  }

  // Replies of the gateway's own.

  /** Answers with a problem document of the outcome's own status. */
  #fail(outcome: outcomes.Outcome): void {
    const { status, code, detail } = outcomes.OUTCOMES[outcome] as outcomes.OutcomeSpec;
    this.#outcome = outcome;
    this.#makeProblem(status, code, detail);
    const route = this.#route;
    if (route === null || !route.hasResponseHooks) {
      this.#deliverReply();
      return;
    }
    this.#walk.turnHere(route.chain);
    this.#replyThroughFilters();
  }

  #makeProblem(status: number, code: string, detail: string): void {
    this.#bodies.dropResponse();
    this.#reply.makeProblem(status, code, detail, this.asker, this.request.method);
  }

  /** What a response filter was still looking at can't be had any more: nothing of it was sent, so there is an answer. */
  #failSuspended(outcome: outcomes.Outcome): void {
    this.#walk.abandon();
    this.#fail(outcome);
  }

  /** The reply is made: back through the response hooks of the filters that have let the request pass. */
  #replyThroughFilters(): void {
    this.#replying = true;
    this.#responseStarted = true;
    this.#filterResponse();
  }

  #deliverReply(): void {
    const stream = this.stream;
    this.#responseStarted = true;
    if (!this.#reply.sendHead(stream)) {
      this.#cut(outcomes.OVERLOADED);
      return;
    }
    this.#bodies.replyHeadSent();
    this.#reply.sendBody(this.#bodies);
    if (!this.ended) this.#bodies.headSent();
  }

  // The end.

  /** Of the response nothing, or only a part, can be sent: the client must see that. */
  #cut(outcome: outcomes.Outcome): void {
    this.stream.abort();
    this.#end(outcome, false);
  }

  #end(outcome: outcomes.Outcome, clean: boolean): void {
    const stream = this.stream;
    const route = this.#route;
    this.#walk.abandon();
    const { abandoned } = this.#walk;
    const status = this.#responseStarted ? this.response.status : 0;
    this.ended = true;
    this.facts.settle(outcome, status, this.#worker.loop.nowMs - this.startMs);
    recordEnd(stream.listener, this, route, outcome, status, this.#attempts.keepsHead);
    if (route !== null && route.hasEndHooks) this.#walk.end(this, route.chain);
    // A tunnel takes the connection over; everything else goes on, or closes, as its protocol does.
    this.#reset();
    if (outcome !== outcomes.TUNNEL) stream.finished(clean);
    if (abandoned) this.#home.retire();
    else this.#home.give(this);
  }

  #reset(): void {
    this.#timer.cancel();
    this.#bodies.reset();
    this.#attempts.reset();
    this.#reply.release();
    this.request.reset();
    this.response.reset();
    this.#engine?.release();
    for (let i = 0; i < this.state.length; i++) this.state[i] = null;
    this.#walk.reset();
    this.forgetClient();
    this.#engine = null;
    this.#route = null;
    this.#detour = null;
    this.#replying = false;
    this.#requestEnded = false;
    this.#responseStarted = false;
    this.#outcome = outcomes.OK;
    this.requestBytes = 0;
  }
}
