/**
 * An http-wasm plugin as a filter. A guest belongs to one exchange from `handle_request` to `handle_response`; idle ones wait in
 * a pool. Its reads of a body are synchronous, so a body that a module could want is whole before the guest is asked.
 */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { SAME_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  type Exchange,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Verdict,
} from "#pipeline/filter.ts";
import { ADMIT } from "#pipeline/tenant.ts";
import { WasmFilter } from "#wasm/filter/wasm-filter.ts";
import { PHASE_DEAD, PHASE_REQUEST } from "#wasm/guest/phases.ts";
import { FEATURE_BUFFER_REQUEST, FEATURE_BUFFER_RESPONSE, FEATURE_TRAILERS } from "./abi.ts";
import { BodyCollector } from "./body-collector.ts";
import { applyOrFail } from "./calls/heads.ts";
import { type HandlerBody, handlerOf, type HttpHandler } from "./handler.ts";
import { editTrailers, TrailerStage, TrailingReply } from "./trailer-stages.ts";

/** Guests that may be busy at once. */
const BUSY_MAX = 256;
const IDLE_MAX = 32;
const CONTENT_TOO_LARGE = 413;
const BAD_GATEWAY = 502;
const OK = 200;

export class HttpWasmFilter extends WasmFilter {
  override readonly hooks: number = HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD | HOOK_END;
  readonly #idle: HttpHandler[] = [];
  #busy = 0;
  #disposed = false;

  /** The first guest. Throws PenstockError when it does not come up. */
  prepare(): void {
    this.#idle.push(handlerOf(this.makeGuest()));
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    const admission = this.tenant.admit();
    if (admission !== ADMIT) return this.notAdmitted(admission, exchange, () => this.requestHead(exchange, position));
    const handler = this.#take();
    if (handler === null) {
      this.stats.skipped++;
      return this.answerFault(exchange);
    }
    handler.begin(exchange);
    exchange.state[position] = handler;
    const { request } = exchange;
    const collects = handler.wantsBodies || handler.has(FEATURE_TRAILERS | FEATURE_BUFFER_REQUEST);
    if (!collects || isEmpty(request)) {
      const verdict = this.#handleRequest(handler, exchange, position);
      const stage = verdict === CONTINUE && !isEmpty(request) ? this.#trailersOf(handler.request, request) : null;
      if (stage !== null) exchange.filterRequestBody(stage, SAME_LENGTH);
      return verdict;
    }
    const collector = new BodyCollector(CONTENT_TOO_LARGE, (body, trailing) => {
      handler.request.bytes = body;
      handler.request.trailing = trailing;
      const verdict = this.#handleRequest(handler, exchange, position);
      const replacement = handler.request.replacement;
      if (verdict === CONTINUE && replacement !== null && replacement.length !== body.length) {
        exchange.request.forgetLength();
      }
      exchange.resume(verdict);
      if (verdict === CONTINUE) collector.release(replacement ?? body);
    });
    exchange.filterRequestBody(collector, SAME_LENGTH);
    return SUSPEND;
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    const handler = exchange.state[position] as HttpHandler | null | undefined;
    if (handler === null || handler === undefined) return CONTINUE;
    const { response } = exchange;
    if (handler.status !== 0) response.setStatus(handler.status);
    for (const edit of handler.edits) applyOrFail(handler.guest, response, edit);
    handler.afterNext = true;
    const early = handler.response.replacement;
    const { trailerEdits } = handler.response;
    handler.response.reset();
    const buffers = handler.has(FEATURE_BUFFER_RESPONSE) && (handler.wantsBodies || handler.has(FEATURE_TRAILERS));
    // A head without content stays one; a body of no bytes can become one of some.
    if (response.framing === FRAMING_NONE || (!buffers && early === null)) {
      handler.response.trailerEdits = trailerEdits;
      const verdict = this.#handleResponse(handler, exchange, position);
      const stage = verdict === CONTINUE ? this.#trailersOf(handler.response, response) : null;
      if (stage !== null) exchange.filterResponseBody(stage, SAME_LENGTH);
      return verdict;
    }
    const collector = new BodyCollector(BAD_GATEWAY, (body, trailing) => {
      handler.response.bytes = early ?? body;
      handler.response.trailing = trailing;
      editTrailers(this.environment, trailing, trailerEdits);
      const verdict = this.#handleResponse(handler, exchange, position);
      const replacement = handler.response.replacement ?? early ?? body;
      if (verdict === CONTINUE && replacement.length !== body.length) response.forgetLength();
      exchange.resume(verdict);
      if (verdict === CONTINUE) collector.release(replacement);
    });
    exchange.filterResponseBody(collector, SAME_LENGTH);
    return SUSPEND;
  }

  override end(exchange: Exchange, position: number): void {
    const handler = exchange.state[position] as HttpHandler | null | undefined;
    exchange.state[position] = null;
    if (handler !== null && handler !== undefined) this.#giveBack(handler);
  }

  override dispose(): void {
    this.#disposed = true;
    for (const _ of this.#idle) this.retire();
    this.#idle.length = 0;
  }

  #handleRequest(handler: HttpHandler, exchange: Exchange, position: number): Verdict {
    let answer = 0n;
    const went = this.#run(handler, () => (answer = handler.exports.handleRequest()));
    if (!went) return this.#fail(handler, exchange, position);
    // The usual answer has no context; arithmetic of 64 bits costs 0.1 µs each.
    const goesOn = answer === 1n || (answer & 1n) === 1n;
    if (answer !== 1n) handler.context = Number(BigInt.asUintN(32, answer >> 32n));
    if (goesOn) {
      if (handler.request.written === null || handler.request.bytes !== null) return CONTINUE;
      handler.guest.fail("a body for a request that has none");
      this.guestFaulted(handler.guest, null);
      return this.#fail(handler, exchange, position);
    }
    const headers = handler.edits.flatMap(({ name, value }) => (value === null ? [] : [[name, value] as const]));
    const sent = headers.filter(([name]) => !FRAMING.has(name));
    const status = handler.status === 0 ? OK : handler.status;
    const { replacement, trailerEdits } = handler.response;
    const body = replacement ?? new Uint8Array();
    if (trailerEdits.length === 0) exchange.respond(status, sent, body);
    else exchange.respondFrom(status, sent, -1, new TrailingReply(this.environment, body, trailerEdits));
    exchange.state[position] = null;
    this.#giveBack(handler);
    return REPLY;
  }

  /** What the guest has said of trailers while the body is still to come: null where it can have none, or nothing was said. */
  #trailersOf({ trailerEdits }: HandlerBody, head: Head): TrailerStage | null {
    if (trailerEdits.length === 0 || head.framing === FRAMING_NONE) return null;
    if (trailerEdits.some(({ value }) => value !== null)) head.announcesTrailers = true;
    return new TrailerStage(this.environment, trailerEdits);
  }

  #handleResponse(handler: HttpHandler, exchange: Exchange, position: number): Verdict {
    const went = this.#run(handler, () => handler.exports.handleResponse(handler.context, 0));
    return went ? CONTINUE : this.#fail(handler, exchange, position);
  }

  /** False: the guest has ended in it. */
  #run(handler: HttpHandler, call: () => unknown): boolean {
    const { guest } = handler;
    this.stats.calls++;
    try {
      guest.begin(handler.exchange, PHASE_REQUEST);
      call();
    } catch (error) {
      this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
      this.guestFaulted(guest, error);
      return false;
    }
    if (guest.phase === PHASE_DEAD) {
      this.spent(guest, guest.fuelLimit);
      this.guestFaulted(guest, null);
      return false;
    }
    this.spent(guest, guest.fuelUsed());
    guest.finish();
    return true;
  }

  #fail(handler: HttpHandler, exchange: Exchange, position: number): Verdict {
    exchange.state[position] = null;
    this.#giveBack(handler);
    return this.answerFault(exchange);
  }

  #take(): HttpHandler | null {
    if (this.#busy >= BUSY_MAX || this.#disposed) return null;
    const handler = this.#idle.pop() ?? this.#made();
    if (handler !== null) this.#busy++;
    return handler;
  }

  #made(): HttpHandler | null {
    const guest = this.tryMakeGuest();
    return guest === null ? null : handlerOf(guest);
  }

  #giveBack(handler: HttpHandler): void {
    this.#busy--;
    handler.release();
    const whole = handler.guest.phase !== PHASE_DEAD;
    if (!whole) return;
    if (this.#idle.length < IDLE_MAX && !this.#disposed) this.#idle.push(handler);
    else this.retire();
  }
}

/** The gateway's own, in a reply. */
const FRAMING: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding", "upgrade", "te"]);

function isEmpty({ framing, contentLength }: Head): boolean {
  return framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0);
}
