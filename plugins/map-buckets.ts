/**
 * The token buckets of one limit in a shared map, a client each: where the kernel part is there, in the kernel, so that other
 * programs can read them and they outlive the gateway; else in a copy in each worker. A bucket is the counter of its client, the
 * nanosecond at which it will be full again, as in `buckets.ts`.
 *
 * A token of a bucket that is not full is an increment, of which none is lost. Two workers that find the same bucket full at the same
 * moment may both begin it: then one token is free.
 */
import { isIpv4 } from "#core/address.ts";
import type { SharedMap } from "#pipeline/filter.ts";
import type { RateLimitConfig } from "#snapshot/builtin-filters.ts";
import type { BuiltinServices } from "./builtin-filter.ts";

const NS_PER_MS = 1e6;
const NS_PER_SECOND = 1e9;
const IP_BYTES = 16;
/** What one IPv6 subscriber has is a /64. */
const SUBSCRIBER_BYTES = 8;

export class MapBuckets {
  readonly #map: () => SharedMap;
  readonly #tokenNs: bigint;
  readonly #burstNs: bigint;
  readonly #key = new Uint8Array(IP_BYTES);
  readonly #begun = Buffer.alloc(8);

  /** `map`: of 16-byte addresses and counters, as it is now. */
  constructor(map: () => SharedMap, perSecond: number, burst: number) {
    this.#map = map;
    this.#tokenNs = BigInt(Math.ceil(NS_PER_SECOND / perSecond));
    this.#burstNs = this.#tokenNs * BigInt(burst);
  }

  /** Takes a token of a client's (16 bytes): 0, or the milliseconds until there will be one. `nowMs`: of a clock that all share. */
  take(ip: Uint8Array, nowMs: number): number {
    const map = this.#map();
    const key = this.#key;
    key.set(ip);
    if (!isIpv4(ip)) key.fill(0, SUBSCRIBER_BYTES);
    const now = BigInt(Math.floor(nowMs * NS_PER_MS));
    const found = map.get(key);
    const gone = found === null ? 0n : readCounter(found) - now;
    const spent = gone < 0n || gone > this.#burstNs ? 0n : gone;
    const over = spent + this.#tokenNs - this.#burstNs;
    if (over > 0n) return Number(over) / NS_PER_MS;
    if (spent > 0n) {
      map.increment(key, this.#tokenNs);
    } else {
      this.#begun.writeBigUInt64LE(now + this.#tokenNs);
      map.put(key, this.#begun);
    }
    return 0;
  }
}

/** Of a limit that names a map. */
export function mappedBuckets(
  { map, perSecond, burst }: RateLimitConfig,
  services: Pick<BuiltinServices, "map">,
): MapBuckets | null {
  return map === undefined ? null : new MapBuckets(() => services.map(map), perSecond, burst);
}

function readCounter(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}
