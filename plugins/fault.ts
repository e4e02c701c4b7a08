/**
 * `fault`: delays or refuses a share of the requests, to see how the others take it. Each share is drawn by itself; a
 * request that is to be both waits first. The delayed ones hold no thread, and one that ends meanwhile is forgotten.
 */
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, SUSPEND, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { FaultConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { lineOf } from "./texts.ts";

const INJECTED = lineOf("a fault was injected");

export class FaultFilter extends BuiltinFilter {
  readonly #delayMs: number;
  readonly #delayShare: number;
  readonly #abortStatus: number;
  readonly #abortShare: number;
  readonly #draw: () => number;

  /** `draw`: a number from 0 to below 1. */
  constructor({ delay, abort }: FaultConfig, draw: () => number = Math.random) {
    super("fault", HOOK_REQUEST_HEAD);
    this.#delayMs = delay?.ms ?? 0;
    this.#delayShare = (delay?.percent ?? 0) / 100;
    this.#abortStatus = abort?.status ?? 0;
    this.#abortShare = (abort?.percent ?? 0) / 100;
    this.#draw = draw;
  }

  override requestHead(exchange: Exchange): Verdict {
    if (this.#draw() >= this.#delayShare) return this.#decide(exchange);
    setTimeout(() => {
      if (!exchange.ended) exchange.resume(this.#decide(exchange));
    }, this.#delayMs);
    return SUSPEND;
  }

  #decide(exchange: Exchange): Verdict {
    if (this.#draw() >= this.#abortShare) return CONTINUE;
    exchange.respond(this.#abortStatus, [], INJECTED);
    return REPLY;
  }
}
