/**
 * Request targets in their four forms (RFC 9112 section 3.2), and the one normal form of a path (RFC 3986 section 6.2.2):
 * escapes of unreserved characters decoded, the others in upper case, dot segments removed. The router matches exactly
 * the bytes that the upstream is sent, so there is nothing the two could read differently. What would change meaning
 * stays: an encoded slash is not a slash, and empty segments are kept unless they are to be merged.
 */
import { type AuthoritySlots, parseAuthority } from "./authority.ts";
import {
  ASTERISK_OCTET,
  CR,
  DOT,
  equalsIgnoreCase,
  HASH,
  HEX_VALUE,
  LF,
  PATH,
  PATH_PERCENT,
  PATH_PLAIN,
  PATH_STOP,
  PERCENT,
  QUERY,
  QUESTION,
  SLASH,
  SP,
  UNRESERVED,
} from "./octets.ts";
import {
  REFUSED_AUTHORITY,
  REFUSED_BARE_LF,
  REFUSED_CONTROL,
  REFUSED_DOT_SEGMENTS,
  REFUSED_ESCAPE,
  REFUSED_FRAGMENT,
  REFUSED_NO_BUFFER,
  REFUSED_REQUEST_LINE,
  REFUSED_SCHEME,
  REFUSED_TARGET,
  REFUSED_TARGET_BYTE,
} from "./refusals.ts";

/** `/path?query` */
export const ORIGIN = 1;
/** `http://host/path?query` */
export const ABSOLUTE = 2;
/** `host:port`, of CONNECT only */
export const AUTHORITY = 3;
/** `*`, of OPTIONS only */
export const ASTERISK = 4;

/** A module's own constants are folded into compiled code, imported ones are read from a cell at every use. */
const path = PATH;
const plain = PATH_PLAIN;
const query = QUERY;

/** Where the parts of a target are left. */
export interface TargetSlots extends AuthoritySlots {
  targetForm: number;
  targetStart: number;
  targetEnd: number;
  pathStart: number;
  pathEnd: number;
  queryStart: number;
  queryEnd: number;
  hasQuery: boolean;
  /** False while the path at [pathStart, pathEnd) is still to be rewritten by `normalise`. */
  pathNormal: boolean;
}

/**
 * Reads the target that begins at `at`, up to the space after it. Answers the offset of that space, 0 when `end` comes
 * first, or a refusal. A path that is not in normal form is only marked, so that an incomplete head costs no scratch.
 */
export function scanTarget(slots: TargetSlots, at: number, end: number, connect: boolean, options: boolean): number {
  const memory = slots.memory;
  slots.targetStart = at;
  if (at >= end) return 0;
  if (connect) return scanAuthorityForm(slots, at, end);
  if (memory[at] === SLASH) {
    slots.targetForm = ORIGIN;
    return scanPathAndQuery(slots, at, end);
  }
  if (memory[at] === ASTERISK_OCTET) {
    if (at + 1 >= end) return 0;
    if (memory[at + 1] !== SP || !options) return REFUSED_TARGET;
    slots.targetForm = ASTERISK;
    slots.targetEnd = at + 1;
    slots.pathStart = at;
    slots.pathEnd = at + 1;
    slots.queryStart = slots.queryEnd = at + 1;
    return at + 1;
  }
  return scanAbsoluteForm(slots, at, end, options);
}

function scanPathAndQuery(slots: TargetSlots, start: number, end: number): number {
  const memory = slots.memory;
  let at = scanPath(slots, start, end);
  slots.pathStart = start;
  slots.pathEnd = slots.queryStart = slots.queryEnd = at;
  if (at < end && memory[at] === QUESTION) {
    slots.hasQuery = true;
    slots.queryStart = ++at;
    while (at < end && query[memory[at] as number] !== 0) at++;
    slots.queryEnd = at;
  }
  slots.targetEnd = at;
  if (at >= end) return 0;
  return memory[at] === SP ? at : refusedByte(memory[at] as number);
}

/** Passes over a path and says, in `pathNormal`, whether it must be rewritten. Answers where the path ends. */
export function scanPath(slots: TargetSlots, start: number, end: number): number {
  const memory = slots.memory;
  let at = start | 0;
  for (; at < end; at++) {
    const kind = path[memory[at] as number];
    if (kind === plain) continue;
    if (kind === PATH_STOP) break;
    if (kind === PATH_PERCENT) slots.pathNormal = false;
    else if (memory[at - 1] === SLASH && mayBeDotSegment(at + 1 < end ? (memory[at + 1] as number) : SP)) {
      slots.pathNormal = false;
    }
  }
  return at;
}

/** What follows "/." decides: `/.well-known` is an ordinary segment and stays where it is. */
function mayBeDotSegment(next: number): boolean {
  return next === DOT || next === SLASH || next === SP || next === QUESTION;
}

function refusedByte(octet: number): number {
  if (octet === CR) return REFUSED_REQUEST_LINE;
  if (octet === LF) return REFUSED_BARE_LF;
  if (octet === HASH) return REFUSED_FRAGMENT;
  return octet < SP || octet === 0x7f ? REFUSED_CONTROL : REFUSED_TARGET_BYTE;
}

/** RFC 9112 section 3.2.3. The port is required: CONNECT has no default. */
function scanAuthorityForm(slots: TargetSlots, start: number, end: number): number {
  const memory = slots.memory;
  let at = start;
  while (at < end && (memory[at] as number) > SP && memory[at] !== 0x7f) at++;
  slots.targetForm = AUTHORITY;
  slots.targetEnd = slots.pathStart = slots.pathEnd = slots.queryStart = slots.queryEnd = at;
  if (at >= end) return 0;
  if (memory[at] !== SP) return refusedByte(memory[at] as number);
  const answer = parseAuthority(slots, start, at);
  if (answer < 0) return answer;
  return slots.port === 0 ? REFUSED_AUTHORITY : at;
}

/** RFC 9112 section 3.2.2. */
function scanAbsoluteForm(slots: TargetSlots, start: number, end: number, options: boolean): number {
  const memory = slots.memory;
  let at = start;
  while (at < end && isLetter(memory[at] as number)) at++;
  if (!isSchemeEnd(memory, at, end)) return REFUSED_TARGET;
  if (at + 2 >= end) return 0;
  if (!equalsIgnoreCase(memory, start, at, "http") && !equalsIgnoreCase(memory, start, at, "https"))
    return REFUSED_SCHEME;
  const authorityStart = (at += 3);
  while (at < end && !endsAuthority(memory[at] as number)) at++;
  if (at >= end) return 0;
  slots.targetForm = ABSOLUTE;
  const answer = parseAuthority(slots, authorityStart, at);
  if (answer < 0) return answer;
  if (memory[at] === SLASH) return scanPathAndQuery(slots, at, end);
  return scanEmptyPath(slots, at, end, options);
}

/** `http://host` and `http://host?query`: the path is "/", or "*" for OPTIONS without a query (RFC 9112 section 3.2.4). */
function scanEmptyPath(slots: TargetSlots, at: number, end: number, options: boolean): number {
  const answer = scanPathAndQuery(slots, at, end);
  if (answer <= 0) return answer;
  const copy = slots.reserve(1);
  if (copy < 0) return REFUSED_NO_BUFFER;
  slots.memory[copy] = options && !slots.hasQuery ? ASTERISK_OCTET : SLASH;
  slots.pathStart = copy;
  slots.pathEnd = copy + 1;
  return answer;
}

/** What there is of "://" at `at`. */
function isSchemeEnd(memory: Uint8Array, at: number, end: number): boolean {
  for (let i = 0; i < 3 && at + i < end; i++) if (memory[at + i] !== "://".charCodeAt(i)) return false;
  return true;
}

function isLetter(octet: number): boolean {
  return (octet | 0x20) >= 0x61 && (octet | 0x20) <= 0x7a;
}

function endsAuthority(octet: number): boolean {
  return octet === SLASH || octet === QUESTION || octet === HASH || octet <= SP || octet === 0x7f;
}

/** Marks a path that has empty segments in front of its last. */
export function markEmptySegments(slots: TargetSlots): void {
  const { memory, pathEnd } = slots;
  for (let at = slots.pathStart; at + 1 < pathEnd; at++) {
    if (memory[at] === SLASH && memory[at + 1] === SLASH) slots.pathNormal = false;
  }
}

/** Rewrites a marked path into scratch; `merge`: without empty segments. 0, or a refusal. */
export function normalise(slots: TargetSlots, merge = false): number {
  const out = slots.reserve(slots.pathEnd - slots.pathStart);
  if (out < 0) return REFUSED_NO_BUFFER;
  const end = normalisePath(slots.memory, slots.pathStart, slots.pathEnd, out, merge);
  if (end < 0) return end;
  slots.pathStart = out;
  slots.pathEnd = end;
  slots.pathNormal = true;
  return 0;
}

/**
 * Writes the normal form of the absolute path [start, end) to `out`, which never takes more room than the original.
 * Answers the offset after it, or a refusal. Escapes are decoded before segments are looked at, so `/%2e%2e/` is `/../`.
 */
function normalisePath(memory: Uint8Array, start: number, end: number, out: number, merge: boolean): number {
  let read = start + 1;
  let write = out;
  memory[write++] = SLASH;
  let segment = write;
  for (;;) {
    const octet = read < end ? (memory[read] as number) : SLASH;
    if (octet === SLASH) {
      const bytes = write - segment;
      const dots =
        bytes > 0 && memory[segment] === DOT && (bytes === 1 || (bytes === 2 && memory[segment + 1] === DOT));
      if (!dots) {
        if (read >= end) return write;
        if (bytes > 0 || !merge) memory[write++] = SLASH;
      } else {
        write = segment;
        if (bytes === 2) {
          if (segment === out + 1) return REFUSED_DOT_SEGMENTS;
          write--;
          while (memory[write - 1] !== SLASH) write--;
        }
        if (read >= end) return write;
      }
      segment = write;
      read++;
    } else if (octet === PERCENT) {
      const code = read + 2 < end ? decodeEscape(memory, read) : -1;
      if (code <= 0) return REFUSED_ESCAPE;
      write = writeDecoded(memory, write, code);
      read += 3;
    } else {
      memory[write++] = octet;
      read++;
    }
  }
}

function decodeEscape(memory: Uint8Array, at: number): number {
  const high = HEX_VALUE[memory[at + 1] as number] as number;
  const low = HEX_VALUE[memory[at + 2] as number] as number;
  return high > 15 || low > 15 ? -1 : (high << 4) | low;
}

function writeDecoded(memory: Uint8Array, at: number, code: number): number {
  if (UNRESERVED[code] !== 0) {
    memory[at] = code;
    return at + 1;
  }
  memory[at] = PERCENT;
  memory[at + 1] = "0123456789ABCDEF".charCodeAt(code >> 4);
  memory[at + 2] = "0123456789ABCDEF".charCodeAt(code & 15);
  return at + 3;
}
