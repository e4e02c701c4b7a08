/**
 * A message head: the received bytes, an offset table over them, and a short list of edits. Strings exist only for who
 * asks. All offsets are absolute offsets into one `memory` (the arena on the data plane, any Uint8Array in a test), also
 * those of edited values, which stand in a scratch region of the same memory that is taken on the first edit.
 *
 * One Head serves many messages in turn (`reset`); it owns its scratch region and nothing else. The parsers of `h1/`
 * fill it and its fields' rows directly; everyone else reads the properties and edits through the methods.
 */
import { parseAuthority } from "./authority.ts";
import { Fields, HEAD_SECTION, LINE_END, ROW_SHIFT } from "./fields.ts";
import { CONTENT_LENGTH, HOST, newestName, TRAILER } from "./names.ts";
import { METHOD_BYTES_MAX } from "./limits.ts";
import { QUERY, QUESTION, SLASH, TOKEN } from "./octets.ts";
import type { Scratch } from "./scratch.ts";
import { ABSOLUTE, normalise, ORIGIN, scanPath, type TargetSlots } from "./target.ts";

export type { Scratch } from "./scratch.ts";
export { ABSOLUTE, ASTERISK, AUTHORITY, ORIGIN } from "./target.ts";

export const METHOD_OTHER = 0;
export const METHOD_GET = 1;
export const METHOD_HEAD = 2;
export const METHOD_POST = 3;
export const METHOD_PUT = 4;
export const METHOD_DELETE = 5;
export const METHOD_CONNECT = 6;
export const METHOD_OPTIONS = 7;
export const METHOD_TRACE = 8;
export const METHOD_PATCH = 9;

/** By number; METHOD_OTHER has no text. */
const METHODS = ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

function framesDifferently(method: number): boolean {
  return method === METHOD_HEAD || method === METHOD_CONNECT || method === METHOD_TRACE;
}

/** No content follows the head. */
export const FRAMING_NONE = 0;
/** `contentLength` bytes follow; 0 when the field says so. */
export const FRAMING_LENGTH = 1;
export const FRAMING_CHUNKED = 2;
/** A response whose content ends with the connection. */
export const FRAMING_CLOSE = 3;

export class Head extends Fields implements TargetSlots {
  start: number;
  /** After the empty line. */
  end: number;
  /** Of HTTP/1.x: 0 or 1. */
  minor: number;
  method: number;
  methodStart: number;
  methodEnd: number;
  targetForm: number;
  /** As received; an edit changes path and query only. */
  targetStart: number;
  targetEnd: number;
  /** In normal form. Empty for authority-form, `*` for asterisk-form. */
  pathStart: number;
  pathEnd: number;
  pathNormal: boolean;
  /** Without the question mark. */
  queryStart: number;
  queryEnd: number;
  hasQuery: boolean;
  /** In lower case, without port; start equals end when there is none (HTTP/1.0). */
  hostStart: number;
  hostEnd: number;
  /** As said by the sender; 0 when not. */
  port: number;
  status: number;
  /** −1 when the status was edited: the registered phrase is sent. */
  reasonStart: number;
  reasonEnd: number;
  framing: number;
  contentLength: number;
  /** May the connection this message came over carry another one after it, as far as the sender says. */
  keepAlive: boolean;
  /** The sender asks for, or with 101 agrees to, another protocol. */
  upgrade: boolean;
  expectContinue: boolean;
  /** The Host field is a filter's and overrides the authority of an absolute-form target. */
  hostEdited: boolean;
  /** A filter has added a Trailer field: content of known length goes on in chunks, where the next hop can read them. */
  announcesTrailers: boolean;

  constructor(scratch: Scratch, section: number = HEAD_SECTION) {
    super(scratch, section);
    this.start = 0;
    this.end = 0;
    this.minor = 1;
    this.method = METHOD_OTHER;
    this.methodStart = 0;
    this.methodEnd = 0;
    this.targetForm = ORIGIN;
    this.targetStart = 0;
    this.targetEnd = 0;
    this.pathStart = 0;
    this.pathEnd = 0;
    this.pathNormal = true;
    this.queryStart = 0;
    this.queryEnd = 0;
    this.hasQuery = false;
    this.hostStart = 0;
    this.hostEnd = 0;
    this.port = 0;
    this.status = 0;
    this.reasonStart = 0;
    this.reasonEnd = 0;
    this.framing = FRAMING_NONE;
    // A value no small integer can hold: the engine gives the property a double's representation from the start, and a
    // first length above 2^31 doesn't change the shape under the compiled parsers.
    this.contentLength = Number.MAX_SAFE_INTEGER;
    this.keepAlive = false;
    this.upgrade = false;
    this.expectContinue = false;
    this.hostEdited = false;
    this.announcesTrailers = false;
    this.reset();
  }

  /** Forgets the message and frees the scratch region. */
  reset(): void {
    this.releaseScratch();
    this.fieldCount = 0;
    this.seen = 0;
    this.repeated = 0;
    this.newest = newestName();
    this.start = this.end = 0;
    this.minor = 1;
    this.method = METHOD_OTHER;
    this.methodStart = this.methodEnd = 0;
    this.targetForm = ORIGIN;
    this.targetStart = this.targetEnd = 0;
    this.pathStart = this.pathEnd = 0;
    this.pathNormal = true;
    this.queryStart = this.queryEnd = 0;
    this.hasQuery = false;
    this.hostStart = this.hostEnd = 0;
    this.port = 0;
    this.status = 0;
    this.reasonStart = this.reasonEnd = 0;
    this.framing = FRAMING_NONE;
    this.contentLength = 0;
    this.keepAlive = false;
    this.upgrade = false;
    this.expectContinue = false;
    this.hostEdited = false;
    this.announcesTrailers = false;
  }

  /** As for every field; a Host must be a valid authority, and changes `host` and `port` with it. */
  override set(name: number, source: Uint8Array, start: number, end: number): boolean {
    if (name !== HOST) return super.set(name, source, start, end) && this.#wrote(name);
    // Tried on a copy first: the field must not be rewritten when the value is refused.
    const copy = this.reserve(end - start);
    if (copy < 0) return false;
    for (let i = start; i < end; i++) this.memory[copy + i - start] = source[i] as number;
    const { hostStart, hostEnd, port } = this;
    if (
      parseAuthority(this, copy, copy + end - start) === 0 &&
      super.set(HOST, this.memory, copy, copy + end - start)
    ) {
      this.hostEdited = true;
      return true;
    }
    this.hostStart = hostStart;
    this.hostEnd = hostEnd;
    this.port = port;
    this.unreserve(copy);
    return false;
  }

  /** There is one Host, always. */
  override add(name: number, source: Uint8Array, start: number, end: number): boolean {
    return name !== HOST && super.add(name, source, start, end) && this.#wrote(name);
  }

  #wrote(name: number): true {
    if (name === TRAILER) this.announcesTrailers = true;
    return true;
  }

  override remove(name: number): number {
    return name === HOST ? 0 : super.remove(name);
  }

  /**
   * Replaces path and query by `/path?query`, which is checked and normalised as a received one. False, and no change,
   * when it is not valid, when the request has no path, or when scratch is used up.
   */
  setTarget(source: Uint8Array, start: number, end: number): boolean {
    if ((this.targetForm !== ORIGIN && this.targetForm !== ABSOLUTE) || source[start] !== SLASH || start >= end) {
      return false;
    }
    const copy = this.reserve(end - start);
    if (copy < 0) return false;
    const { memory, pathStart, pathEnd } = this;
    const copyEnd = copy + end - start;
    for (let i = start; i < end; i++) memory[copy + i - start] = source[i] as number;
    this.pathNormal = true;
    this.pathStart = copy;
    this.pathEnd = scanPath(this, copy, copyEnd);
    const rawPathEnd = this.pathEnd;
    const hasQuery = rawPathEnd < copyEnd && memory[rawPathEnd] === QUESTION;
    let at = hasQuery ? rawPathEnd + 1 : rawPathEnd;
    while (hasQuery && at < copyEnd && QUERY[memory[at] as number] !== 0) at++;
    if (at !== copyEnd || (!this.pathNormal && normalise(this) < 0)) {
      this.pathStart = pathStart;
      this.pathEnd = pathEnd;
      this.pathNormal = true;
      this.unreserve(copy);
      return false;
    }
    this.hasQuery = hasQuery;
    this.queryStart = hasQuery ? rawPathEnd + 1 : rawPathEnd;
    this.queryEnd = copyEnd;
    return true;
  }

  /**
   * Another method. False, and no change, for what is no token, and where the change would be one of framing: to and from
   * HEAD, CONNECT and TRACE.
   */
  setMethod(source: Uint8Array, start: number, end: number): boolean {
    if (start >= end || end - start > METHOD_BYTES_MAX || this.methodEnd === this.methodStart) return false;
    for (let i = start; i < end; i++) if (TOKEN[source[i] as number] === 0) return false;
    const copy = this.reserve(end - start);
    if (copy < 0) return false;
    for (let i = start; i < end; i++) this.memory[copy + i - start] = source[i] as number;
    const method = METHODS.indexOf(this.text(copy, copy + end - start));
    if (framesDifferently(method) || framesDifferently(this.method)) {
      this.unreserve(copy);
      return false;
    }
    this.method = Math.max(METHOD_OTHER, method);
    this.methodStart = copy;
    this.methodEnd = copy + end - start;
    return true;
  }

  /** A filter changes the content: its length is not known any more, so it goes on in chunks. */
  forgetLength(): void {
    if (this.framing !== FRAMING_LENGTH) return;
    this.removeFixed(CONTENT_LENGTH);
    this.framing = FRAMING_CHUNKED;
  }

  /**
   * Another status for a response. False when the change would make content appear or vanish, which is framing: from or
   * to 1xx, 204 and 304.
   */
  setStatus(status: number): boolean {
    if (!Number.isInteger(status) || status < 200 || status > 599) return false;
    if (hasNoContent(status) || hasNoContent(this.status)) return false;
    this.status = status;
    this.reasonStart = this.reasonEnd = -1;
    return true;
  }

  /**
   * Moves the received bytes into scratch, for when the receive buffer goes away. False when they don't fit: then
   * nothing has changed.
   */
  keep(): boolean {
    if (this.inScratch(this.start)) return true;
    const { start, end } = this;
    const copy = this.reserve(end - start);
    if (copy < 0) return false;
    this.memory.copyWithin(copy, start, end);
    // No received part ends at `end`, where the empty line ends; a scratch region may well begin there.
    const moved = (offset: number): number => (offset >= start && offset < end ? offset - start + copy : offset);
    const rows = this.rows;
    for (let row = 0; row < this.fieldCount << ROW_SHIFT; row += 1 << ROW_SHIFT) {
      for (let cell = row; cell <= row + LINE_END; cell++) rows[cell] = moved(rows[cell] as number);
    }
    this.methodStart = moved(this.methodStart);
    this.methodEnd = moved(this.methodEnd);
    this.targetStart = moved(this.targetStart);
    this.targetEnd = moved(this.targetEnd);
    this.pathStart = moved(this.pathStart);
    this.pathEnd = moved(this.pathEnd);
    this.queryStart = moved(this.queryStart);
    this.queryEnd = moved(this.queryEnd);
    this.hostStart = moved(this.hostStart);
    this.hostEnd = moved(this.hostEnd);
    this.reasonStart = moved(this.reasonStart);
    this.reasonEnd = moved(this.reasonEnd);
    this.start = copy;
    this.end = copy + end - start;
    return true;
  }

  methodText(): string {
    return this.text(this.methodStart, this.methodEnd);
  }

  /** The normalised path, without query. */
  pathText(): string {
    return this.text(this.pathStart, this.pathEnd);
  }

  queryText(): string {
    return this.text(this.queryStart, this.queryEnd);
  }

  /** As received. */
  targetText(): string {
    return this.text(this.targetStart, this.targetEnd);
  }

  hostText(): string {
    return this.text(this.hostStart, this.hostEnd);
  }

  reasonText(): string {
    return this.reasonStart < 0 ? "" : this.text(this.reasonStart, this.reasonEnd);
  }
}

/** Whether what follows such a response is no HTTP any more: 101, and a success of CONNECT (RFC 9110 section 9.3.6). */
export function beginsTunnel(status: number, requestMethod: number): boolean {
  return status === 101 || (requestMethod === METHOD_CONNECT && status >= 200 && status < 300);
}

/** Responses that end with their head, whatever their fields say (RFC 9110 section 6.4.1). */
export function hasNoContent(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
