/** Between one context's bodies and the guest that is asked about them. */
import { FRAMING_LENGTH, type Head } from "#http/head.ts";
import { ACTION_CONTINUE } from "./abi.ts";
import type { BodyFlow, FlowOwner } from "./body-flow.ts";
import { type Direction, HEAD_PASSED, type HttpContext } from "./contexts.ts";
import type { ProxyWasmVm } from "./vm.ts";

/** The filter, as far as bodies need it. */
export interface ContextKeeper {
  /** Does what the guest has asked for, of any context. */
  settle(vm: ProxyWasmVm): void;
  /** The guest holds what is whole already. */
  armDeadline(vm: ProxyWasmVm, context: HttpContext): void;
  /** A paused head goes on. */
  passHead(context: HttpContext, side: Direction): void;
}

export class ContextBodies implements FlowOwner {
  readonly #keeper: ContextKeeper;
  readonly #vm: ProxyWasmVm;
  readonly #context: HttpContext;

  constructor(keeper: ContextKeeper, vm: ProxyWasmVm, context: HttpContext) {
    this.#keeper = keeper;
    this.#vm = vm;
    this.#context = context;
  }

  bodySeen(flow: BodyFlow, length: number, last: boolean): boolean {
    const { proxy_on_request_body: request, proxy_on_response_body: response } = this.#vm.callbacks;
    const callback = flow.direction === this.#context.request ? request : response;
    return this.#answer(flow, this.#vm.invoke(callback, this.#context, this.#context.id, length, last ? 1 : 0), last);
  }

  trailersSeen(flow: BodyFlow, trailers: Head): boolean {
    const { callbacks } = this.#vm;
    const isRequest = flow.direction === this.#context.request;
    const callback = isRequest ? callbacks.proxy_on_request_trailers : callbacks.proxy_on_response_trailers;
    let count = 0;
    for (let index = 0; index < trailers.fieldCount; index++) if (!trailers.isRemoved(index)) count++;
    return this.#answer(flow, this.#vm.invoke(callback, this.#context, this.#context.id, count), true);
  }

  #answer(flow: BodyFlow, action: number, last: boolean): boolean {
    const vm = this.#vm;
    const context = this.#context;
    if (!vm.alive) return false;
    const { direction } = flow;
    const goesOn = action === ACTION_CONTINUE || direction.wantsOn;
    direction.wantsOn = false;
    // A reply, or a close, takes the place of what the callback has answered.
    const answered = context.reply !== null || direction.wantsClose;
    this.#keeper.settle(vm);
    if (!goesOn && !answered && last) this.#keeper.armDeadline(vm, context);
    return goesOn && !answered;
  }

  headReleased(flow: BodyFlow): void {
    this.#keeper.passHead(this.#context, flow.direction);
  }

  lengthChanged({ direction }: BodyFlow): boolean {
    const { exchange, request } = this.#context;
    if (exchange === null) return false;
    const head = direction === request ? exchange.request : exchange.response;
    if (head.framing !== FRAMING_LENGTH) return true;
    if (direction.head === HEAD_PASSED) return false;
    head.forgetLength();
    return true;
  }
}
