import * as http from "penstock:plugin/http@1.0.0";
import { textOf } from "./text.ts";

/** What heads and trailers have in common: their fields. Names are in lower case. */
export class Headers {
  readonly #head: http.Head;

  constructor(head: http.Head) {
    this.#head = head;
  }

  /** Value of the first field of this name, or null. */
  header(name: string): string | null {
    const value = http.header(this.#head, name);
    return value === null ? null : textOf(value);
  }

  hasHeader(name: string): boolean {
    return http.header(this.#head, name) !== null;
  }

  /** Replaces every field of this name by one. False: the gateway refuses the name or the value. */
  setHeader(name: string, value: string): boolean {
    return http.setHeader(this.#head, name, value);
  }

  /** Adds a field, keeping those that are there. */
  addHeader(name: string, value: string): boolean {
    return http.addHeader(this.#head, name, value);
  }

  /** Removes every field of this name; false when there was none. */
  removeHeader(name: string): boolean {
    return http.removeHeader(this.#head, name);
  }

  /** Number of fields, repeated ones counted. */
  get headerCount(): number {
    return http.headerCount(this.#head);
  }

  /** Positions are valid until the next edit. */
  headerNameAt(position: number): string {
    return http.headerNameAt(this.#head, position);
  }

  headerValueAt(position: number): string {
    return textOf(http.headerValueAt(this.#head, position));
  }
}

/**
 * Fields behind a body, in `onRequestEnd` and `onResponseEnd`: read, changed, and added. A message that came with its length has room for them
 * only if `onRequest` or `onResponse` has added a `trailer` header that names them; then it goes on in chunks. Edits answer false where there is no room
 * (a client of HTTP/1.0 never has any), and for names that must be known before the body.
 */
export class Trailers extends Headers {}
