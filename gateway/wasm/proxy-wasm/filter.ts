/**
 * A Proxy-Wasm plugin as a filter: one VM that all exchanges of a route share, a context in it for each. What a callback
 * answers, and what its host calls have asked for, is done here when the callback is over.
 *
 * PAUSE of a head: the exchange waits for `proxy_continue_stream`. Does the context wait for an answer of an upstream, the
 * body waits too; else the guest is asked about the body meanwhile, and the first CONTINUE takes the head on as well. (Other
 * gateways have a switch for this. Without it, a default body callback would let a request pass that still is being checked.)
 */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { SAME_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  type Exchange,
  type FetchResponse,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Verdict,
} from "#pipeline/filter.ts";
import type { OpeningStream } from "#pipeline/stream-filter.ts";
import { ADMIT, REFUSE } from "#pipeline/tenant.ts";
import { WasmFilter } from "#wasm/filter/wasm-filter.ts";
import { PHASE_DEAD } from "#wasm/guest/phases.ts";
import { ACTION_CONTINUE, MAP_REQUEST_HEADERS, MAP_RESPONSE_HEADERS } from "./abi.ts";
import { BodyFlow } from "./body-flow.ts";
import { ContextBodies, type ContextKeeper } from "./context-bodies.ts";
import { type Direction, HEAD_ASKED, HEAD_PASSED, HEAD_PAUSED, HttpContext, type StreamContext } from "./contexts.ts";
import { TcpContext } from "./tcp-context.ts";
import { type OutgoingCall, type ProxyWasmVm, ROOT_ID, vmOf, type VmOwner } from "./vm.ts";

/** Contexts that may be kept after their streams, because the guest is not done with them. */
const PENDING_MAX = 1024;
const CONTENT_TOO_LARGE = 413;
const BAD_GATEWAY = 502;

export class ProxyWasmFilter extends WasmFilter implements ContextKeeper, VmOwner {
  override readonly hooks: number = HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD | HOOK_END;
  #vm: ProxyWasmVm | null = null;
  #ticks: NodeJS.Timeout | null = null;
  #replacing = false;
  #disposed = false;
  #pending = 0;

  /** The first VM. Throws PenstockError when the plugin does not accept its configuration. */
  prepare(): void {
    this.#adopt(vmOf(this.makeGuest()));
  }

  #adopt(vm: ProxyWasmVm): void {
    this.#vm = vm;
    vm.attach(this);
  }

  // The engine's side.

  override requestHead(exchange: Exchange, position: number): Verdict {
    const admission = this.tenant.admit();
    if (admission !== ADMIT) return this.notAdmitted(admission, exchange, () => this.requestHead(exchange, position));
    const vm = this.#vm ?? this.#replacement();
    if (vm === null) {
      this.stats.skipped++;
      return this.answerFault(exchange);
    }
    const { callbacks } = vm;
    const context = new HttpContext(vm.newContextId(), exchange, position, this.environment.services.nowMs());
    vm.contexts.set(context.id, context);
    exchange.state[position] = context;
    vm.invoke(callbacks.proxy_on_context_create, null, context.id, ROOT_ID);
    if (!vm.alive) return this.#fail(context, exchange);
    return this.#askAboutHead(vm, context, context.request, isEmpty(exchange.request));
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    const context = exchange.state[position];
    const vm = this.#vm;
    const admission = context instanceof HttpContext ? this.tenant.admit() : ADMIT;
    if (admission !== ADMIT) return this.notAdmitted(admission, exchange, () => this.responseHead(exchange, position));
    // This filter let the request pass without a guest.
    if (!(context instanceof HttpContext)) return CONTINUE;
    if (context.response.head === HEAD_PASSED) return CONTINUE;
    // Its guest has ended since, and took the context along: nobody can say any more what was to become of the response.
    if (vm === null || vm.contexts.get(context.id) !== context) return this.answerFault(exchange);
    return this.#askAboutHead(vm, context, context.response, isEmpty(exchange.response));
  }

  override end(exchange: Exchange, position: number): void {
    const context = exchange.state[position];
    if (!(context instanceof HttpContext)) return;
    exchange.state[position] = null;
    context.stopDeadline();
    const vm = this.#vm;
    if (vm === null || vm.contexts.get(context.id) !== context) return;
    this.#finish(vm, context);
    context.exchange = null;
    this.settle(vm);
  }

  override dispose(): void {
    this.#disposed = true;
    this.#stopTicks();
    const vm = this.#vm;
    this.#vm = null;
    if (vm === null) return;
    const { callbacks } = vm;
    vm.invoke(callbacks.proxy_on_done, null, ROOT_ID);
    vm.invoke(callbacks.proxy_on_delete, null, ROOT_ID);
    vm.detach();
    if (vm.alive) this.retire();
  }

  // Heads.

  /** The guest has ended over this exchange: the route's answer, and nothing more from here. */
  #fail(context: HttpContext, exchange: Exchange): Verdict {
    exchange.state[context.position] = null;
    context.request.flow?.abandon(false);
    return this.answerFault(exchange);
  }

  #askAboutHead(vm: ProxyWasmVm, context: HttpContext, side: Direction, last: boolean): Verdict {
    const exchange = context.exchange as Exchange;
    const { callbacks } = vm;
    const isRequest = side === context.request;
    const callback = isRequest ? callbacks.proxy_on_request_headers : callbacks.proxy_on_response_headers;
    side.head = HEAD_ASKED;
    const action = vm.invoke(
      callback,
      context,
      context.id,
      context.map(isRequest ? MAP_REQUEST_HEADERS : MAP_RESPONSE_HEADERS)?.count ?? 0,
      last ? 1 : 0,
    );
    if (!vm.alive) return this.#fail(context, exchange);
    if (!last) this.#watchBody(vm, context, side, isRequest);
    const verdict = this.#headVerdict(context, side, action);
    // What was received with the head belongs to others once it has gone on; `proxy_on_log` reads a copy.
    if (!isRequest && callbacks.proxy_on_log !== undefined) context.responseKept = exchange.response.keep();
    if (verdict === SUSPEND) this.#pause(vm, context, side, last);
    else side.head = HEAD_PASSED;
    this.#unmark(vm, context);
    if (vm.marked.length > 0) setImmediate(() => this.settle(vm));
    return verdict;
  }

  #headVerdict(context: HttpContext, side: Direction, action: number): Verdict {
    const { reply, exchange } = context;
    if (reply === null && side.wantsClose) context.reply = CLOSED_REPLY;
    if (context.reply !== null) {
      exchange?.respond(context.reply.status, context.reply.headers, context.reply.body);
      context.reply = null;
      return REPLY;
    }
    const goesOn = action === ACTION_CONTINUE || side.wantsOn;
    side.wantsOn = false;
    return goesOn ? CONTINUE : SUSPEND;
  }

  /** Only where the guest has something to hear of: a stage costs each piece of the body a call. */
  #watchBody(vm: ProxyWasmVm, context: HttpContext, side: Direction, isRequest: boolean): void {
    const { callbacks } = vm;
    const body = isRequest ? callbacks.proxy_on_request_body : callbacks.proxy_on_response_body;
    const trailers = isRequest ? callbacks.proxy_on_request_trailers : callbacks.proxy_on_response_trailers;
    if (body === undefined && trailers === undefined) return;
    const flow = new BodyFlow(side, isRequest ? CONTENT_TOO_LARGE : BAD_GATEWAY, new ContextBodies(this, vm, context));
    side.flow = flow;
    if (isRequest) context.exchange?.filterRequestBody(flow, SAME_LENGTH);
    else context.exchange?.filterResponseBody(flow, SAME_LENGTH);
  }

  /** The exchange waits for the guest; for how long depends on what the guest waits for. */
  #pause(vm: ProxyWasmVm, context: HttpContext, side: Direction, last: boolean): void {
    side.head = HEAD_PAUSED;
    const { callbacks } = vm;
    const body = side === context.request ? callbacks.proxy_on_request_body : callbacks.proxy_on_response_body;
    const { flow } = side;
    if (flow instanceof BodyFlow && (context.callsOut > 0 || body === undefined)) flow.wait();
    if (last || flow === null || context.callsOut > 0) this.armDeadline(vm, context);
  }

  /** A pause in which nothing comes from the client any more lasts `deadlineMs` at most. */
  armDeadline(vm: ProxyWasmVm, context: HttpContext): void {
    if (context.deadline !== null) return;
    const { deadlineMs } = this.environment.spec.limits;
    context.deadline = setTimeout(() => {
      context.deadline = null;
      this.#expire(vm, context, deadlineMs);
    }, deadlineMs);
  }

  /** One stream has waited too long: the others of this VM need not suffer. */
  #expire(vm: ProxyWasmVm, context: HttpContext, deadlineMs: number): void {
    if (context.exchange === null || !vm.alive) return;
    this.recordFault({ cause: "deadline", detail: `it paused for more than ${deadlineMs} ms`, offset: -1 });
    this.#giveUp(context);
    this.settle(vm);
  }

  // What the guest has asked for.

  /** Looks at every context that a host call has marked. Runs when no callback does. */
  settle(vm: ProxyWasmVm): void {
    let context: StreamContext | undefined;
    while (vm.alive && (context = vm.marked.shift()) !== undefined) {
      context.marked = false;
      if (context instanceof HttpContext) this.#apply(vm, context);
      else if (context instanceof TcpContext) this.#applyStream(vm, context);
    }
  }

  #unmark(vm: ProxyWasmVm, context: StreamContext): void {
    if (!context.marked) return;
    context.marked = false;
    vm.marked.splice(vm.marked.indexOf(context), 1);
  }

  #apply(vm: ProxyWasmVm, context: HttpContext): void {
    const { exchange, reply, request, response } = context;
    if (exchange === null) {
      // `proxy_done`, after the stream.
      if (!context.pendingDone) this.#closePending(vm, context);
      return;
    }
    const closes = request.wantsClose || response.wantsClose;
    request.wantsClose = response.wantsClose = false;
    if (reply !== null || closes) {
      context.reply = null;
      this.#answer(context, exchange, reply ?? CLOSED_REPLY);
      return;
    }
    for (const side of [request, response]) {
      if (!side.wantsOn) continue;
      side.wantsOn = false;
      this.#goOn(context, side);
    }
  }

  #answer(context: HttpContext, exchange: Exchange, reply: NonNullable<HttpContext["reply"]>): void {
    const paused = context.request.head === HEAD_PAUSED || context.response.head === HEAD_PAUSED;
    context.stopDeadline();
    for (const { flow } of [context.request, context.response]) flow?.drop();
    // What the plugin says itself it is not asked about.
    context.response.head = HEAD_PASSED;
    if (paused) {
      context.request.head = HEAD_PASSED;
      exchange.respond(reply.status, reply.headers, reply.body);
      exchange.resume(REPLY);
    } else if (exchange.interrupt?.(reply.status, reply.headers, reply.body) !== true) {
      this.environment.services.log(
        "warn",
        this.name,
        "a local response came when the upstream's was on its way already",
      );
    }
  }

  #goOn(context: HttpContext, side: Direction): void {
    const { flow } = side;
    context.stopDeadline();
    if (side.head === HEAD_PAUSED) {
      if (flow instanceof BodyFlow) flow.released();
      else this.passHead(context, side);
    } else {
      flow?.release();
    }
  }

  passHead(context: HttpContext, side: Direction): void {
    if (side.head !== HEAD_PAUSED) return;
    side.head = HEAD_PASSED;
    context.stopDeadline();
    context.exchange?.resume(CONTINUE);
  }

  // Streams of TCP (tcp-filter.ts).

  /** Null: no guest can be had, or the tenant has no fuel left. */
  vmForStream(): ProxyWasmVm | null {
    const vm = this.tenant.admit() === REFUSE ? null : (this.#vm ?? this.#replacement());
    if (vm === null) this.stats.skipped++;
    return vm;
  }

  openStream(vm: ProxyWasmVm, opening: OpeningStream): TcpContext {
    const context = new TcpContext(vm.newContextId(), opening);
    vm.contexts.set(context.id, context);
    return context;
  }

  /** The stream is over. */
  closeStream(vm: ProxyWasmVm, context: TcpContext): void {
    if (!vm.alive || vm.contexts.get(context.id) !== context) return;
    context.over = true;
    this.#finish(vm, context);
    this.settle(vm);
  }

  #applyStream(vm: ProxyWasmVm, context: TcpContext): void {
    if (!context.over) context.apply();
    else if (!context.pendingDone) this.#closePending(vm, context);
  }

  get deniesFaults(): boolean {
    return this.environment.spec.onFault === "deny";
  }

  // The end of contexts.

  /** Asks whether the guest is done with a stream; if it is not, it says so by `proxy_done` later. */
  #finish(vm: ProxyWasmVm, context: StreamContext): void {
    const { callbacks } = vm;
    const done = callbacks.proxy_on_done === undefined || vm.invoke(callbacks.proxy_on_done, context, context.id) !== 0;
    if (vm.alive && !done && this.#pending < PENDING_MAX) {
      context.pendingDone = true;
      this.#pending++;
    } else {
      this.#close(vm, context);
    }
  }

  #closePending(vm: ProxyWasmVm, context: StreamContext): void {
    this.#pending--;
    this.#close(vm, context);
  }

  /** The stream is over, and the guest done with it. */
  #close(vm: ProxyWasmVm, context: StreamContext): void {
    const { callbacks } = vm;
    vm.invoke(callbacks.proxy_on_log, context, context.id);
    vm.contexts.delete(context.id);
    vm.invoke(callbacks.proxy_on_delete, context, context.id);
  }

  // The VM's side.

  ran(vm: ProxyWasmVm): void {
    this.stats.calls++;
    this.spent(vm.guest, vm.guest.fuelUsed());
  }

  called(vm: ProxyWasmVm, call: OutgoingCall): void {
    const { method, path, headers, body, timeoutMs } = call;
    const told = (answer: FetchResponse): void => {
      if (this.#vm !== vm || !vm.alive) return;
      vm.answered(call, answer);
      this.settle(vm);
      if (vm.alive && call.context instanceof HttpContext) this.#noMoreAnswers(call.context);
    };
    const failed = (error: unknown): void => {
      told({
        status: 0,
        headers: [],
        body: new Uint8Array(),
        error: error instanceof Error ? error.message : "failed",
      });
    };
    this.environment.services.fetch(call.upstream, { method, path, headers, body, timeoutMs }).then(told, failed);
  }

  /** The last answer has come and the head still waits: so it waits for the body. */
  #noMoreAnswers(context: HttpContext): void {
    if (context.callsOut > 0 || context.exchange === null) return;
    for (const { head, flow } of [context.request, context.response]) {
      if (head === HEAD_PAUSED && flow instanceof BodyFlow) flow.resumeAsking();
    }
  }

  tickChanged(vm: ProxyWasmVm): void {
    this.#stopTicks();
    if (vm.tickMs === 0 || this.#disposed) return;
    this.#ticks = setInterval(() => {
      // A tick that the tenant has no fuel for is left out.
      if (this.tenant.admit() !== ADMIT) return;
      vm.invoke(vm.callbacks.proxy_on_tick, null, ROOT_ID);
      this.settle(vm);
    }, vm.tickMs);
  }

  #stopTicks(): void {
    if (this.#ticks !== null) clearInterval(this.#ticks);
    this.#ticks = null;
  }

  queueReady(vm: ProxyWasmVm, id: number): void {
    if (this.#vm !== vm) return;
    vm.invoke(vm.callbacks.proxy_on_queue_ready, null, ROOT_ID, id);
    this.settle(vm);
  }

  // Faults.

  /** The guest is discarded, and every stream that was with it gets the route's answer. */
  faulted(vm: ProxyWasmVm, error: unknown): void {
    const left = vm.guest.phase === PHASE_DEAD ? 0 : Math.max(0, vm.guest.fuelLeft());
    this.stats.calls++;
    this.spent(vm.guest, vm.guest.fuelLimit - left);
    this.guestFaulted(vm.guest, error);
    if (this.#vm !== vm) return;
    this.#vm = null;
    vm.detach();
    this.#stopTicks();
    this.#pending = 0;
    const contexts = [...vm.contexts.values()];
    vm.contexts.clear();
    // After the engine's call that the guest died in: what is done to its own exchange is that call's answer.
    setImmediate(() => {
      for (const context of contexts) {
        if (context instanceof HttpContext) this.#giveUp(context);
        else if (context instanceof TcpContext) context.flows.forEach((flow) => flow.abandon(this.deniesFaults));
      }
    });
    if (this.#replacing) return;
    this.#replacing = true;
    setImmediate(() => {
      this.#replacing = false;
      if (this.#vm === null) this.#replacement();
    });
  }

  #replacement(): ProxyWasmVm | null {
    if (this.#disposed) return null;
    const guest = this.tryMakeGuest();
    if (guest !== null) this.#adopt(vmOf(guest));
    return this.#vm;
  }

  /** The route's answer for a stream whose guest has ended, or has let it wait for too long. */
  #giveUp(context: HttpContext): void {
    const { exchange, request, response } = context;
    context.stopDeadline();
    if (exchange === null || exchange.ended || exchange.state[context.position] !== context) return;
    const fails = this.environment.spec.onFault === "deny";
    const paused = request.head === HEAD_PAUSED || response.head === HEAD_PAUSED;
    for (const side of [request, response]) {
      if (side.head === HEAD_PAUSED) side.head = HEAD_PASSED;
    }
    // Without a guest, what it held goes on; with `deny`, only where the exchange can't be answered any more.
    const verdict = paused ? this.answerFault(exchange) : CONTINUE;
    if (paused) exchange.resume(verdict);
    for (const { flow } of [request, response]) flow?.abandon(fails && verdict === CONTINUE);
  }
}

const CLOSED_REPLY = {
  status: 503,
  headers: [],
  body: new TextEncoder().encode("the route's plugin closed the stream\n"),
};

function isEmpty({ framing, contentLength }: Head): boolean {
  return framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0);
}
