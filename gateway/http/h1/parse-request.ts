/**
 * Request heads of HTTP/1.x (RFC 9112): one pass over bytes, no strings, no allocation. What is refused is refused
 * before a byte goes upstream, and each refusal is told apart (refusals.ts).
 */
import {
  FRAMING_LENGTH,
  FRAMING_NONE,
  type Head,
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
  ORIGIN,
} from "#http/head.ts";
import { parseAuthority } from "#http/authority.ts";
import { EMPTY_LINES_MAX, type HeadLimits, METHOD_BYTES_MAX } from "#http/limits.ts";
import { EXPECT, HOST } from "#http/names.ts";
import { CR, equalsIgnoreCase, LF, SP, TOKEN } from "#http/octets.ts";
import {
  REFUSED_BARE_CR,
  REFUSED_BARE_LF,
  REFUSED_CONTENT,
  REFUSED_EMPTY_LINES,
  REFUSED_EXPECTATION,
  REFUSED_HEAD_LENGTH,
  REFUSED_HOST,
  REFUSED_HOST_MISSING,
  REFUSED_HOST_REPEATED,
  REFUSED_METHOD,
  REFUSED_METHOD_LENGTH,
  REFUSED_NO_BUFFER,
  REFUSED_REQUEST_LINE,
  REFUSED_TARGET_LENGTH,
} from "#http/refusals.ts";
import { markEmptySegments, normalise, scanTarget } from "#http/target.ts";
import { interpretConnection } from "./connection.ts";
import { dropLength, interpretFraming } from "./framing.ts";
import { parseFields } from "./parse-fields.ts";
import { parseVersion } from "./version.ts";

/**
 * Parses the request head that begins at `start` into `head`. Answers the offset after it, 0 when the bytes up to `end`
 * are the beginning of an acceptable head, or a refusal. After 0 call again with more bytes and the same `start`.
 */
export function parseRequestHead(head: Head, start: number, end: number, limits: HeadLimits): number {
  head.reset();
  const fieldsStart = parseRequestLine(head, start, end, limits.targetBytesMax);
  if (fieldsStart < 0) return fieldsStart;
  const next = fieldsStart === 0 ? 0 : parseFields(head, fieldsStart, end, limits.fieldsMax);
  if (next < 0) return next;
  if (next === 0) return end - head.start >= limits.headBytesMax ? REFUSED_HEAD_LENGTH : 0;
  if (next - head.start > limits.headBytesMax) return REFUSED_HEAD_LENGTH;
  head.end = next;
  const refused = interpret(head, limits.mergeSlashes === true);
  return refused < 0 ? refused : next;
}

/** `method SP request-target SP HTTP-version CRLF` (section 3). Answers the offset after it, 0, or a refusal. */
function parseRequestLine(head: Head, start: number, end: number, targetBytesMax: number): number {
  const memory = head.memory;
  let at = start;
  head.start = at;
  if (at < end && (memory[at] as number) <= CR) {
    at = skipEmptyLines(memory, at, end);
    if (at < 0) return at;
    head.start = at;
  }
  head.methodStart = at;
  const methodLimit = at + METHOD_BYTES_MAX + 1;
  while (at < end && at < methodLimit && TOKEN[memory[at] as number] !== 0) at++;
  if (at === methodLimit) return REFUSED_METHOD_LENGTH;
  if (at >= end) return 0;
  if (memory[at] !== SP || at === head.methodStart) return refusedMethod(memory[at] as number);
  head.methodEnd = at;
  const method = methodOf(head, head.methodStart, at);
  head.method = method;
  at = scanTarget(head, at + 1, end, method === METHOD_CONNECT, method === METHOD_OPTIONS);
  if (at < 0) return at;
  if ((at === 0 ? end : at) - head.targetStart > targetBytesMax) return REFUSED_TARGET_LENGTH;
  return at === 0 ? 0 : parseVersion(head, at + 1, end);
}

/** RFC 9112 section 2.2 asks servers to bear with an empty line before a request; each must be a whole CRLF. */
function skipEmptyLines(memory: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let lines = 0; at < end; lines++) {
    if (memory[at] === LF) return REFUSED_BARE_LF;
    if (memory[at] !== CR) return at;
    if (lines === EMPTY_LINES_MAX) return REFUSED_EMPTY_LINES;
    if (at + 1 >= end) return end;
    if (memory[at + 1] !== LF) return REFUSED_BARE_CR;
    at += 2;
  }
  return at;
}

function refusedMethod(octet: number): number {
  if (octet === LF) return REFUSED_BARE_LF;
  return octet === CR ? REFUSED_REQUEST_LINE : REFUSED_METHOD;
}

const WORD_GET = word("GET ");
const WORD_PUT = word("PUT ");
const WORD_POST = word("POST");
const WORD_HEAD = word("HEAD");

/** The first four bytes as the parser reads them. */
function word(text: string): number {
  return new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer).getInt32(0, true);
}

/**
 * Of [start, end), which a space follows. Methods are case-sensitive (RFC 9110 section 9.1): `get` is another method than
 * `GET`, and passes as OTHER.
 */
function methodOf(head: Head, start: number, end: number): number {
  if (end - start < 3) return METHOD_OTHER;
  const first = head.view.getInt32(start, true);
  if (end - start === 3) return first === WORD_GET ? METHOD_GET : first === WORD_PUT ? METHOD_PUT : METHOD_OTHER;
  if (end - start === 4) return first === WORD_POST ? METHOD_POST : first === WORD_HEAD ? METHOD_HEAD : METHOD_OTHER;
  return longMethodOf(head.memory, start, end);
}

const LONG_METHODS: readonly (readonly [string, number])[] = [
  ["DELETE", METHOD_DELETE],
  ["OPTIONS", METHOD_OPTIONS],
  ["PATCH", METHOD_PATCH],
  ["CONNECT", METHOD_CONNECT],
  ["TRACE", METHOD_TRACE],
];

function longMethodOf(memory: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < LONG_METHODS.length; i++) {
    const [text, method] = LONG_METHODS[i] as readonly [string, number];
    if (text.length === end - start && isText(memory, start, text)) return method;
  }
  return METHOD_OTHER;
}

function isText(memory: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (memory[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** What the fields mean for this request. 0, or a refusal. */
function interpret(head: Head, mergeSlashes: boolean): number {
  if (mergeSlashes) markEmptySegments(head);
  let refused = head.pathNormal ? 0 : normalise(head, mergeSlashes);
  if (refused < 0) return refused;
  refused = interpretHost(head);
  if (refused < 0) return refused;
  refused = interpretFraming(head);
  if (refused < 0) return refused;
  refused = interpretConnection(head);
  if (refused < 0) return refused;
  if (head.method === METHOD_CONNECT) return interpretConnect(head);
  if (head.framing !== FRAMING_NONE && head.method === METHOD_TRACE) return REFUSED_CONTENT;
  return (head.seen & (1 << EXPECT)) === 0 ? 0 : interpretExpect(head);
}

/**
 * RFC 9110 section 9.3.6: what follows belongs to the tunnel, so there is no content, and nothing to expect or upgrade. A length of 0
 * says the same, as some clients do (WinINet); it does not go on.
 */
function interpretConnect(head: Head): number {
  head.upgrade = false;
  if (head.framing === FRAMING_NONE) return 0;
  if (head.framing !== FRAMING_LENGTH || head.contentLength > 0) return REFUSED_CONTENT;
  dropLength(head);
  head.framing = FRAMING_NONE;
  return 0;
}

/**
 * Exactly one valid Host on HTTP/1.1 (RFC 9112 section 3.2), also where an absolute-form target overrides it. An empty
 * one is refused: an http URI has a host.
 */
function interpretHost(head: Head): number {
  if ((head.seen & (1 << HOST)) === 0) return head.minor === 1 ? REFUSED_HOST_MISSING : 0;
  if ((head.repeated & (1 << HOST)) !== 0) return REFUSED_HOST_REPEATED;
  const index = head.framingRows[HOST] as number;
  const { hostStart, hostEnd, port } = head;
  const answer = parseAuthority(head, head.valueStart(index), head.valueEnd(index));
  if (answer < 0) return answer === REFUSED_NO_BUFFER ? answer : REFUSED_HOST;
  if (head.targetForm !== ORIGIN && hostEnd > hostStart) {
    head.hostStart = hostStart;
    head.hostEnd = hostEnd;
    head.port = port;
  }
  return 0;
}

/** RFC 9110 section 10.1.1. HTTP/1.0 has no expectations; a request without content has nothing to hold back. */
function interpretExpect(head: Head): number {
  if (head.minor === 0) return 0;
  const index = head.framingRows[EXPECT] as number;
  if (!equalsIgnoreCase(head.memory, head.valueStart(index), head.valueEnd(index), "100-continue")) {
    return REFUSED_EXPECTATION;
  }
  if ((head.repeated & (1 << EXPECT)) !== 0) return REFUSED_EXPECTATION;
  head.expectContinue = head.framing !== FRAMING_NONE;
  return 0;
}
