/**
 * Heads for the next hop, written straight into the region that is sent. What was received unchanged is copied in runs;
 * nothing is taken apart and put together again.
 */
import { assert } from "#core/assert.ts";
import { ABSOLUTE, AUTHORITY, FRAMING_CHUNKED, FRAMING_LENGTH, type Head } from "#http/head.ts";
import { CONTENT_LENGTH, EXPECT, HOST, TRAILER, UPGRADE, X_FORWARDED_FOR } from "#http/names.ts";
import { isFieldValue, isToken, QUESTION, SP } from "#http/octets.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";
import { encodeFields } from "./encode-fields.ts";
import { takesTrailers } from "./te.ts";
import { piece, writeCopy, writeCrlf, writeDecimal, writeHexadecimal, writePiece, writeText } from "./write.ts";

export interface RequestEncodeOptions {
  /** Leave out received Forwarded and X-Forwarded-*: the client is not trusted to say where it comes from. */
  dropForwarded: boolean;
  /** Leave out X-Forwarded-For: the lines to append have a longer list. */
  dropForwardedFor?: boolean;
  /** Leave out Expect: the gateway has answered it. */
  dropExpect?: boolean;
  /** Ready-made field lines in the same memory, each with CRLF; start equals end for none. */
  appendStart: number;
  appendEnd: number;
  /** How the content will be sent. FRAMING_LENGTH announces `head.contentLength`. */
  framing: number;
  /** Pass the received Upgrade field on. */
  upgrade: boolean;
}

export interface ResponseEncodeOptions {
  /** HTTP/1.x of the downstream. */
  minor: number;
  framing: number;
  keepAlive: boolean;
  appendStart: number;
  appendEnd: number;
  upgrade: boolean;
}

const VERSION_LINE_END = piece(" HTTP/1.1\r\n");
/** SP HTTP/1.x CRLF, as the parser insists on it. */
const VERSION_LINE_END_BYTES = 11;
const STATUS_LINE_START = piece("HTTP/1.1 ");
const HOST_START = piece("host: ");
const CHUNKED_LINE = piece("transfer-encoding: chunked\r\n");
const LENGTH_START = piece("content-length: ");
const CLOSE_LINE = piece("connection: close\r\n");
const KEEP_ALIVE_LINE = piece("connection: keep-alive\r\n");
const UPGRADE_LINES = piece("connection: upgrade\r\n");
const UPGRADE_START = piece("upgrade: ");
/** The gateway passes trailers on: so the endpoint may be told, but not of codings, which are of the sender's connection. */
const TE_LINES = piece("te: trailers\r\nconnection: te\r\n");
const LAST_CHUNK = piece("0\r\n");

/** Offset after the request head written at `at`, or −1 when it does not fit before `limit`. */
export function encodeRequestHead(head: Head, at: number, limit: number, options: RequestEncodeOptions): number {
  const memory = head.memory;
  const inPlace =
    head.minor === 1 &&
    head.methodEnd + 1 === head.targetStart &&
    (head.targetForm === AUTHORITY || (head.pathStart === head.targetStart && head.queryEnd === head.targetEnd));
  let runStart = head.methodStart;
  let runEnd = head.targetEnd + VERSION_LINE_END_BYTES;
  if (!inPlace) {
    at = encodeRequestLine(head, at, limit);
    runStart = runEnd = 0;
  }
  const authority = head.targetForm === AUTHORITY;
  const replaceHost = authority || (head.targetForm === ABSOLUTE && !head.hostEdited);
  let drop = dropForFraming(head, options.framing);
  if (replaceHost) drop |= 1 << HOST;
  if (options.dropForwardedFor === true) drop |= 1 << X_FORWARDED_FOR;
  if (options.dropExpect === true) drop |= 1 << EXPECT;
  at = encodeFields(head, at, limit, runStart, runEnd, drop, options.dropForwarded);
  if (authority) at = encodeTargetAsHost(head, at, limit);
  else if (replaceHost || ((head.seen & (1 << HOST)) === 0 && !head.hostEdited)) at = encodeHost(head, at, limit);
  at = encodeFraming(head, at, limit, options.framing);
  if (options.upgrade) at = encodeUpgrade(head, at, limit);
  else if (takesTrailers(head)) at = writePiece(memory, at, limit, TE_LINES);
  at = writeCopy(memory, at, limit, options.appendStart, options.appendEnd);
  return writeCrlf(memory, at, limit);
}

/** Offset after the response head written at `at`, or −1 when it does not fit before `limit`. */
export function encodeResponseHead(head: Head, at: number, limit: number, options: ResponseEncodeOptions): number {
  const memory = head.memory;
  const inPlace = head.minor === 1 && head.reasonStart > 0 && memory[head.reasonStart - 1] === SP;
  let runStart = head.start;
  let runEnd = head.reasonEnd + 2;
  if (!inPlace) {
    at = encodeStatusLine(head, at, limit);
    runStart = runEnd = 0;
  }
  at = encodeFields(head, at, limit, runStart, runEnd, dropForFraming(head, options.framing), false);
  at = encodeFraming(head, at, limit, options.framing);
  if (options.upgrade) at = encodeUpgrade(head, at, limit);
  else if (!options.keepAlive) at = writePiece(memory, at, limit, CLOSE_LINE);
  else if (options.minor === 0) at = writePiece(memory, at, limit, KEEP_ALIVE_LINE);
  at = writeCopy(memory, at, limit, options.appendStart, options.appendEnd);
  return writeCrlf(memory, at, limit);
}

/** Method, normalised path and query, in origin form (RFC 9112 section 3.2.1), always as HTTP/1.1. */
function encodeRequestLine(head: Head, at: number, limit: number): number {
  const memory = head.memory;
  const authority = head.targetForm === AUTHORITY;
  at = writeCopy(memory, at, limit, head.methodStart, head.methodEnd);
  at = writeOctet(memory, at, limit, SP);
  at = authority
    ? writeCopy(memory, at, limit, head.targetStart, head.targetEnd)
    : writeCopy(memory, at, limit, head.pathStart, head.pathEnd);
  if (head.hasQuery) {
    at = writeOctet(memory, at, limit, QUESTION);
    at = writeCopy(memory, at, limit, head.queryStart, head.queryEnd);
  }
  return writePiece(memory, at, limit, VERSION_LINE_END);
}

function writeOctet(memory: Uint8Array, at: number, limit: number, octet: number): number {
  if (at < 0 || at >= limit) return -1;
  memory[at] = octet;
  return at + 1;
}

function encodeStatusLine(head: Head, at: number, limit: number): number {
  const memory = head.memory;
  at = writePiece(memory, at, limit, STATUS_LINE_START);
  at = writeDecimal(memory, at, limit, head.status);
  at = writeOctet(memory, at, limit, SP);
  at =
    head.reasonStart < 0
      ? writeText(memory, at, limit, reasonPhrase(head.status))
      : writeCopy(memory, at, limit, head.reasonStart, head.reasonEnd);
  return writeCrlf(memory, at, limit);
}

/** The target's authority in place of the received Host (RFC 9112 section 3.2.2); empty for HTTP/1.0 without one. */
function encodeHost(head: Head, at: number, limit: number): number {
  const memory = head.memory;
  at = writePiece(memory, at, limit, HOST_START);
  at = writeCopy(memory, at, limit, head.hostStart, head.hostEnd);
  if (head.port !== 0) {
    at = writeText(memory, at, limit, ":");
    at = writeDecimal(memory, at, limit, head.port);
  }
  return writeCrlf(memory, at, limit);
}

/** CONNECT (RFC 9112 section 3.2): the same as its target, whatever came, or was set, as Host. */
function encodeTargetAsHost(head: Head, at: number, limit: number): number {
  const { memory } = head;
  at = writePiece(memory, at, limit, HOST_START);
  at = writeCopy(memory, at, limit, head.targetStart, head.targetEnd);
  return writeCrlf(memory, at, limit);
}

/** A received length goes on only where it still says the truth; Trailer only where trailers can follow. */
function dropForFraming(head: Head, framing: number): number {
  const length = framing === head.framing ? 0 : 1 << CONTENT_LENGTH;
  return framing === FRAMING_CHUNKED ? length : length | (1 << TRAILER);
}

function encodeFraming(head: Head, at: number, limit: number, framing: number): number {
  const memory = head.memory;
  if (framing === FRAMING_CHUNKED) return writePiece(memory, at, limit, CHUNKED_LINE);
  if (framing !== FRAMING_LENGTH || head.framing === FRAMING_LENGTH) return at;
  at = writePiece(memory, at, limit, LENGTH_START);
  at = writeDecimal(memory, at, limit, head.contentLength);
  return writeCrlf(memory, at, limit);
}

function encodeUpgrade(head: Head, at: number, limit: number): number {
  const memory = head.memory;
  at = writePiece(memory, at, limit, UPGRADE_LINES);
  for (let index = head.find(UPGRADE); index >= 0; index = head.find(UPGRADE, index + 1)) {
    at = writePiece(memory, at, limit, UPGRADE_START);
    at = writeCopy(memory, at, limit, head.valueStart(index), head.valueEnd(index));
    at = writeCrlf(memory, at, limit);
  }
  return at;
}

/** The line before a chunk's data: size in hexadecimal, CRLF. The data's own CRLF is the caller's. 0 is not a chunk. */
export function encodeChunkSize(memory: Uint8Array, at: number, bytes: number): number {
  return writeCrlf(memory, writeHexadecimal(memory, at, memory.length, bytes), memory.length);
}

/** Last chunk, trailers and the end of a chunked body, or −1. Five bytes when there are no trailers. */
export function encodeTrailers(head: Head, at: number, limit: number): number {
  at = writePiece(head.memory, at, limit, LAST_CHUNK);
  at = encodeFields(head, at, limit, 0, 0, 0, false);
  return writeCrlf(head.memory, at, limit);
}

/**
 * Head of a reply that the gateway makes itself; Content-Length and Connection are added here, and `date`, a field line, unless a Date is
 * among the headers. −1 when it does not fit. `bodyLength` −1: it comes in chunks.
 * Names and values must be valid (`isToken`, `isFieldValue`): whoever takes them from a filter or guest sees to that, and
 * one that gets here is asserted against, since it could end this reply and begin another.
 */
export function encodeLocalReply(
  memory: Uint8Array,
  at: number,
  limit: number,
  status: number,
  headers: readonly (readonly [string, string])[],
  bodyLength: number,
  keepAlive: boolean,
  date: Uint8Array,
  minor = 1,
): number {
  let dated = false;
  at = writePiece(memory, at, limit, STATUS_LINE_START);
  at = writeDecimal(memory, at, limit, status);
  at = writeText(memory, at, limit, ` ${reasonPhrase(status)}\r\n`);
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i] as readonly [string, string];
    assert(isToken(name) && isFieldValue(value), "a local reply with an invalid field");
    at = writeText(memory, at, limit, `${name}: ${value}\r\n`);
    dated ||= name.length === 4 && name.toLowerCase() === "date";
  }
  if (!dated && status >= 200) at = writePiece(memory, at, limit, date);
  if (status >= 200 && status !== 204 && status !== 304) {
    if (bodyLength < 0) {
      at = writePiece(memory, at, limit, CHUNKED_LINE);
    } else {
      at = writePiece(memory, at, limit, LENGTH_START);
      at = writeDecimal(memory, at, limit, bodyLength);
      at = writeCrlf(memory, at, limit);
    }
  }
  if (!keepAlive) at = writePiece(memory, at, limit, CLOSE_LINE);
  else if (minor === 0) at = writePiece(memory, at, limit, KEEP_ALIVE_LINE);
  return writeCrlf(memory, at, limit);
}
