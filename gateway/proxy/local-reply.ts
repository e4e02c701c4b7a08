/**
 * Replies the gateway makes itself. One is written like any response and parsed like any response, so that response
 * filters see no difference. Head and body stand in one buffer, which a LocalReply owns from `make` to `release`.
 */
import { assert } from "#core/assert.ts";
import type { HttpDate } from "#http/date.ts";
import { encodeLocalReply } from "#http/h1/encode.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_NONE, METHOD_OTHER, type Head } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { Asker } from "./asker.ts";
import type { Bodies } from "./bodies.ts";
import type { DownstreamStream } from "./downstream-stream.ts";

/** Head and body of a local reply stand in one buffer: what a filter's `respond` may hold at most. */
export const REPLY_BODY_BYTES_MAX = 16 * 1024;

const CONTINUE_HEAD = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

const LIMITS: HeadLimits = { headBytesMax: BUFFER_BYTES, targetBytesMax: 0, fieldsMax: 128 };

/** A problem document (RFC 9457). */
function problemReply(status: number, code: string, detail: string, id: string): Uint8Array {
  const title = reasonPhrase(status);
  const instance = `urn:penstock:request:${id}`;
  const document = { type: `urn:penstock:problem:${code}`, title, status, code, detail, instance };
  return Buffer.from(`${JSON.stringify(document)}\n`);
}

/** The same for people. Details are our own words, escaped all the same: some quote a configuration. */
function problemPage(status: number, detail: string, id: string): Uint8Array {
  const title = `${status} ${reasonPhrase(status)}`;
  return Buffer.from(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${escaped(detail)}</p><p>Request ${escaped(id)}</p></html>\n`,
  );
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

export type ReplyFields = readonly (readonly [string, string])[];

/** The reply of one exchange, if it gets one. Pooled with it. */
export class LocalReply {
  readonly #buffers: Buffers;
  readonly #response: Head;
  readonly #date: HttpDate;
  #buffer = -1;
  #bodyStart = 0;
  #bodyEnd = 0;
  /** The body comes from elsewhere. */
  #sourced = false;

  /** `response`: where its head is parsed to. */
  constructor(buffers: Buffers, response: Head, date: HttpDate) {
    this.#buffers = buffers;
    this.#response = response;
    this.#date = date;
  }

  /** Without a free buffer there is no reply: `deliver` tells. A second one takes the first one's place. */
  make(status: number, headers: ReplyFields, body: Uint8Array, contentType: string, requestMethod: number): void {
    if (this.#buffer < 0) this.#buffer = this.#buffers.allocate();
    if (this.#buffer < 0) return;
    this.#sourced = false;
    const args = [status, headers, body, contentType, requestMethod] as const;
    const region = writeReply(this.#buffers, this.#buffer, this.#response, this.#date.line, ...args);
    this.#bodyStart = region.start;
    this.#bodyEnd = region.end;
  }

  /** A head alone, for a body of `contentLength` bytes that comes from elsewhere; −1: in chunks. */
  makeHead(status: number, headers: ReplyFields, contentLength: number, requestMethod: number): void {
    if (this.#buffer < 0) this.#buffer = this.#buffers.allocate();
    if (this.#buffer < 0) return;
    this.#bodyStart = this.#bodyEnd = 0;
    const args = [status, headers, contentLength, requestMethod, 0] as const;
    writeHead(this.#buffers, this.#buffer, this.#response, this.#date.line, ...args);
    this.#sourced = this.#response.framing !== FRAMING_NONE;
  }

  /** A page for who asks for one first, else a problem document; both with the request's id. */
  makeProblem(status: number, code: string, detail: string, asker: Asker, requestMethod: number): void {
    const { id, wantsHtml } = asker;
    const body = wantsHtml ? problemPage(status, detail, id) : problemReply(status, code, detail, id);
    const type = wantsHtml ? "text/html; charset=utf-8" : "application/problem+json";
    this.make(status, [["x-request-id", id]], body, type, requestMethod);
  }

  /** Writes the head. False when there is no memory for it. */
  sendHead(stream: DownstreamStream): boolean {
    return this.#buffer >= 0 && stream.sendHead(this.#response);
  }

  /** Body and end, through what filters have put in between; nothing when both come from elsewhere. */
  sendBody(bodies: Bodies): void {
    if (this.#sourced) return;
    if (this.#bodyEnd > this.#bodyStart) bodies.responseData(this.#buffer, this.#bodyStart, this.#bodyEnd);
    bodies.responseEnd(null);
  }

  /** 100, where the gateway itself wants a body that the client keeps back. Uses the response's head, which is empty still. */
  continueIfExpected(request: Head, stream: DownstreamStream): void {
    if (!request.expectContinue || request.minor !== 1) return;
    request.expectContinue = false;
    const buffer = this.#buffers.allocate();
    if (buffer < 0) return;
    const at = buffer * BUFFER_BYTES;
    this.#buffers.memory.set(CONTINUE_HEAD, at);
    parseResponseHead(this.#response, at, at + CONTINUE_HEAD.length, LIMITS, METHOD_OTHER);
    stream.sendInformational(this.#response);
    this.#response.reset();
    this.#buffers.release(buffer);
  }

  release(): void {
    if (this.#buffer >= 0) this.#buffers.release(this.#buffer);
    this.#buffer = -1;
    this.#bodyStart = 0;
    this.#bodyEnd = 0;
    this.#sourced = false;
  }
}

/**
 * Writes the reply into `buffer` and parses its head into `response`. Answers the region of the body: cut at
 * REPLY_BODY_BYTES_MAX, empty for HEAD.
 */
function writeReply(
  buffers: Buffers,
  buffer: number,
  response: Head,
  date: Uint8Array,
  status: number,
  headers: ReplyFields,
  body: Uint8Array,
  contentType: string,
  requestMethod: number,
): { start: number; end: number } {
  const content = body.length > REPLY_BODY_BYTES_MAX ? body.subarray(0, REPLY_BODY_BYTES_MAX) : body;
  const typed = headers.some(([name]) => name === "content-type") || content.length === 0;
  const fields = typed ? headers : [...headers, ["content-type", contentType] as const];
  const room = REPLY_BODY_BYTES_MAX;
  const end = writeHead(buffers, buffer, response, date, status, fields, content.length, requestMethod, room);
  // HEAD, 204 and 304: a body would be read as the next response.
  if (response.framing === FRAMING_NONE) return { start: end, end };
  buffers.memory.set(content, end);
  return { start: end, end: end + content.length };
}

/** Offset behind the head. `room`: bytes that must be left for the body. */
function writeHead(
  buffers: Buffers,
  buffer: number,
  response: Head,
  date: Uint8Array,
  status: number,
  fields: ReplyFields,
  contentLength: number,
  requestMethod: number,
  room: number,
): number {
  const at = buffer * BUFFER_BYTES;
  const limit = at + BUFFER_BYTES - room;
  const end = encodeLocalReply(buffers.memory, at, limit, status, fields, contentLength, true, date);
  assert(end > 0, "a local reply's fields fit into its buffer");
  response.reset();
  const parsed = parseResponseHead(response, at, end, LIMITS, requestMethod);
  assert(parsed === end, `a local reply that can be parsed (${parsed})`);
  return end;
}
