/**
 * Response heads of HTTP/1.x (RFC 9112 section 4). A refusal here means a bad upstream. As strict as requests are: a
 * response with two framings leaves bytes in a pooled connection that become somebody else's answer.
 */
import {
  beginsTunnel,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  hasNoContent,
  type Head,
  METHOD_CONNECT,
  METHOD_HEAD,
} from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { CR, DIGIT_0, FIELD_VALUE, LF, SP } from "#http/octets.ts";
import {
  REFUSED_BARE_CR,
  REFUSED_BARE_LF,
  REFUSED_CONTROL,
  REFUSED_HEAD_LENGTH,
  REFUSED_STATUS_LINE,
} from "#http/refusals.ts";
import { interpretConnection } from "./connection.ts";
import { dropLength, interpretFraming } from "./framing.ts";
import { parseFields } from "./parse-fields.ts";
import { minorOf } from "./version.ts";

/** As `parseRequestHead`. `requestMethod` decides what framing means (RFC 9112 section 6.3). */
export function parseResponseHead(
  head: Head,
  start: number,
  end: number,
  limits: HeadLimits,
  requestMethod: number,
): number {
  head.reset();
  head.start = start;
  const fieldsStart = parseStatusLine(head, start, end);
  if (fieldsStart < 0) return fieldsStart;
  const next = fieldsStart === 0 ? 0 : parseFields(head, fieldsStart, end, limits.fieldsMax);
  if (next < 0) return next;
  if (next === 0) return end - start >= limits.headBytesMax ? REFUSED_HEAD_LENGTH : 0;
  if (next - start > limits.headBytesMax) return REFUSED_HEAD_LENGTH;
  head.end = next;
  const refused = interpret(head, requestMethod);
  return refused < 0 ? refused : next;
}

/** `HTTP-version SP status-code SP [ reason-phrase ] CRLF`; the space after the code may be missing, as it often is. */
function parseStatusLine(head: Head, start: number, end: number): number {
  const { memory, view } = head;
  if (start + 13 > end) return prefixRefusal(memory, start, end);
  const minor = minorOf(view, start);
  if (minor < 0 || memory[start + 8] !== SP) return REFUSED_STATUS_LINE;
  const hundreds = (memory[start + 9] as number) - DIGIT_0;
  const tens = (memory[start + 10] as number) - DIGIT_0;
  const ones = (memory[start + 11] as number) - DIGIT_0;
  if (hundreds < 1 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return REFUSED_STATUS_LINE;
  let at = start + 12;
  if (memory[at] === SP) at++;
  else if (memory[at] !== CR) return REFUSED_STATUS_LINE;
  head.minor = minor;
  head.status = hundreds * 100 + tens * 10 + ones;
  head.reasonStart = at;
  while (at < end && FIELD_VALUE[memory[at] as number] !== 0) at++;
  head.reasonEnd = at;
  if (at >= end) return 0;
  if (memory[at] !== CR) return memory[at] === LF ? REFUSED_BARE_LF : REFUSED_CONTROL;
  if (at + 1 >= end) return 0;
  return memory[at + 1] === LF ? at + 2 : REFUSED_BARE_CR;
}

/** Of a status line cut short: bytes that are not HTTP at all are refused without waiting for more. */
function prefixRefusal(memory: Uint8Array, start: number, end: number): number {
  const name = "HTTP/1.";
  for (let i = 0; i < name.length && start + i < end; i++) {
    if (memory[start + i] !== name.charCodeAt(i)) return REFUSED_STATUS_LINE;
  }
  return 0;
}

function interpret(head: Head, requestMethod: number): number {
  const { status } = head;
  if (requestMethod === METHOD_CONNECT && beginsTunnel(status, requestMethod)) return interpretTunnel(head);
  const refused = interpretFraming(head);
  if (refused < 0) return refused;
  const answer = interpretConnection(head);
  if (answer < 0) return answer;
  if (status !== 101) head.upgrade = false;
  if (hasNoContent(status) || requestMethod === METHOD_HEAD) return interpretEmpty(head);
  if (head.framing === FRAMING_NONE) {
    head.framing = FRAMING_CLOSE;
    head.keepAlive = false;
  }
  return 0;
}

/**
 * RFC 9110 section 9.3.6: behind the head the tunnel begins, and whatever it says of a length or a coding is ignored, though it be
 * malformed: nobody will look for content by it, as neither goes on.
 */
function interpretTunnel(head: Head): number {
  dropLength(head);
  head.framing = FRAMING_NONE;
  const answer = interpretConnection(head);
  head.upgrade = false;
  return answer;
}

/**
 * Ends with the head. In 304 and for HEAD the fields describe content that isn't sent and pass on; in 1xx and 204 they
 * must not be there (RFC 9110 section 8.6): they are dropped, and as their sender may follow them with content, the connection
 * is not used again.
 */
function interpretEmpty(head: Head): number {
  const descriptive = head.status === 304 || (head.status >= 200 && head.status !== 204);
  if (!descriptive && head.framing !== FRAMING_NONE) {
    if (head.framing !== FRAMING_LENGTH || head.contentLength > 0) head.keepAlive = false;
    dropLength(head);
  }
  head.framing = FRAMING_NONE;
  return 0;
}
