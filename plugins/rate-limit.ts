/**
 * `rate-limit`: 429 once a key's bucket is empty, with the whole seconds until it isn't. The buckets are the gateway's, all
 * workers take from them.
 *
 * IPv6 clients count by /64, which is what one subscriber has. Requests without the header are one key together, so that
 * leaving it out gains nothing.
 */
import { isIpv4 } from "#core/address.ts";
import { internName } from "#http/names.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { RateLimitConfig } from "#snapshot/builtin-filters.ts";
import { Buckets } from "./buckets.ts";
import { BuiltinFilter, type BuiltinServices } from "./builtin-filter.ts";
import { mappedBuckets, type MapBuckets } from "./map-buckets.ts";
import { lineOf } from "./texts.ts";

const TOO_MANY = lineOf("too many requests");
const HEADER_PREFIX = "header:";
const IP_BYTES = 16;
const IP6_SUBSCRIBER_BYTES = 8;

export class RateLimitFilter extends BuiltinFilter {
  readonly #services: BuiltinServices;
  readonly #buckets: Buckets;
  /** Null: not in a map. */
  readonly #mapped: MapBuckets | null;
  readonly #byClient: boolean;
  readonly #byHost: boolean;
  /** 0: not by header. */
  readonly #header: number;

  constructor(config: RateLimitConfig, services: BuiltinServices, identity: string) {
    super("rate-limit", HOOK_REQUEST_HEAD);
    const { perSecond, burst, key, keysMax } = config;
    this.#services = services;
    this.#byClient = key === "client-ip";
    this.#byHost = key === "host";
    this.#header = key.startsWith(HEADER_PREFIX) ? internName(key.slice(HEADER_PREFIX.length)) : 0;
    this.#mapped = mappedBuckets(config, services);
    this.#buckets = new Buckets(services.limits, identity, perSecond, burst, key === "route" ? 1 : keysMax);
  }

  override requestHead(exchange: Exchange): Verdict {
    const waitMs = this.#take(exchange);
    if (waitMs === 0) return CONTINUE;
    exchange.respond(429, [["retry-after", String(Math.ceil(waitMs / 1000))]], TOO_MANY);
    return REPLY;
  }

  #take(exchange: Exchange): number {
    const nowMs = this.#services.sharedMs();
    if (this.#mapped !== null) return this.#mapped.take(exchange.clientAddressBytes, nowMs);
    if (this.#byClient) {
      const ip = exchange.clientAddressBytes;
      return this.#buckets.take(ip, 0, isIpv4(ip) ? IP_BYTES : IP6_SUBSCRIBER_BYTES, nowMs);
    }
    const { request } = exchange;
    if (this.#byHost) return this.#buckets.take(request.memory, request.hostStart, request.hostEnd, nowMs);
    const field = this.#header === 0 ? -1 : request.find(this.#header);
    if (field < 0) return this.#buckets.take(request.memory, 0, 0, nowMs);
    return this.#buckets.take(request.memory, request.valueStart(field), request.valueEnd(field), nowMs);
  }
}
