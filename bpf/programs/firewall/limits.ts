/**
 * Rates as the firewall program reads them (src/firewall_structs.h). A token bucket is kept as the time at which it would
 * be full again: a packet moves that time on by one interval, and is too many when it lies further ahead than the depth.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { parseKey, type MapSchema } from "#core/map-codec.ts";

export interface LimitDeclaration {
  /** `203.0.113.0/24`; `default`: every source that no other limit holds. */
  readonly prefix: string;
  readonly packetsPerSecond: number;
  /** Packets at once, after a pause. */
  readonly burst: number;
  /** One bucket for the whole prefix, or one for each source in it: an IPv4 address, an IPv6 /64. */
  readonly each: "prefix" | "source";
}

/** Indices of buckets, and rules: LIMITS_MAX of firewall_consts.h. */
export const LIMITS_MAX = 1024;

const SECOND_NS = 1_000_000_000;
const LIMIT_BYTES = 24;

const SCHEMA: MapSchema = { key: "ip-prefix", keyBytes: 20, value: "bytes", valueBytes: LIMIT_BYTES };

/** What firewall_limits holds: key and value of each limit, in order, which is that of their buckets. */
export function limitEntries(limits: readonly LimitDeclaration[]): { key: Buffer; value: Buffer }[] {
  if (limits.length > LIMITS_MAX) {
    throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${limits.length} limits; at most ${LIMITS_MAX} fit` });
  }
  return limits.map((limit, bucket) => ({ key: limitKey(limit.prefix), value: limitValue(limit, bucket) }));
}

/** struct prefix. No bits at all hold both families. */
function limitKey(prefix: string): Buffer {
  return prefix === "default" ? Buffer.alloc(SCHEMA.keyBytes) : Buffer.from(parseKey(SCHEMA, prefix));
}

/** struct limit */
function limitValue({ packetsPerSecond, burst, each }: LimitDeclaration, bucket: number): Buffer {
  const value = Buffer.alloc(LIMIT_BYTES);
  const intervalNs = Math.max(1, Math.round(SECOND_NS / packetsPerSecond));
  value.writeBigUInt64LE(BigInt(intervalNs), 0);
  // The packet itself takes one: with a burst of 1 the bucket must be full.
  value.writeBigUInt64LE(BigInt(intervalNs) * BigInt(burst - 1), 8);
  value.writeUInt32LE(bucket, 16);
  value.writeUInt32LE(each === "source" ? 1 : 0, 20);
  return value;
}
