/**
 * Addresses as text and as bytes. Pure, and used on both planes: the control plane checks what is declared, the data
 * plane makes what the kernel takes and prints what it gives.
 *
 *  - An IP address is 16 bytes, IPv4 mapped into IPv6 (RFC 4291 §2.5.5.2), so that a client is the same client whichever
 *    kind of listener it came through, and one comparison serves both families.
 *  - A socket address is the bytes of a struct sockaddr, as long as the kernel wants them for that family.
 *
 * Reading is strict: one way to write each thing, and no name is resolved. `read…` answers the bytes or, as text, why not;
 * it never throws. `parse…` throws that as a registered error.
 */
import { addressError } from "./errors/address.ts";

/** sa_family of the three families. Source: include/linux/socket.h. The field is in host order: little-endian here. */
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** struct sockaddr_in: family 2, port 2, address 4, zeros 8. */
const SOCKADDR_IN_BYTES = 16;
/** struct sockaddr_in6: family 2, port 2, flow label 4, address 16, scope 4. */
const SOCKADDR_IN6_BYTES = 28;
/** sun_path, with its closing zero byte. */
const SUN_PATH_BYTES = 108;

const IP_BYTES = 16;
const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;

/** A set of IP addresses that share their first `bits` of 128; an IPv4 prefix counts from bit 96. */
export interface Prefix {
  readonly ip: Uint8Array;
  readonly bits: number;
}

export function readIp(text: string): Uint8Array | string {
  const ip = new Uint8Array(IP_BYTES);
  if (text.includes(":")) return readIp6(text, ip) ?? ip;
  ip[10] = 0xff;
  ip[11] = 0xff;
  return readIp4(text, 0, ip, 12) ?? ip;
}

/** 16 bytes. Throws PENSTOCK_ADDRESS_IP. */
export function parseIp(text: string): Uint8Array {
  const ip = readIp(text);
  if (typeof ip === "string") throw addressError("PENSTOCK_ADDRESS_IP", { detail: `${JSON.stringify(text)}: ${ip}` });
  return ip;
}

/** `192.0.2.1` for a mapped address, otherwise as RFC 5952 recommends. `ip`: 16 bytes. */
export function formatIp(ip: Uint8Array): string {
  return isIpv4(ip) ? formatIp4(ip, 12) : formatIp6(ip, 0);
}

/** Whether 16 bytes are a mapped IPv4 address. */
export function isIpv4(ip: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false;
  return ip[10] === 0xff && ip[11] === 0xff;
}

export function readPrefix(text: string): Prefix | string {
  const slash = text.indexOf("/");
  const ip = readIp(slash < 0 ? text : text.slice(0, slash));
  if (typeof ip === "string") return ip;
  if (slash < 0) return { ip, bits: 128 };
  const width = text.includes(":") ? 128 : 32;
  const length = readDecimal(text.slice(slash + 1), width);
  if (length < 0) return `after the slash stands a number from 0 to ${width}`;
  const bits = 128 - width + length;
  const network = ip.slice();
  clearBits(network, bits);
  if (!network.every((byte, i) => byte === ip[i])) {
    const written = width === 32 ? formatIp4(network, 12) : formatIp6(network, 0);
    return `bits are set behind the first ${length}: the prefix is ${written}/${length}`;
  }
  return { ip, bits };
}

/** Throws PENSTOCK_ADDRESS_PREFIX. */
export function parsePrefix(text: string): Prefix {
  const prefix = readPrefix(text);
  if (typeof prefix !== "string") return prefix;
  throw addressError("PENSTOCK_ADDRESS_PREFIX", { detail: `${JSON.stringify(text)}: ${prefix}` });
}

export function formatPrefix(prefix: Prefix): string {
  if (prefix.bits >= 96 && isIpv4(prefix.ip)) return `${formatIp4(prefix.ip, 12)}/${prefix.bits - 96}`;
  return `${formatIp6(prefix.ip, 0)}/${prefix.bits}`;
}

/** Whether `ip` (16 bytes) is in the prefix. IPv4 is in no shorter IPv6 prefix: `::/0` means every IPv6 address. */
export function prefixContains(prefix: Prefix, ip: Uint8Array): boolean {
  const { bits } = prefix;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (ip[i] !== prefix.ip[i]) return false;
  const rest = bits & 7;
  if (rest !== 0) {
    const shift = 8 - rest;
    if ((ip[whole] as number) >> shift !== (prefix.ip[whole] as number) >> shift) return false;
  }
  return bits >= 96 || !isIpv4(ip);
}

export function readAddress(text: string): Uint8Array | string {
  if (text.startsWith("unix:")) return readUnix(text.slice(5));
  if (text.startsWith("[")) return readBracketed(text);
  const colon = text.lastIndexOf(":");
  if (colon < 0) return "the port is missing";
  const host = text.slice(0, colon);
  if (host === "") return `the host is missing: for every address write 0.0.0.0${text} or [::]${text}`;
  if (host.includes(":")) return "an IPv6 address with a port is written in brackets, as [::1]:8080";
  const address = new Uint8Array(SOCKADDR_IN_BYTES);
  address[0] = AF_INET;
  return readIp4(host, 0, address, 4) ?? readPort(text.slice(colon + 1), address) ?? address;
}

/** The bytes of a struct sockaddr. Throws PENSTOCK_ADDRESS_SOCKET. */
export function parseAddress(text: string): Uint8Array {
  const address = readAddress(text);
  if (typeof address !== "string") return address;
  throw addressError("PENSTOCK_ADDRESS_SOCKET", { detail: `${JSON.stringify(text)}: ${address}` });
}

/** The text that `parseAddress` reads; `unix:` for a Unix socket without a name; `family 16` for one we have no text for. */
export function formatAddress(address: Uint8Array): string {
  switch (familyOf(address)) {
    case AF_INET:
      return `${formatIp4(address, 4)}:${portOf(address)}`;
    case AF_INET6: {
      const scope = new DataView(address.buffer, address.byteOffset, SOCKADDR_IN6_BYTES).getUint32(24, true);
      return `[${formatIp6(address, 8)}${scope === 0 ? "" : `%${scope}`}]:${portOf(address)}`;
    }
    case AF_UNIX: {
      const abstract = address.length > 2 && address[2] === 0;
      const path = abstract ? address.subarray(3) : address.subarray(2);
      const end = abstract ? -1 : path.indexOf(0);
      return `unix:${abstract ? "@" : ""}${new TextDecoder().decode(end < 0 ? path : path.subarray(0, end))}`;
    }
    default:
      return `family ${familyOf(address)}`;
  }
}

/** sa_family. */
export function familyOf(address: Uint8Array): number {
  return (address[0] as number) | ((address[1] as number) << 8);
}

/** The 16 bytes of an internet address's IP; all zeros for a Unix socket. */
export function ipOf(address: Uint8Array): Uint8Array {
  const ip = new Uint8Array(IP_BYTES);
  const family = familyOf(address);
  if (family === AF_INET6) ip.set(address.subarray(8, 24));
  if (family !== AF_INET) return ip;
  ip[10] = 0xff;
  ip[11] = 0xff;
  ip.set(address.subarray(4, 8), 12);
  return ip;
}

/** 0 for a Unix socket. */
export function portOf(address: Uint8Array): number {
  if (familyOf(address) === AF_UNIX) return 0;
  return ((address[2] as number) << 8) | (address[3] as number);
}

/** The struct sockaddr of an IP (16 bytes) and a port, of the IP's own family: a mapped address becomes AF_INET. */
export function socketAddress(ip: Uint8Array, port: number): Uint8Array {
  const ipv4 = isIpv4(ip);
  const address = new Uint8Array(ipv4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  address[0] = ipv4 ? AF_INET : AF_INET6;
  address[2] = port >> 8;
  address[3] = port & 0xff;
  if (ipv4) address.set(ip.subarray(12), 4);
  else address.set(ip, 8);
  return address;
}

function readBracketed(text: string): Uint8Array | string {
  const close = text.indexOf("]");
  if (close < 0) return "the closing bracket is missing";
  if (text[close + 1] !== ":") return "the port is missing";
  const percent = text.lastIndexOf("%", close);
  const address = new Uint8Array(SOCKADDR_IN6_BYTES);
  address[0] = AF_INET6;
  const fault = readIp6(text.slice(1, percent < 0 ? close : percent), address.subarray(8, 24));
  if (fault !== null) return fault;
  if (percent >= 0) {
    const scope = readDecimal(text.slice(percent + 1, close), 0xffff_ffff);
    if (scope <= 0) return "a zone is the interface's number, as [fe80::1%2]:8080";
    new DataView(address.buffer).setUint32(24, scope, true);
  }
  return readPort(text.slice(close + 2), address) ?? address;
}

function readUnix(path: string): Uint8Array | string {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length === 0) return "the path is missing";
  if (bytes.includes(0)) return "a path holds no zero byte";
  const abstract = path.startsWith("@");
  if (!abstract && !path.startsWith("/")) return "a path begins with /, an abstract name with @";
  if (abstract && bytes.length === 1) return "the abstract name is missing";
  // A path keeps its closing zero byte; an abstract name has a leading one where the @ stood, and exactly its length.
  if (bytes.length >= SUN_PATH_BYTES) return `${bytes.length} bytes, and the kernel takes ${SUN_PATH_BYTES - 1}`;
  const address = new Uint8Array(2 + bytes.length + (abstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  if (abstract) address[2] = 0;
  return address;
}

function readPort(text: string, address: Uint8Array): string | null {
  const port = readDecimal(text, 65535);
  if (port < 0) return "a port is a number from 0 to 65535";
  address[2] = port >> 8;
  address[3] = port & 0xff;
  return null;
}

/** A decimal number up to `max` without sign or leading zeros, or −1. */
function readDecimal(text: string, max: number): number {
  if (text === "" || text.length > 10 || (text.length > 1 && text.startsWith("0"))) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= max ? value : -1;
}

/** Four decimal numbers from `from` to the end of the text, to four bytes at `at`: null, or what is wrong. */
function readIp4(text: string, from: number, into: Uint8Array, at: number): string | null {
  const parts = text.slice(from).split(".");
  if (parts.length !== 4) return "an IPv4 address is four numbers with dots between";
  for (let i = 0; i < 4; i++) {
    const value = readDecimal(parts[i] as string, 255);
    if (value < 0) return `${JSON.stringify(parts[i])} is not a number from 0 to 255 without leading zeros`;
    into[at + i] = value;
  }
  return null;
}

/** RFC 4291 §2.2 to 16 zeroed bytes: null, or what is wrong. */
function readIp6(text: string, into: Uint8Array): string | null {
  let at = 0;
  /** Where `::` stood, in bytes; −1 before it. */
  let gap = -1;
  let i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < text.length) {
    const end = groupEnd(text, i);
    if (text.charCodeAt(end) === DOT) {
      if (at > 12) return "no room for an IPv4 address behind so many groups";
      const fault = readIp4(text, i, into, at);
      if (fault !== null) return fault;
      at += 4;
      break;
    }
    if (end === i || end - i > 4) return "a group is one to four hexadecimal digits";
    if (at === IP_BYTES) return "more than eight groups";
    const group = Number.parseInt(text.slice(i, end), 16);
    into[at++] = group >> 8;
    into[at++] = group & 0xff;
    if (end === text.length) break;
    if (text.charCodeAt(end) !== COLON) return `unexpected ${JSON.stringify(text[end])}`;
    if (end + 1 === text.length) return "ends with a single colon";
    i = end + 1;
    if (text.charCodeAt(i) !== COLON) continue;
    if (gap >= 0) return "two times ::";
    gap = at;
    i++;
  }
  if (gap < 0) return at === IP_BYTES ? null : "fewer than eight groups";
  if (at === IP_BYTES) return ":: stands for no group";
  into.copyWithin(IP_BYTES - (at - gap), gap, at);
  into.fill(0, gap, IP_BYTES - (at - gap));
  return null;
}

/** Where the hexadecimal digits that begin at `i` end. */
function groupEnd(text: string, i: number): number {
  for (; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const letter = code | 0x20;
    if (!((code >= ZERO && code <= 0x39) || (letter >= 0x61 && letter <= 0x66))) break;
  }
  return i;
}

function formatIp4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952: lower case, no leading zeros, `::` for the longest run of two or more zero groups, the first of equals. */
function formatIp6(bytes: Uint8Array, at: number): string {
  const ip = bytes.subarray(at, at + IP_BYTES);
  if (isIpv4(ip)) return `::ffff:${formatIp4(ip, 12)}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((ip[i * 2] as number) << 8) | (ip[i * 2 + 1] as number));
  let gap = -1;
  let gapLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (groups[end] === 0) end++;
    if (end - i > gapLength) {
      gap = i;
      gapLength = end - i;
    }
    i = Math.max(i, end);
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return gap < 0 ? hex(0, 8) : `${hex(0, gap)}::${hex(gap + gapLength, 8)}`;
}

function clearBits(ip: Uint8Array, from: number): void {
  for (let bit = from; bit < 128; bit++) ip[bit >> 3] = (ip[bit >> 3] as number) & ~(0x80 >> (bit & 7));
}

/** A name to be resolved, and a port: RFC 1123 §2.1, with the underscore that services use. */
export interface NamedAddress {
  readonly host: string;
  readonly port: number;
}

const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const NAME_CHARACTERS_MAX = 253;

/** `api.internal:80`; null for what is no name with a port. A last label of digits alone would be an address, or a mistake. */
export function readNamedAddress(text: string): NamedAddress | null {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, colon)).replace(/\.$/, "");
  const port = text.slice(colon + 1);
  const labels = host.split(".");
  if (host.length > NAME_CHARACTERS_MAX || !labels.every((label) => LABEL.test(label))) return null;
  if (/^\d+$/.test(labels.at(-1) ?? "") || !/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) return null;
  return { host: host.toLowerCase(), port: Number(port) };
}
