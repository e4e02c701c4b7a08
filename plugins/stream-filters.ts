/** From a snapshot's filter of streams to one that runs: the same sets and buckets as for requests, asked once a stream. */
import { isIpv4 } from "#core/address.ts";
import type { OpeningStream, StreamFilter } from "#pipeline/stream-filter.ts";
import type { BuiltinFilterSpec, IpAccessConfig, RateLimitConfig } from "#snapshot/builtin-filters.ts";
import { AddressSet } from "./address-set.ts";
import { Buckets } from "./buckets.ts";
import type { BuiltinServices } from "./builtin-filter.ts";
import { mappedBuckets, type MapBuckets } from "./map-buckets.ts";

const IP_BYTES = 16;
/** What one IPv6 subscriber has is a /64. */
const IP6_SUBSCRIBER_BYTES = 8;

/** Of what the worker lends to all built-in filters, the part that these need. */
export type StreamFilterServices = Pick<BuiltinServices, "sharedMs" | "limits" | "map">;

/** The built-in filters that serve streams. */
export type BuiltinStreamFilterSpec = Extract<BuiltinFilterSpec, { readonly name: "ip-access" | "rate-limit" }>;

/** The configuration was checked. */
export function createStreamFilter(
  spec: BuiltinStreamFilterSpec,
  services: StreamFilterServices,
  identity: string,
): StreamFilter {
  return spec.name === "ip-access" ? new StreamAccess(spec.config) : new StreamRate(spec.config, services, identity);
}

class StreamAccess implements StreamFilter {
  readonly name = "ip-access";
  readonly #allowed: AddressSet;
  readonly #denied: AddressSet;

  constructor(config: IpAccessConfig) {
    this.#allowed = new AddressSet(config.allow);
    this.#denied = new AddressSet(config.deny);
  }

  admits({ clientIp }: OpeningStream): boolean {
    return !this.#denied.has(clientIp) && (this.#allowed.empty || this.#allowed.has(clientIp));
  }
}

/** Streams a second, by client or of the whole route, of all workers together. */
class StreamRate implements StreamFilter {
  readonly name = "rate-limit";
  readonly #services: StreamFilterServices;
  readonly #buckets: Buckets;
  readonly #byClient: boolean;
  readonly #mapped: MapBuckets | null;

  constructor(config: RateLimitConfig, services: StreamFilterServices, identity: string) {
    const { perSecond, burst, key, keysMax } = config;
    this.#services = services;
    this.#mapped = mappedBuckets(config, services);
    this.#byClient = key === "client-ip";
    this.#buckets = new Buckets(services.limits, identity, perSecond, burst, this.#byClient ? keysMax : 1);
  }

  admits({ clientIp }: OpeningStream): boolean {
    if (this.#mapped !== null) return this.#mapped.take(clientIp, this.#services.sharedMs()) === 0;
    const bytes = this.#byClient ? (isIpv4(clientIp) ? IP_BYTES : IP6_SUBSCRIBER_BYTES) : 0;
    return this.#buckets.take(clientIp, 0, bytes, this.#services.sharedMs()) === 0;
  }
}
