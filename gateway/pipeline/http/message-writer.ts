/**
 * HTTP/1 messages as bytes, to a sink: heads, content in the framing that was announced, the end. One a connection, used
 * for one message after another. Head and chunk lines stand in a buffer of their own for the length of the call.
 */
import { encodeChunkSize, encodeRequestHead, encodeResponseHead } from "#http/h1/encode.ts";
import type { RequestEncodeOptions, ResponseEncodeOptions } from "#http/h1/encode.ts";
import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE } from "#http/head.ts";
import { isFieldValue, isToken } from "#http/octets.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { bufferBytes, type Runtime } from "#pipeline/runtime.ts";
import type { HttpHead } from "./http-head.ts";

/** What content did not keep to what the head had announced. */
export type WriteResult = "done" | "no-memory" | "too-long" | "too-short";

export class MessageWriter {
  readonly #runtime: Runtime;
  /** Where bytes go. */
  sink: Sink;
  #framing = FRAMING_NONE;
  #remaining = 0;
  readonly #request: RequestEncodeOptions = {
    dropForwarded: false,
    dropForwardedFor: false,
    dropExpect: true,
    appendStart: 0,
    appendEnd: 0,
    framing: FRAMING_NONE,
    upgrade: false,
  };
  readonly #response: ResponseEncodeOptions = {
    minor: 1,
    framing: FRAMING_NONE,
    keepAlive: true,
    appendStart: 0,
    appendEnd: 0,
    upgrade: false,
  };

  constructor(runtime: Runtime, sink: Sink) {
    this.#runtime = runtime;
    this.sink = sink;
  }

  /** How the message under way is framed. */
  get framing(): number {
    return this.#framing;
  }

  request(head: HttpHead): WriteResult {
    const options = this.#request;
    options.framing = head.framing;
    options.upgrade = head.wire.upgrade;
    return this.#head(head, head.framing, true);
  }

  /** `minor`: of the peer, which may not know chunks. Answers FRAMING_CLOSE's need of a close by `framing`. */
  response(head: HttpHead, minor: number, keepAlive: boolean): WriteResult {
    let { framing } = head;
    if (framing === FRAMING_CHUNKED || framing === FRAMING_CLOSE)
      framing = minor === 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
    const options = this.#response;
    options.minor = minor;
    options.framing = framing;
    options.keepAlive = keepAlive && framing !== FRAMING_CLOSE;
    options.upgrade = head.wire.status === 101;
    return this.#head(head, framing, false);
  }

  #head(head: HttpHead, framing: number, isRequest: boolean): WriteResult {
    const { buffers } = this.#runtime;
    const buffer = buffers.allocate();
    if (buffer < 0) return "no-memory";
    const room = bufferBytes(buffers);
    const at = buffer * room;
    const end = isRequest
      ? encodeRequestHead(head.wire, at, at + room, this.#request)
      : encodeResponseHead(head.wire, at, at + room, this.#response);
    this.#framing = framing;
    this.#remaining = framing === FRAMING_LENGTH ? head.wire.contentLength : 0;
    if (end > 0) this.sink.data(buffer, at, end);
    buffers.release(buffer);
    return end > 0 ? "done" : "too-long";
  }

  data(buffer: number, start: number, end: number): WriteResult {
    if (end === start || this.#framing === FRAMING_NONE) return "done";
    if (this.#framing === FRAMING_LENGTH) {
      this.#remaining -= end - start;
      if (this.#remaining < 0) return "too-long";
      this.sink.data(buffer, start, end);
      return "done";
    }
    if (this.#framing === FRAMING_CLOSE) {
      this.sink.data(buffer, start, end);
      return "done";
    }
    return this.#chunk(buffer, start, end);
  }

  #chunk(buffer: number, start: number, end: number): WriteResult {
    const { buffers } = this.#runtime;
    const own = buffers.allocate();
    if (own < 0) return "no-memory";
    const at = own * bufferBytes(buffers);
    const sizeEnd = encodeChunkSize(buffers.memory, at, end - start);
    this.sink.data(own, at, sizeEnd);
    this.sink.data(buffer, start, end);
    this.sink.data(own, sizeEnd - 2, sizeEnd);
    buffers.release(own);
    return "done";
  }

  end(tail: object | null): WriteResult {
    const framing = this.#framing;
    this.#framing = FRAMING_NONE;
    if (framing === FRAMING_LENGTH) return this.#remaining === 0 ? "done" : "too-short";
    if (framing !== FRAMING_CHUNKED) return "done";
    return this.#text(`0\r\n${trailerLines(tail)}\r\n`);
  }

  #text(text: string): WriteResult {
    const { buffers } = this.#runtime;
    const room = bufferBytes(buffers);
    const buffer = text.length > room ? -1 : buffers.allocate();
    if (buffer < 0) return "no-memory";
    const at = buffer * room;
    for (let i = 0; i < text.length; i++) buffers.memory[at + i] = text.charCodeAt(i);
    this.sink.data(buffer, at, at + text.length);
    buffers.release(buffer);
    return "done";
  }
}

/** What can't be sent is left out: nobody waits for trailers. */
function trailerLines(tail: object | null): string {
  const headers = (tail as { readonly headers?: Readonly<Record<string, unknown>> } | null)?.headers;
  if (headers === undefined) return "";
  let lines = "";
  for (const [name, value] of Object.entries(headers)) {
    const text = String(value);
    if (isToken(name) && isFieldValue(text)) lines += `${name}: ${text}\r\n`;
  }
  return lines;
}
