/**
 * Keys and values of shared maps between text (configuration, admin API) and the bytes that the kernel, its programs
 * and plugins see:
 *
 *     ip         16 bytes, IPv4 mapped                                     203.0.113.7
 *     ip-prefix  [ bits:32 of 128 | 16 bytes ]                             203.0.113.0/24
 *     bytes      as they are                                               hexadecimal
 *     expiry     u64 nanoseconds of CLOCK_BOOTTIME, 0: never               ttl in seconds from now
 *     counter    u64                                                       decimal
 *
 * All numbers little-endian, as the machines we run on.
 */
import { formatIp, formatPrefix, isIpv4, readIp, readPrefix } from "./address.ts";
import { bpfError } from "./errors/bpf.ts";

export type KeyKind = "ip" | "ip-prefix" | "bytes";
export type ValueKind = "expiry" | "counter" | "bytes";

export interface MapSchema {
  readonly key: KeyKind;
  readonly keyBytes: number;
  readonly value: ValueKind;
  readonly valueBytes: number;
}

const PREFIX_KEY_BYTES = 20;
const NUMBER_BYTES = 8;
/** Where IPv4 begins within the 128 bits. */
const MAPPED_BITS = 96;
/** u64 nanoseconds end in the year 2554; a longer lifetime is a mistake in the unit. */
const TTL_SECONDS_MAX = 100 * 366 * 86_400;

/** Throws PENSTOCK_BPF_MAP_TEXT. */
export function parseKey(schema: MapSchema, text: string): Uint8Array {
  switch (schema.key) {
    case "ip": {
      const ip = readIp(text);
      if (typeof ip === "string") throw bad(text, ip);
      return ip;
    }
    case "ip-prefix":
      return parsePrefixKey(text);
    case "bytes":
      return parseHex(text, schema.keyBytes);
  }
}

export function formatKey(schema: MapSchema, key: Uint8Array): string {
  switch (schema.key) {
    case "ip":
      return formatIp(key);
    case "ip-prefix":
      return formatPrefix({ bits: Math.min(view(key).getUint32(0, true), 128), ip: key.subarray(4) });
    case "bytes":
      return hex(key);
  }
}

/** The key under which one address is looked up in a map of prefixes. `ip`: 16 bytes; `into`: 20. */
export function prefixKeyOf(ip: Uint8Array, into: Uint8Array): Uint8Array {
  into[0] = 128;
  into[1] = 0;
  into[2] = 0;
  into[3] = 0;
  into.set(ip, 4);
  return into;
}

export interface ValueText {
  /** Lifetime in seconds, for `expiry`; absent: for ever. */
  readonly ttlSeconds?: number;
  /** A decimal number for `counter`, hexadecimal for `bytes`. */
  readonly value?: string;
}

/** `nowNs`: CLOCK_BOOTTIME. Throws PENSTOCK_BPF_MAP_TEXT. */
export function makeValue(schema: MapSchema, { ttlSeconds, value }: ValueText, nowNs: bigint): Uint8Array {
  switch (schema.value) {
    case "expiry":
      if (value !== undefined) throw bad(value, "the map holds lifetimes: give ttlSeconds, or nothing for ever");
      return number(ttlSeconds === undefined ? 0n : nowNs + lifetimeNs(ttlSeconds));
    case "counter": {
      if (ttlSeconds !== undefined) throw bad(String(ttlSeconds), "the map holds counters, which do not expire");
      const text = value ?? "0";
      if (!/^[0-9]{1,20}$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn) throw bad(text, "no number of 64 bits");
      return number(BigInt(text));
    }
    case "bytes":
      if (ttlSeconds !== undefined) throw bad(String(ttlSeconds), "the map holds bytes, which do not expire");
      return parseHex(value ?? "", schema.valueBytes);
  }
}

export interface ReadValue {
  /** Seconds left, for `expiry`; null: for ever; 0: void. */
  readonly ttlSeconds?: number | null;
  readonly value?: string;
}

export function readValue(schema: MapSchema, value: Uint8Array, nowNs: bigint): ReadValue {
  switch (schema.value) {
    case "expiry": {
      const expiry = view(value).getBigUint64(0, true);
      if (expiry === 0n) return { ttlSeconds: null };
      return { ttlSeconds: expiry <= nowNs ? 0 : Number((expiry - nowNs) / 1_000_000n) / 1000 };
    }
    case "counter":
      return { value: String(view(value).getBigUint64(0, true)) };
    case "bytes":
      return { value: hex(value) };
  }
}

/** Whether an `expiry` value is void. Compares words first: sweeping thousands must not make thousands of bigints. */
export function isExpired(value: Uint8Array, nowNs: bigint): boolean {
  const words = view(value);
  const high = words.getUint32(4, true);
  const nowHigh = Number(nowNs >> 32n);
  if (high !== nowHigh) return high < nowHigh && (high !== 0 || words.getUint32(0, true) !== 0);
  const expiry = words.getBigUint64(0, true);
  return expiry !== 0n && expiry <= nowNs;
}

function parsePrefixKey(text: string): Uint8Array {
  const prefix = readPrefix(text);
  if (typeof prefix === "string") throw bad(text, prefix);
  // ::ffff:0:0/96 is IPv4's place in the trie: a shorter prefix around it would silently hold every IPv4 address.
  if (prefix.bits < MAPPED_BITS && isAroundIpv4(prefix.ip, prefix.bits)) {
    throw bad(text, "would hold all of IPv4 too; for all of IPv6 in use write 2000::/3, for all of IPv4 0.0.0.0/0");
  }
  const key = new Uint8Array(PREFIX_KEY_BYTES);
  view(key).setUint32(0, prefix.bits, true);
  key.set(prefix.ip, 4);
  return key;
}

function isAroundIpv4(ip: Uint8Array, bits: number): boolean {
  const filled = ip.slice();
  for (let bit = bits; bit < MAPPED_BITS; bit++) {
    if (bit >= 80) filled[bit >> 3] = (filled[bit >> 3] as number) | (0x80 >> (bit & 7));
  }
  return isIpv4(filled);
}

function lifetimeNs(seconds: number): bigint {
  if (!Number.isFinite(seconds) || seconds <= 0 || seconds > TTL_SECONDS_MAX) {
    throw bad(String(seconds), "a lifetime is more than 0 and less than 100 years, in seconds");
  }
  return BigInt(Math.round(seconds * 1e9));
}

function parseHex(text: string, length: number): Uint8Array {
  if (text.length !== length * 2 || !/^[0-9a-fA-F]*$/.test(text)) throw bad(text, `not ${length} bytes in hexadecimal`);
  return Uint8Array.from({ length }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function number(value: bigint): Uint8Array {
  const bytes = new Uint8Array(NUMBER_BYTES);
  view(bytes).setBigUint64(0, value, true);
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bad(text: string, why: string): Error {
  return bpfError("PENSTOCK_BPF_MAP_TEXT", { detail: `${JSON.stringify(text)}: ${why}` });
}
