/**
 * The head of an HTTP message in a pipeline: the received bytes with their offset table (`wire`), as the codecs and
 * filters pass it on, and the same as scripts see it. Texts are made when asked for.
 *
 * Owns: its offset table, from the worker's pool, and a reference to the buffer its bytes stand in, until `close`. Whoever
 * made it closes it when its exchange has ended; a script that looks at it later gets PENSTOCK_PIPELINE_STALE_HEAD.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import {
  AUTHORITY,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  METHOD_GET,
  METHOD_OTHER,
  type Head,
} from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { internName } from "#http/names.ts";
import { isToken } from "#http/octets.ts";
import { bufferBytes, type Runtime } from "#pipeline/runtime.ts";
import { requestText, responseText, type RequestInit, type ResponseInit } from "./head-init.ts";
import { headerView, type Headers } from "./header-view.ts";

const OWN_LIMITS: HeadLimits = { headBytesMax: 32_768, targetBytesMax: 16_384, fieldsMax: 256 };

export class HttpHead {
  readonly #runtime: Runtime;
  #wire: Head | null;
  #buffer = -1;
  #headers: Headers | null = null;
  /** How the content goes on: FRAMING_*. */
  framing = FRAMING_NONE;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#wire = runtime.heads.take();
  }

  /** For a request that a script has made. `framing`: its field line, with CRLF; empty for none. Throws PENSTOCK_PIPELINE_HEAD. */
  static request(init: RequestInit, framing: string, runtime: Runtime): HttpHead {
    const head = new HttpHead(runtime);
    head.#read(requestText(init, framing), (wire, start, end) => parseRequestHead(wire, start, end, OWN_LIMITS));
    return head;
  }

  /** The same for a response, to a request of `method` METHOD_*. */
  static response(init: ResponseInit, framing: string, method: number, runtime: Runtime): HttpHead {
    const head = new HttpHead(runtime);
    const parse = (wire: Head, start: number, end: number) => parseResponseHead(wire, start, end, OWN_LIMITS, method);
    head.#read(responseText(init, framing), parse);
    return head;
  }

  #read(text: string, parse: (wire: Head, start: number, end: number) => number): void {
    const { buffers } = this.#runtime;
    const room = bufferBytes(buffers);
    const buffer = text.length > room ? -1 : buffers.allocate();
    if (buffer < 0) throw this.#bad("too long, or there is no memory for it");
    this.#buffer = buffer;
    const start = buffer * room;
    buffers.memory.set(Buffer.from(text, "latin1"), start);
    const next = parse(this.wire, start, start + text.length);
    if (next !== start + text.length) throw this.#bad(JSON.stringify(text));
    this.framing = this.wire.framing;
  }

  #bad(detail: string): Error {
    this.close();
    return pipelineError("PENSTOCK_PIPELINE_HEAD", { detail });
  }

  /** The bytes and their table. Throws once the message is over. */
  get wire(): Head {
    if (this.#wire === null) throw pipelineError("PENSTOCK_PIPELINE_STALE_HEAD");
    return this.#wire;
  }

  /** `wire` has been parsed from bytes in `buffer`, which is kept until `close`. */
  hold(buffer: number): void {
    this.#runtime.buffers.retain(buffer);
    this.#buffer = buffer;
    this.framing = this.wire.framing;
  }

  close(): void {
    if (this.#wire === null) return;
    this.#runtime.heads.give(this.#wire);
    this.#wire = null;
    if (this.#buffer >= 0) this.#runtime.buffers.release(this.#buffer);
    this.#buffer = -1;
  }

  // How long the content is.

  /** A filter changes the content: what was announced does not hold. */
  forgetLength(): void {
    this.wire.forgetLength();
    this.framing = this.wire.framing;
  }

  /** The content that follows has this many bytes. */
  setLength(bytes: number): void {
    const { wire } = this;
    if (wire.framing === FRAMING_LENGTH && wire.contentLength === bytes) return;
    if (bytes === 0 && wire.framing === FRAMING_NONE) return;
    wire.forgetLength();
    wire.contentLength = bytes;
    this.framing = FRAMING_LENGTH;
  }

  // As scripts see it.

  get protocol(): string {
    return this.wire.minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
  }

  /** Of a request. */
  get method(): string {
    return this.wire.methodText();
  }

  set method(value: string) {
    const { wire } = this;
    if (!isToken(value) || wire.targetForm === AUTHORITY) throw this.#refused(`method ${JSON.stringify(value)}`);
    // A rewritten target makes the encoder write the whole line anew.
    const { path } = this;
    this.path = path;
    const at = wire.reserve(value.length);
    if (at < 0) throw this.#refused("too many edits");
    for (let i = 0; i < value.length; i++) wire.memory[at + i] = value.charCodeAt(i);
    wire.methodStart = at;
    wire.methodEnd = at + value.length;
    wire.method = METHOD_OTHER;
  }

  /** Path, in normal form, and query. */
  get path(): string {
    const { wire } = this;
    return wire.hasQuery ? `${wire.pathText()}?${wire.queryText()}` : wire.pathText();
  }

  set path(value: string) {
    const bytes = Buffer.from(value, "latin1");
    if (!this.wire.setTarget(bytes, 0, bytes.length)) throw this.#refused(`path ${JSON.stringify(value)}`);
  }

  /** The authority's host in lower case, without port. */
  get host(): string {
    return this.wire.hostText();
  }

  /** Of a response; 0 in a request. */
  get status(): number {
    return this.wire.status;
  }

  set status(value: number) {
    if (!this.wire.setStatus(value)) throw this.#refused(`status ${value} in place of ${this.wire.status}`);
  }

  get statusText(): string {
    return this.wire.reasonText();
  }

  get headers(): Headers {
    return (this.#headers ??= headerView(this));
  }

  /** The same as `headers[name]`, a little faster. */
  get(name: string): string | undefined {
    return this.wire.get(name);
  }

  /** Lines of a repeated field, singly. */
  getAll(name: string): string[] {
    const lowerCase = name.toLowerCase();
    return this.wire.entries().flatMap(([known, value]) => (known === lowerCase ? [value] : []));
  }

  /** One value in the place of all that were there. Throws PENSTOCK_PIPELINE_HEAD for what may not be set. */
  set(name: string, value: string): void {
    const bytes = Buffer.from(value, "latin1");
    if (!this.wire.set(internName(name.toLowerCase()), bytes, 0, bytes.length))
      throw this.#refused(`${name}: ${value}`);
  }

  append(name: string, value: string): void {
    const bytes = Buffer.from(value, "latin1");
    if (!this.wire.add(internName(name.toLowerCase()), bytes, 0, bytes.length))
      throw this.#refused(`${name}: ${value}`);
  }

  remove(name: string): void {
    this.wire.remove(internName(name.toLowerCase()));
  }

  /** In lower case, each once. */
  names(): string[] {
    return [...new Set(this.wire.entries().map(([name]) => name))];
  }

  /** A copy that outlives the message, and that a new head can be made from. */
  toObject(): { method?: string; path?: string; status?: number; headers: Record<string, string[]> } {
    const headers: Record<string, string[]> = {};
    for (const [name, value] of this.wire.entries()) (headers[name] ??= []).push(value);
    const { status } = this;
    return status === 0 ? { method: this.method, path: this.path, headers } : { status, headers };
  }

  /** A head with bytes of its own, for who must not change this one. Throws PENSTOCK_PIPELINE_HEAD for what no script could write. */
  copy(): HttpHead {
    const { framing, wire } = this;
    const length = framing === FRAMING_LENGTH ? `content-length: ${wire.contentLength}\r\n` : "";
    const lines = framing === FRAMING_CHUNKED ? "transfer-encoding: chunked\r\n" : length;
    const init = this.toObject();
    const copy =
      init.status === undefined
        ? HttpHead.request(init, lines, this.#runtime)
        : HttpHead.response(init, lines, METHOD_GET, this.#runtime);
    copy.framing = framing;
    return copy;
  }

  #refused(detail: string): Error {
    return pipelineError("PENSTOCK_PIPELINE_HEAD", { detail });
  }
}
