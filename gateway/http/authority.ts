/**
 * Host and port, from a Host field, an absolute-form target or a CONNECT target (RFC 9110 section 4.2, RFC 3986
 * section 3.2):
 *
 *     authority = host [ ":" port ]        host = IP-literal / IPv4address / reg-name
 *
 * User information is refused. Registered names are held to letters, digits and "-._~"; an IP literal is a whole IPv6
 * address in brackets, without a zone.
 */
import {
  AT_SIGN,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  DIGIT_0,
  DOT,
  HEX_VALUE,
  HOST_NAME,
  LOWER_CASE,
} from "./octets.ts";
import { REFUSED_AUTHORITY, REFUSED_NO_BUFFER, REFUSED_USERINFO } from "./refusals.ts";

/** Where an authority's parts are left. */
export interface AuthoritySlots {
  readonly memory: Uint8Array;
  hostStart: number;
  hostEnd: number;
  port: number;
  /** Room in scratch memory, or −1. */
  reserve(bytes: number): number;
}

/** A module's own constant is folded into compiled code, an imported one is read from a cell at every use. */
const hostName = HOST_NAME;

/** DNS allows 253 characters; no address is longer. */
const HOST_BYTES_MAX = 255;

/** Sets host and port; 0 when the region is a valid authority, else a refusal that leaves the slots as they were. */
export function parseAuthority(slots: AuthoritySlots, start: number, end: number): number {
  const memory = slots.memory;
  let at = start | 0;
  let upper = 0;
  if (memory[start] === BRACKET_OPEN && start < end) {
    while (at < end && memory[at] !== BRACKET_CLOSE) at++;
    if (at === end || !isIpv6(memory, start + 1, at)) return REFUSED_AUTHORITY;
    for (let i = start; i < at; i++) upper |= (memory[i] as number) ^ (LOWER_CASE[memory[i] as number] as number);
    at++;
  } else {
    for (; at < end; at++) {
      const octet = memory[at] as number;
      const lower = hostName[octet] as number;
      if (lower === 0) break;
      upper |= octet ^ lower;
    }
  }
  const hostEnd = at;
  if (hostEnd === start || hostEnd - start > HOST_BYTES_MAX) return refusedFor(memory, at, end);
  let port = 0;
  if (at < end) {
    if (memory[at] !== COLON) return refusedFor(memory, at, end);
    port = parsePort(memory, at + 1, end);
    if (port < 0) return refusedFor(memory, at, end);
  }
  if (upper !== 0) return setLowered(slots, start, hostEnd, port);
  slots.hostStart = start;
  slots.hostEnd = hostEnd;
  slots.port = port;
  return 0;
}

function setLowered(slots: AuthoritySlots, start: number, end: number, port: number): number {
  const memory = slots.memory;
  const copy = slots.reserve(end - start);
  if (copy < 0) return REFUSED_NO_BUFFER;
  for (let i = start; i < end; i++) memory[copy + i - start] = LOWER_CASE[memory[i] as number] as number;
  slots.hostStart = copy;
  slots.hostEnd = copy + end - start;
  slots.port = port;
  return 0;
}

/** `user@host` is told apart, since its sender needs another remedy than one with a bad byte. */
function refusedFor(memory: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) if (memory[i] === AT_SIGN) return REFUSED_USERINFO;
  return REFUSED_AUTHORITY;
}

/** 1 to 65535; 0 for an empty port, which the grammar allows and which means the default; −1 for anything else. */
function parsePort(memory: Uint8Array, start: number, end: number): number {
  if (start === end) return 0;
  if (end - start > 5) return -1;
  let port = 0;
  for (let i = start; i < end; i++) {
    const digit = (memory[i] as number) - DIGIT_0;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port === 0 || port > 65_535 ? -1 : port;
}

/** RFC 3986 section 3.2.2: eight groups of one to four hexadecimal digits, one run of them elided, IPv4 as the last two. */
function isIpv6(memory: Uint8Array, start: number, end: number): boolean {
  let groups = 0;
  let elided = false;
  let at = start;
  if (memory[at] === COLON) {
    if (memory[at + 1] !== COLON) return false;
    elided = true;
    at += 2;
  }
  while (at < end) {
    const groupStart = at;
    while (at < end && (HEX_VALUE[memory[at] as number] as number) < 16) at++;
    if (at < end && memory[at] === DOT) return isIpv4(memory, groupStart, end) && complete(groups + 2, elided);
    if (at === groupStart || at - groupStart > 4) return false;
    groups++;
    if (at === end) break;
    if (memory[at] !== COLON) return false;
    at++;
    if (at === end) return false;
    if (memory[at] === COLON) {
      if (elided) return false;
      elided = true;
      at++;
    }
  }
  return complete(groups, elided);
}

function complete(groups: number, elided: boolean): boolean {
  return elided ? groups < 8 : groups === 8;
}

function isIpv4(memory: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && memory[at++] !== DOT) return false;
    const partStart = at;
    let value = 0;
    while (at < end && at - partStart < 3) {
      const digit = (memory[at] as number) - DIGIT_0;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    if (at === partStart || value > 255 || (at - partStart > 1 && memory[partStart] === DIGIT_0)) return false;
  }
  return at === end;
}
