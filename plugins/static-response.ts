/** `static-response`: answers every request that comes so far. */
import { HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { StaticResponseConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";

export class StaticResponseFilter extends BuiltinFilter {
  readonly #status: number;
  readonly #headers: readonly (readonly [string, string])[];
  readonly #body: Uint8Array;

  constructor(config: StaticResponseConfig) {
    super("static-response", HOOK_REQUEST_HEAD);
    this.#status = config.status;
    this.#headers = Object.entries(config.headers);
    this.#body = Uint8Array.from(Buffer.from(config.body));
  }

  override requestHead(exchange: Exchange): Verdict {
    exchange.respond(this.#status, this.#headers, this.#body);
    return REPLY;
  }
}
