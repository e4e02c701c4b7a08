/**
 * `HTTP/1.0` and `HTTP/1.1`, nothing else. RFC 9110 section 6.2 would read a higher minor version as 1.1; there will be
 * none, since RFC 9112 closed the series, and who sends `HTTP/1.2` is probing.
 */
import type { Head } from "#http/head.ts";
import { CR, DIGIT_0, DOT, LF } from "#http/octets.ts";
import { REFUSED_BARE_CR, REFUSED_BARE_LF, REFUSED_REQUEST_LINE, REFUSED_VERSION } from "#http/refusals.ts";

/** "HTTP", "/1.1" and "/1.0" as little-endian words. */
const HTTP_WORD = 0x50545448;
const ONE_ONE_WORD = 0x312e312f;
const ONE_ZERO_WORD = 0x302e312f;

/** The version at the end of a request line and its CRLF: the offset after them, 0 when cut short, or a refusal. */
export function parseVersion(head: Head, at: number, end: number): number {
  const memory = head.memory;
  if (at + 10 <= end && memory[at + 8] === CR && memory[at + 9] === LF) {
    const minor = minorOf(head.view, at);
    if (minor >= 0) {
      head.minor = minor;
      return at + 10;
    }
  }
  return versionRefusal(memory, at, end);
}

/** Of the eight bytes at `at`: 0 or 1, or −1 when they are not one of the two versions. */
export function minorOf(view: DataView, at: number): number {
  if (view.getInt32(at, true) !== HTTP_WORD) return -1;
  const rest = view.getInt32(at + 4, true);
  return rest === ONE_ONE_WORD ? 1 : rest === ONE_ZERO_WORD ? 0 : -1;
}

/** Why [at, end) is not a version with CRLF; 0 while it still may become one. */
function versionRefusal(memory: Uint8Array, start: number, end: number): number {
  const name = "HTTP/";
  for (let i = 0; i < 8; i++) {
    if (start + i >= end) return 0;
    const octet = memory[start + i] as number;
    const expected = i < 5 ? octet === name.charCodeAt(i) : i === 6 ? octet === DOT : isDigit(octet);
    if (!expected) return octet === LF ? REFUSED_BARE_LF : REFUSED_REQUEST_LINE;
  }
  const major = (memory[start + 5] as number) - DIGIT_0;
  const minor = (memory[start + 7] as number) - DIGIT_0;
  if (major !== 1 || minor > 1) return REFUSED_VERSION;
  if (start + 8 >= end) return 0;
  if (memory[start + 8] === LF) return REFUSED_BARE_LF;
  if (memory[start + 8] !== CR) return REFUSED_REQUEST_LINE;
  return start + 9 >= end ? 0 : REFUSED_BARE_CR;
}

function isDigit(octet: number): boolean {
  return octet >= DIGIT_0 && octet < DIGIT_0 + 10;
}
