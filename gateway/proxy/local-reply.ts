/**
 * Replies the gateway makes itself. One is written like any response and parsed like any response, so that response
 * filters see no difference. Head and body stand in one buffer, which a LocalReply owns from `make` to `release`.
 */
import { assert } from "#core/assert.ts";
import { encodeLocalReply } from "#http/h1/encode.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_NONE, type Head } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { DownstreamStream } from "./downstream-stream.ts";

/** Head and body of a local reply stand in one buffer: what a filter's `respond` may hold at most. */
export const REPLY_BODY_BYTES_MAX = 16 * 1024;

const LIMITS: HeadLimits = { headBytesMax: BUFFER_BYTES, targetBytesMax: 0, fieldsMax: 128 };

/** A problem document (RFC 9457). */
function problemReply(status: number, code: string, detail: string): Uint8Array {
  const document = { type: `urn:penstock:problem:${code}`, title: reasonPhrase(status), status, code, detail };
  return Buffer.from(`${JSON.stringify(document)}\n`);
}

export type ReplyFields = readonly (readonly [string, string])[];

/** The reply of one exchange, if it gets one. Pooled with it. */
export class LocalReply {
  readonly #buffers: Buffers;
  readonly #response: Head;
  #buffer = -1;
  #bodyStart = 0;
  #bodyEnd = 0;

  /** `response`: where its head is parsed to. */
  constructor(buffers: Buffers, response: Head) {
    this.#buffers = buffers;
    this.#response = response;
  }

  /** Without a free buffer there is no reply: `deliver` tells. A second one takes the first one's place. */
  make(status: number, headers: ReplyFields, body: Uint8Array, contentType: string, requestMethod: number): void {
    if (this.#buffer < 0) this.#buffer = this.#buffers.allocate();
    if (this.#buffer < 0) return;
    const args = [status, headers, body, contentType, requestMethod] as const;
    const region = writeReply(this.#buffers, this.#buffer, this.#response, ...args);
    this.#bodyStart = region.start;
    this.#bodyEnd = region.end;
  }

  makeProblem(status: number, code: string, detail: string, requestMethod: number): void {
    this.make(status, [], problemReply(status, code, detail), "application/problem+json", requestMethod);
  }

  get bodyBytes(): number {
    return this.#bodyEnd - this.#bodyStart;
  }

  /** Writes the head. False when there is no memory for it. */
  sendHead(stream: DownstreamStream): boolean {
    return this.#buffer >= 0 && stream.sendHead(this.#response);
  }

  sendBody(stream: DownstreamStream): void {
    if (this.#bodyEnd > this.#bodyStart) stream.sendData(this.#buffer, this.#bodyStart, this.#bodyEnd);
  }

  release(): void {
    if (this.#buffer >= 0) this.#buffers.release(this.#buffer);
    this.#buffer = -1;
    this.#bodyStart = 0;
    this.#bodyEnd = 0;
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
  status: number,
  headers: ReplyFields,
  body: Uint8Array,
  contentType: string,
  requestMethod: number,
): { start: number; end: number } {
  const memory = buffers.memory;
  const at = buffer * BUFFER_BYTES;
  const content = body.length > REPLY_BODY_BYTES_MAX ? body.subarray(0, REPLY_BODY_BYTES_MAX) : body;
  const typed = headers.some(([name]) => name === "content-type") || content.length === 0;
  const fields = typed ? headers : [...headers, ["content-type", contentType] as const];
  const end = encodeLocalReply(
    memory,
    at,
    at + BUFFER_BYTES - REPLY_BODY_BYTES_MAX,
    status,
    fields,
    content.length,
    true,
  );
  assert(end > 0, "a local reply's fields fit into its buffer");
  response.reset();
  const parsed = parseResponseHead(response, at, end, LIMITS, requestMethod);
  assert(parsed === end, `a local reply that can be parsed (${parsed})`);
  // HEAD, 204 and 304: a body would be read as the next response.
  if (response.framing === FRAMING_NONE) return { start: end, end };
  memory.set(content, end);
  return { start: end, end: end + content.length };
}
