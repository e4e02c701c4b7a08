/**
 * Two versions of a plugin in one place of a route: some requests go to the new one, the same client's always to the same. When
 * the new one has faulted so often that it rests (breaker.ts), all go back to the version before, for good: a canary that fell is
 * not sent in again until the route is declared anew.
 *
 * `exchange.state[position]` holds the version that was chosen; what that version keeps of the exchange stands BEHIND places
 * further, beyond what any chain has.
 */
import {
  CONTINUE,
  type Exchange,
  type Filter,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  type Verdict,
} from "#pipeline/filter.ts";
import type { WasmFilter } from "./wasm-filter.ts";

/** A route has at most 16 filters. */
const BEHIND = 16;

export class CanaryFilter implements Filter {
  readonly name: string;
  readonly hooks: number;
  readonly #stable: WasmFilter;
  readonly #canary: WasmFilter;
  readonly #isChosen: (exchange: Exchange) => boolean;
  #told = false;

  /** `isChosen`: whether the exchange is one of the canary's. Neither version is disposed here. */
  constructor(stable: WasmFilter, canary: WasmFilter, isChosen: (exchange: Exchange) => boolean) {
    this.name = `${stable.name}, canary ${canary.name}`;
    // The choice is made with the request's head, whatever hooks each has.
    this.hooks = stable.hooks | canary.hooks | HOOK_REQUEST_HEAD | HOOK_END;
    this.#stable = stable;
    this.#canary = canary;
    this.#isChosen = isChosen;
  }

  /** The canary has faulted too often: nobody is sent to it any more. */
  get returned(): boolean {
    return this.#canary.stats.rests > 0;
  }

  requestHead(exchange: Exchange, position: number): Verdict {
    const chosen = this.#choose(exchange);
    exchange.state[position] = chosen;
    if ((chosen.hooks & HOOK_REQUEST_HEAD) === 0) return CONTINUE;
    return chosen.requestHead(exchange, position + BEHIND);
  }

  responseHead(exchange: Exchange, position: number): Verdict {
    const chosen = exchange.state[position] as WasmFilter | null;
    if (chosen === null || (chosen.hooks & HOOK_RESPONSE_HEAD) === 0) return CONTINUE;
    return chosen.responseHead(exchange, position + BEHIND);
  }

  end(exchange: Exchange, position: number): void {
    const chosen = exchange.state[position] as WasmFilter | null;
    if (chosen !== null && (chosen.hooks & HOOK_END) !== 0) chosen.end(exchange, position + BEHIND);
  }

  dispose(): void {
    this.#told = true;
  }

  counters(): Readonly<Record<string, number>> {
    return { plugin_canary_returned: this.returned ? 1 : 0 };
  }

  #choose(exchange: Exchange): WasmFilter {
    if (!this.returned) return this.#isChosen(exchange) ? this.#canary : this.#stable;
    if (!this.#told) {
      this.#told = true;
      const { services, name } = this.#canary.environment;
      services.log(
        "error",
        name,
        `it has faulted too often as a canary: all requests go to ${this.#stable.name} again`,
      );
    }
    return this.#stable;
  }
}
