/**
 * `decodeHTTPRequest`, `decodeHTTPResponse`: bytes in, messages out, in one stream. What is malformed ends it: MALFORMED for
 * requests, BAD_RESPONSE for responses. A head lives until the next one comes, or the stream is over.
 */
import { BODY_END, BODY_MORE, BodyReader } from "#http/h1/body-reader.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_LENGTH, FRAMING_NONE, METHOD_GET, METHOD_HEAD, type Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { Carry } from "#net/carry.ts";
import { BAD_RESPONSE, ENDED, MALFORMED, OVERLOADED, type Ending } from "#pipeline/events/ending.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { HttpHead } from "./http-head.ts";
import { tailOf } from "./tails.ts";

/** Whether the next response answers HEAD, and has no body whatever it says. */
export type Bodiless<C extends object> = (context: Context<C>) => boolean;

export class DecodeHttp<C extends object> extends PipeFilter<C> {
  /** Null: requests are read. */
  readonly #bodiless: Bodiless<C> | null;
  readonly #carry: Carry;
  readonly #body: BodyReader;
  #head: HttpHead | null = null;
  #next: HttpHead | null = null;
  #inBody = false;
  #broken = false;

  constructor(scope: Scope<C>, bodiless: Bodiless<C> | null) {
    super(scope);
    this.#bodiless = bodiless;
    this.#carry = new Carry(scope.runtime.buffers);
    this.#body = new BodyReader(scope.runtime.scratch);
  }

  override data(buffer: number, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#broken)
      at = this.#inBody ? this.#readBody(buffer, at, end) : this.#readHead(buffer, at, end);
  }

  /** Content that ends with the stream is whole now; any other is cut off. */
  override streamEnd(ending: Ending): void {
    if (this.#inBody && this.#body.endsWithStream && ending === ENDED) this.#endMessage(null);
    else if ((this.#inBody || this.#carry.active) && ending === ENDED) {
      this.#fail();
      return;
    }
    this.output.streamEnd(ending);
  }

  override dispose(): void {
    this.#carry.clear();
    this.#body.release();
    this.#head?.close();
    this.#next?.close();
  }

  #parse(wire: Head, at: number, end: number): number {
    if (this.#bodiless === null) return parseRequestHead(wire, at, end, DEFAULT_HEAD_LIMITS);
    let method = METHOD_GET;
    try {
      if (this.#bodiless(this.scope.context)) method = METHOD_HEAD;
    } catch (error) {
      this.scope.fail(error);
      return -1;
    }
    return parseResponseHead(wire, at, end, DEFAULT_HEAD_LIMITS, method);
  }

  #readHead(buffer: number, at: number, end: number): number {
    const head = (this.#next ??= new HttpHead(this.scope.runtime));
    const carry = this.#carry;
    if (!carry.active) {
      const next = this.#parse(head.wire, at, end);
      if (next > 0) this.#begin(head, buffer);
      else if (next < 0) this.#fail();
      else if (carry.append(at, end) < 0) this.#fail(OVERLOADED);
      return next > 0 ? next : end;
    }
    const before = carry.end;
    const copied = carry.append(at, end);
    const next = this.#parse(head.wire, carry.start, carry.end);
    if (next < 0 || (next === 0 && copied < end - at)) this.#fail();
    if (next <= 0) return end;
    const owned = carry.detach();
    this.#begin(head, owned);
    this.scope.runtime.buffers.release(owned);
    return at + (next - before);
  }

  #begin(head: HttpHead, buffer: number): void {
    this.#next = null;
    this.#head?.close();
    this.#head = head;
    head.hold(buffer);
    const { framing, contentLength } = head.wire;
    this.#inBody = framing !== FRAMING_NONE && (framing !== FRAMING_LENGTH || contentLength > 0);
    if (this.#inBody) this.#body.begin(framing, contentLength, DEFAULT_HEAD_LIMITS);
    this.output.messageStart(head);
    if (!this.#inBody) this.output.messageEnd(null);
  }

  #readBody(buffer: number, at: number, end: number): number {
    const body = this.#body;
    const result = body.read(this.memory, at, end);
    if (result < 0) {
      this.#fail();
      return end;
    }
    if (result === BODY_MORE) return body.next;
    const { next } = body;
    if (body.dataEnd > body.dataStart) this.output.data(buffer, body.dataStart, body.dataEnd);
    if (result === BODY_END) this.#endMessage(tailOf(body.trailers));
    return next;
  }

  #endMessage(tail: object | null): void {
    this.#inBody = false;
    this.#body.release();
    this.output.messageEnd(tail);
  }

  #fail(ending: Ending = this.#bodiless === null ? MALFORMED : BAD_RESPONSE): void {
    this.#broken = true;
    this.scope.break(ending);
  }
}
