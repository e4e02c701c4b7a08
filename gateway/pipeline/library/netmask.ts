/**
 * Addresses and blocks of addresses for scripts. IPv4 and IPv6; `contains` compares bytes, not text, and knows an IPv4
 * address also in its mapped form (`::ffff:10.0.0.1`), which is how IPv6 sockets show IPv4 clients.
 *
 *     const inside = new Netmask("10.0.0.0/8")
 *     if (inside.contains(inbound.remoteAddress)) …
 */
import { formatIp, isIpv4, parseIp, parsePrefix, prefixContains, readIp, type Prefix } from "#core/address.ts";
import { libraryError } from "#core/errors/library.ts";

const MAPPED_BITS = 96;

export class IP {
  /** 16 bytes; IPv4 mapped. */
  readonly bytes: Uint8Array;
  readonly version: 4 | 6;

  /** As text, or as 16 bytes. Throws PENSTOCK_ADDRESS_IP. */
  constructor(address: string | Uint8Array) {
    this.bytes = typeof address === "string" ? parseIp(address) : Uint8Array.from(address);
    this.version = isIpv4(this.bytes) ? 4 : 6;
  }

  /** 4 or 16 numbers. */
  toBytes(): number[] {
    return [...(this.version === 4 ? this.bytes.subarray(12) : this.bytes)];
  }

  toString(): string {
    return formatIp(this.bytes);
  }
}

export class Netmask {
  readonly version: 4 | 6;
  /** Of 32 or 128. */
  readonly bitmask: number;
  readonly #prefix: Prefix;
  readonly #first: bigint;
  readonly #count: bigint;
  #next = 0n;

  /** A block as `10.0.0.0/8`. Throws PENSTOCK_ADDRESS_PREFIX. */
  constructor(cidr: string) {
    this.#prefix = parsePrefix(cidr);
    const { ip, bits } = this.#prefix;
    this.version = isIpv4(ip) && bits >= MAPPED_BITS ? 4 : 6;
    this.bitmask = this.version === 4 ? bits - MAPPED_BITS : bits;
    this.#first = toNumber(ip);
    this.#count = 1n << BigInt(128 - bits);
  }

  /** Addresses in it. */
  get size(): bigint {
    return this.#count;
  }

  /** The lowest address, and the block's own name. */
  get base(): string {
    return toText(this.#first);
  }

  /** The highest address; of an IPv4 network its broadcast address. */
  get last(): string {
    return toText(this.#first + this.#count - 1n);
  }

  /** As `255.0.0.0` or `ffff::`. */
  get mask(): string {
    const width = this.version === 4 ? 32n : 128n;
    const ones = ((1n << width) - 1n) ^ (this.#count - 1n);
    return toText(this.version === 4 ? (0xffffn << 32n) | ones : ones);
  }

  /** False for what is no address. */
  contains(address: string | IP): boolean {
    const ip = typeof address === "string" ? readIp(address) : address.bytes;
    return typeof ip !== "string" && prefixContains(this.#prefix, ip);
  }

  /** The address at a place, from 0. Throws PENSTOCK_LIBRARY_ADDRESS beyond the block. */
  at(place: number | bigint): string {
    const offset = BigInt(place);
    if (offset < 0n || offset >= this.#count) {
      throw libraryError("PENSTOCK_LIBRARY_ADDRESS", {
        detail: `${this} has ${this.#count} addresses, and no ${place}`,
      });
    }
    return toText(this.#first + offset);
  }

  /** Gives out one address after the other, the block's own first; undefined when all have been. */
  next(): string | undefined {
    if (this.#next >= this.#count) return undefined;
    return toText(this.#first + this.#next++);
  }

  toString(): string {
    return `${this.base}/${this.bitmask}`;
  }
}

function toNumber(ip: Uint8Array): bigint {
  let number = 0n;
  for (const byte of ip) number = (number << 8n) | BigInt(byte);
  return number;
}

function toText(number: bigint): string {
  const ip = new Uint8Array(16);
  for (let i = 15; i >= 0; i--) {
    ip[i] = Number(number & 0xffn);
    number >>= 8n;
  }
  return formatIp(ip);
}
