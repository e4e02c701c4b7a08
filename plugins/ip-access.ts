/** `ip-access`: who is denied gets 403, and who is not allowed, where somebody is. A denial outweighs. */
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { IpAccessConfig } from "#snapshot/builtin-filters.ts";
import { AddressSet } from "./address-set.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { lineOf } from "./texts.ts";

const FORBIDDEN = lineOf("this address has no access");

export class IpAccessFilter extends BuiltinFilter {
  readonly #allowed: AddressSet;
  readonly #denied: AddressSet;

  constructor(config: IpAccessConfig) {
    super("ip-access", HOOK_REQUEST_HEAD);
    this.#allowed = new AddressSet(config.allow);
    this.#denied = new AddressSet(config.deny);
  }

  override requestHead(exchange: Exchange): Verdict {
    const ip = exchange.clientAddressBytes;
    if (!this.#denied.has(ip) && (this.#allowed.empty || this.#allowed.has(ip))) return CONTINUE;
    exchange.respond(403, [], FORBIDDEN);
    return REPLY;
  }
}
