/**
 * An HTTP/1 reader for the ends of a simulation: plain, patient, and with nothing of the gateway's own in it, so that the
 * two can't be wrong in the same way. What it does not expect is a violation, told by `fail`.
 */

export interface Message {
  readonly start: string;
  /** Lower-case names, in order of arrival. */
  readonly fields: readonly (readonly [string, string])[];
  body: Buffer;
  /** As `fields`; those that have come. */
  readonly trailers: (readonly [string, string])[];
}

export interface MessageHandler {
  /** A head is whole. How its body is framed is asked here, since only the caller knows the request of a response. */
  onHead(message: Message): boolean;
  onComplete(message: Message): void;
  fail(what: string): void;
}

export function fieldOf(message: Message, name: string): string | undefined {
  return message.fields.find(([each]) => each === name)?.[1];
}

const NONE = 0;
const UNTIL_CLOSE = -1;
const CHUNKED = -2;

export class MessageReader {
  readonly #handler: MessageHandler;
  #rest: Buffer = Buffer.alloc(0);
  #message: Message | null = null;
  #pieces: Buffer[] = [];
  /** Bytes of the body still to come, or one of the constants above. */
  #left = NONE;
  /** Of the chunk that is being read. */
  #chunkLeft = 0;
  #inTrailers = false;

  constructor(handler: MessageHandler) {
    this.#handler = handler;
  }

  /** The message whose head has come and whose end has not. */
  get partial(): Message | null {
    if (this.#message !== null) this.#message.body = Buffer.concat(this.#pieces);
    return this.#message;
  }

  /** Bytes of a head that is not whole. */
  get unread(): number {
    return this.#message === null ? this.#rest.length : 0;
  }

  push(bytes: Uint8Array): void {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    while (this.#message === null ? this.#readHead() : this.#readBody());
  }

  /** The peer's FIN: ends a body that lasts until then. */
  end(): void {
    if (this.#message !== null && this.#left === UNTIL_CLOSE) this.#complete();
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const [start = "", ...lines] = this.#rest.toString("latin1", 0, end).split("\r\n");
    this.#rest = this.#rest.subarray(end + 4);
    const fields = lines.map((line) => this.#fieldOf(line));
    const message: Message = { start, fields, body: Buffer.alloc(0), trailers: [] };
    const lengths = fields.filter(([name]) => name === "content-length").map(([, value]) => value);
    const coding = fieldOf(message, "transfer-encoding");
    if (lengths.length > 1) this.#handler.fail(`${lengths.length} lengths`);
    if (coding !== undefined && lengths.length > 0) this.#handler.fail("a length beside a transfer coding");
    const hasBody = this.#handler.onHead(message);
    this.#message = message;
    this.#pieces = [];
    if (!hasBody) this.#left = NONE;
    else if (coding !== undefined) this.#left = CHUNKED;
    else if (lengths[0] !== undefined) this.#left = Number(lengths[0]);
    else this.#left = start.startsWith("HTTP/") ? UNTIL_CLOSE : NONE;
    this.#chunkLeft = 0;
    this.#inTrailers = false;
    if (this.#left === NONE) this.#complete();
    return true;
  }

  #fieldOf(line: string): [string, string] {
    const colon = line.indexOf(":");
    if (colon < 1) this.#handler.fail(`a field without a name: ${JSON.stringify(line)}`);
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }

  #readBody(): boolean {
    if (this.#left === CHUNKED) return this.#readChunked();
    if (this.#rest.length === 0) return false;
    const count = this.#left === UNTIL_CLOSE ? this.#rest.length : Math.min(this.#left, this.#rest.length);
    this.#take(count);
    if (this.#left === UNTIL_CLOSE) return false;
    this.#left -= count;
    if (this.#left === 0) this.#complete();
    return true;
  }

  #readChunked(): boolean {
    if (this.#chunkLeft > 2) {
      const count = Math.min(this.#chunkLeft - 2, this.#rest.length);
      this.#take(count);
      this.#chunkLeft -= count;
      return count > 0;
    }
    const end = this.#rest.indexOf("\r\n");
    if (end < 0) return false;
    const line = this.#rest.toString("latin1", 0, end);
    this.#rest = this.#rest.subarray(end + 2);
    if (this.#chunkLeft === 2) {
      if (line !== "") this.#handler.fail(`${JSON.stringify(line)} behind a chunk`);
      this.#chunkLeft = 0;
    } else if (this.#inTrailers) {
      if (line === "") this.#complete();
      else this.#message?.trailers.push(this.#fieldOf(line));
    } else if (/^[0-9a-f]+$/i.test(line)) {
      const size = Number.parseInt(line, 16);
      if (size === 0) this.#inTrailers = true;
      else this.#chunkLeft = size + 2;
    } else {
      this.#handler.fail(`no size of a chunk: ${JSON.stringify(line)}`);
    }
    return true;
  }

  #take(count: number): void {
    this.#pieces.push(Buffer.from(this.#rest.subarray(0, count)));
    this.#rest = this.#rest.subarray(count);
  }

  #complete(): void {
    const message = this.partial as Message;
    this.#message = null;
    this.#pieces = [];
    this.#handler.onComplete(message);
  }
}
