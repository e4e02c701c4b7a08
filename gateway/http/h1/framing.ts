/**
 * How much content follows a head (RFC 9112 section 6). An intermediary that reads a framing another way than its
 * neighbour forwards two messages as one, so there is exactly one reading here, and no repair: both fields together,
 * either one twice, and a length that isn't plain digits are refused, although RFC 9112 would allow some to be mended.
 */
import { ROW_FLAGS, ROW_HOP, ROW_SHIFT } from "#http/fields.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { CONTENT_LENGTH, CONTENT_LENGTH_ALIAS, TRANSFER_ENCODING, TRANSFER_ENCODING_ALIAS } from "#http/names.ts";
import { COMMA, DIGIT_0, equalsIgnoreCase, HTAB, SP, TOKEN } from "#http/octets.ts";
import {
  REFUSED_CODING,
  REFUSED_CODING_UNKNOWN,
  REFUSED_CODING_VERSION,
  REFUSED_FRAMING_ALIAS,
  REFUSED_LENGTH,
  REFUSED_LENGTH_AND_CODING,
  REFUSED_LENGTH_REPEATED,
} from "#http/refusals.ts";

const ALIASES = (1 << CONTENT_LENGTH_ALIAS) | (1 << TRANSFER_ENCODING_ALIAS);

/** 2^53 − 1 has 16 digits. */
const LENGTH_DIGITS_MAX = 16;

/** Sets `framing` and `contentLength` from the two fields: FRAMING_NONE when neither is there. 0, or a refusal. */
export function interpretFraming(head: Head): number {
  if ((head.seen & ALIASES) !== 0) return REFUSED_FRAMING_ALIAS;
  const hasLength = (head.seen & (1 << CONTENT_LENGTH)) !== 0;
  const hasCoding = (head.seen & (1 << TRANSFER_ENCODING)) !== 0;
  if (!hasLength && !hasCoding) {
    head.framing = FRAMING_NONE;
    return 0;
  }
  if (hasCoding) {
    if (hasLength) return REFUSED_LENGTH_AND_CODING;
    if (head.minor === 0) return REFUSED_CODING_VERSION;
    if ((head.repeated & (1 << TRANSFER_ENCODING)) !== 0) return REFUSED_CODING;
    const index = head.framingRows[TRANSFER_ENCODING] as number;
    head.framing = FRAMING_CHUNKED;
    return checkCodings(head.memory, head.valueStart(index), head.valueEnd(index));
  }
  if ((head.repeated & (1 << CONTENT_LENGTH)) !== 0) return REFUSED_LENGTH_REPEATED;
  const index = head.framingRows[CONTENT_LENGTH] as number;
  const length = parseLength(head.memory, head.valueStart(index), head.valueEnd(index));
  if (length < 0) return REFUSED_LENGTH;
  head.framing = FRAMING_LENGTH;
  head.contentLength = length;
  return 0;
}

/** No Content-Length goes on: here it says nothing, or nothing that is true. */
export function dropLength(head: Head): void {
  for (let index = head.find(CONTENT_LENGTH); index >= 0; index = head.find(CONTENT_LENGTH, index + 1)) {
    head.rows[(index << ROW_SHIFT) + ROW_FLAGS] = ROW_HOP;
  }
}

/** The number, or −1. */
function parseLength(memory: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > LENGTH_DIGITS_MAX) return -1;
  let length = 0;
  for (let at = start | 0; at < end; at++) {
    const digit = (memory[at] as number) - DIGIT_0;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length > Number.MAX_SAFE_INTEGER ? -1 : length;
}

/** 0 for `chunked` alone. Says 501 only of a well-formed list whose last coding is chunked or not known here. */
function checkCodings(memory: Uint8Array, start: number, end: number): number {
  if (equalsIgnoreCase(memory, start, end, "chunked")) return 0;
  let at = start;
  let chunked = false;
  for (;;) {
    const tokenStart = at;
    while (at < end && TOKEN[memory[at] as number] !== 0) at++;
    if (at === tokenStart || chunked) return REFUSED_CODING;
    chunked = equalsIgnoreCase(memory, tokenStart, at, "chunked");
    while (at < end && (memory[at] === SP || memory[at] === HTAB)) at++;
    if (at === end) return REFUSED_CODING_UNKNOWN;
    if (memory[at] !== COMMA) return REFUSED_CODING;
    at++;
    while (at < end && (memory[at] === SP || memory[at] === HTAB)) at++;
  }
}
