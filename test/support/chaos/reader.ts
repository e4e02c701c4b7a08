/** Reads the messages of one direction of an HTTP/1.1 connection as they come, in pieces of any size. For well-formed input. */

import type net from "node:net";

export interface Message {
  readonly line: string;
  readonly fields: ReadonlyMap<string, string>;
  /** Length of the body so far. */
  bytes: number;
  whole: boolean;
}

export interface ReaderEvents {
  head(message: Message): void;
  data(message: Message, text: string): void;
  end(message: Message): void;
  /** A message that is none. */
  bad(why: string): void;
}

/** Whatever its fields say, this message (an answer to HEAD, a 1xx, 204, 304) has no body. */
export type Bodiless = (message: Message) => boolean;

export class MessageReader {
  readonly #events: ReaderEvents;
  readonly #bodiless: Bodiless;
  readonly #isRequest: boolean;
  #text = "";
  #message: Message | null = null;
  /** Bytes of the body or chunk that are to come; Infinity: until the end. */
  #left = 0;
  #chunked = false;
  #stopped = false;

  constructor(isRequest: boolean, bodiless: Bodiless, events: ReaderEvents) {
    this.#isRequest = isRequest;
    this.#bodiless = bodiless;
    this.#events = events;
  }

  /** The message under way; null between two. */
  get message(): Message | null {
    return this.#message;
  }

  push(text: string): void {
    this.#text += text;
    while (!this.#stopped && this.#step());
  }

  /** What follows is not HTTP. */
  stop(): void {
    this.#stopped = true;
  }

  /** The sender has ended. */
  finish(): void {
    const message = this.#message;
    if (message !== null && this.#left === Infinity) this.#complete(message);
  }

  /** Takes what it can; answers whether there may be more to take. */
  #step(): boolean {
    if (this.#message === null) return this.#head();
    if (this.#left > 0) return this.#data(this.#message);
    return this.#chunked && this.#chunk(this.#message);
  }

  #head(): boolean {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [line = "", ...rows] = this.#text.slice(0, end).split("\r\n");
    this.#text = this.#text.slice(end + 4);
    const fields = new Map<string, string>();
    for (const row of rows) {
      const colon = row.indexOf(":");
      fields.set(row.slice(0, colon).toLowerCase(), row.slice(colon + 1).trim());
    }
    const message: Message = { line, fields, bytes: 0, whole: false };
    if (!(this.#isRequest ? / HTTP\/1\.1$/ : /^HTTP\/1\.1 \d{3} /).test(line)) this.#events.bad(line.slice(0, 80));
    this.#message = message;
    this.#events.head(message);
    const length = fields.get("content-length");
    this.#chunked = fields.get("transfer-encoding") === "chunked";
    this.#left = length !== undefined ? Number(length) : this.#isRequest || this.#chunked ? 0 : Infinity;
    if (this.#bodiless(message)) {
      this.#left = 0;
      this.#chunked = false;
    }
    if (this.#left === 0 && !this.#chunked) this.#complete(message);
    return true;
  }

  #data(message: Message): boolean {
    const data = this.#text.slice(0, this.#left);
    if (data === "") return false;
    this.#text = this.#text.slice(data.length);
    this.#left -= data.length;
    this.#events.data(message, data);
    message.bytes += data.length;
    if (this.#left > 0) return false;
    if (!this.#chunked) this.#complete(message);
    return true;
  }

  #chunk(message: Message): boolean {
    const line = /^(?:\r\n)?([0-9a-f]+)\r\n/i.exec(this.#text);
    if (line === null) return false;
    const size = Number.parseInt(line[1] as string, 16);
    if (size === 0) {
      // The empty line stands behind the last chunk's line, or behind trailers.
      const end = this.#text.indexOf("\r\n\r\n", line[0].length - 2);
      if (end < 0) return false;
      this.#text = this.#text.slice(end + 4);
      this.#complete(message);
      return true;
    }
    this.#text = this.#text.slice(line[0].length);
    this.#left = size;
    return true;
  }

  #complete(message: Message): void {
    message.whole = true;
    this.#message = null;
    this.#events.end(message);
  }
}

/** RST; or FIN where that is under way already: then libuv refuses to reset, and the socket would never say that it closed. */
export function reset(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** `[c7r2]` again and again: a body whose every piece says whose it is. */
export function tagged(tag: string, bytes: number): string {
  const unit = `[${tag}]`;
  return unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes);
}

/** Whether `text` is what stands at offset `at` of such a body. */
export function isTagged(tag: string, at: number, text: string): boolean {
  const unit = tag.length + 2;
  const skip = at % unit;
  return tagged(tag, skip + text.length).slice(skip) === text;
}
