/** Addresses as netlink carries them, 4 or 16 bytes, and as text. */
import { formatIp, isIpv4, parseIp, type Prefix } from "#core/address.ts";
import { parsePrefix } from "#core/address.ts";
import { AF_INET, AF_INET6 } from "#sys/socket.ts";

export type IpFamily = "ipv4" | "ipv6";

const MAPPED_BITS = 96;

export function familyNumber(family: IpFamily): number {
  return family === "ipv4" ? AF_INET : AF_INET6;
}

/** Null for families that are not ours to understand (MPLS, bridges' neighbours). */
export function familyName(family: number): IpFamily | null {
  if (family === AF_INET) return "ipv4";
  return family === AF_INET6 ? "ipv6" : null;
}

export interface IpBytes {
  readonly family: IpFamily;
  readonly bytes: Buffer;
}

/** `203.0.113.7`, `2001:db8::1`. Throws for anything else. IPv4 written as IPv6 counts as IPv4. */
export function ipBytes(text: string): IpBytes {
  return narrow(parseIp(text));
}

export interface PrefixBytes extends IpBytes {
  /** Of the family's 32 or 128. */
  readonly bits: number;
}

/** `203.0.113.0/24`, `2001:db8::/32`. Throws when bits behind the prefix are set. */
export function prefixBytes(text: string): PrefixBytes {
  const { ip, bits }: Prefix = parsePrefix(text);
  // `::/0` begins like no IPv4 address, and 0.0.0.0/0 is ::ffff:0:0/96.
  const narrowed = bits < MAPPED_BITS ? { family: "ipv6" as const, bytes: Buffer.from(ip) } : narrow(ip);
  return { ...narrowed, bits: narrowed.family === "ipv4" ? bits - MAPPED_BITS : bits };
}

function narrow(ip: Uint8Array): IpBytes {
  return isIpv4(ip)
    ? { family: "ipv4", bytes: Buffer.from(ip.subarray(12)) }
    : { family: "ipv6", bytes: Buffer.from(ip) };
}

/** The text of 4 or 16 bytes; null where there are none. */
export function ipText(bytes: Buffer | undefined): string | null {
  if (bytes === undefined) return null;
  const ip = Buffer.alloc(16);
  if (bytes.length === 4) ip.fill(0xff, 10, 12);
  ip.set(bytes.subarray(0, 16), 16 - Math.min(bytes.length, 16));
  return bytes.length !== 4 && isIpv4(ip) ? `::ffff:${formatIp(ip)}` : formatIp(ip);
}

/** `02:00:00:00:00:01`; of any length (InfiniBand's have 20 bytes, tunnels' are IP addresses). */
export function hardwareText(bytes: Buffer | undefined): string | null {
  return bytes === undefined || bytes.length === 0 ? null : (bytes.toString("hex").match(/../g) ?? []).join(":");
}

export function hardwareBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}
