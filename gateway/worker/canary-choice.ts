/** Which requests a canary gets: by what stands in the request, so that the same client always gets the same version. */
import type { Exchange } from "#pipeline/filter.ts";
import type { CanarySpec } from "#snapshot/snapshot.ts";
import { HashKey } from "#upstream/hash-key.ts";

/** Hashes of similar texts are alike in their upper bits: they are mixed before they are divided (MurmurHash3's finalizer). */
function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85eb_ca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A request without the key is sent by chance. */
export function canaryChoice({ percent, key }: CanarySpec): (exchange: Exchange) => boolean {
  const hashKey = new HashKey(key);
  const below = (percent / 100) * 0x1_0000_0000;
  return (exchange) => mixed(hashKey.hashOf(exchange.request, exchange.clientAddress)) < below;
}
