/**
 * Clients that a tenant's plugins have banned: refused on every route of the tenant, before its filters. The list is a map in
 * user space that all workers have; an empty one costs a look at its size.
 */
import {
  CONTINUE,
  type Exchange,
  type Filter,
  HOOK_REQUEST_HEAD,
  REPLY,
  type SharedMap,
  type Verdict,
} from "#pipeline/filter.ts";
import type { OpeningStream, StreamFilter } from "#pipeline/stream-filter.ts";
import { boottimeNs } from "#sys/clock.ts";

const BODY = new TextEncoder().encode("this client is banned for a while\n");
const HEADERS = [["content-type", "text/plain; charset=utf-8"]] as const;
const KEY_BYTES = 20;
const WHOLE_ADDRESS_BITS = 128;

/** `prefix`: 20 bytes, as the map's keys are. False: there is no room. */
export function banPrefix(map: SharedMap, prefix: Uint8Array, seconds: number): boolean {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, boottimeNs() + BigInt(seconds) * 1_000_000_000n, true);
  return map.put(prefix, value);
}

export class TenantBans implements Filter, StreamFilter {
  readonly name = "bans";
  readonly hooks = HOOK_REQUEST_HEAD;
  readonly #map: SharedMap;
  readonly #key = new Uint8Array(KEY_BYTES);

  constructor(map: SharedMap) {
    this.#map = map;
    this.#key[0] = WHOLE_ADDRESS_BITS;
  }

  requestHead(exchange: Exchange): Verdict {
    if (this.#admits(exchange.clientAddressBytes)) return CONTINUE;
    exchange.respond(403, HEADERS, BODY);
    return REPLY;
  }

  responseHead(): Verdict {
    return CONTINUE;
  }

  end(): void {}

  dispose(): void {}

  admits({ clientIp }: OpeningStream): boolean {
    return this.#admits(clientIp);
  }

  #admits(address: Uint8Array): boolean {
    this.#key.set(address, 4);
    return this.#map.get(this.#key) === null;
  }
}
