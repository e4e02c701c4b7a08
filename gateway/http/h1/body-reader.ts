/** Content as it comes in: where it ends, and how much of it is still to come. One a connection, reused for all its messages. */

import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, type Head, type Scratch } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "./chunked.ts";

/** A request body that the response did not wait for is read to its end up to this many bytes, else the connection closes. */
const DISCARD_BYTES_MAX = 256 * 1024;

/** `dataStart` to `dataEnd` is content. */
export const BODY_DATA = 0;
export const BODY_MORE = 1;
/** `trailers` are those that came with it, or null. There may be a last piece of content. */
export const BODY_END = 2;

export class BodyReader {
  readonly #scratch: Scratch;
  #framing = FRAMING_NONE;
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  #discarded = 0;
  dataStart = 0;
  dataEnd = 0;
  /** Where the bytes that were not read yet begin. */
  next = 0;
  trailers: Head | null = null;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
  }

  begin(framing: number, contentLength: number, limits: HeadLimits): void {
    this.#framing = framing;
    this.#remaining = framing === FRAMING_LENGTH ? contentLength : 0;
    this.#discarded = 0;
    if (framing !== FRAMING_CHUNKED) return;
    this.#decoder ??= new ChunkedDecoder(this.#scratch);
    this.#decoder.reset(limits);
  }

  /** BODY_*, or a refusal of the codec (below 0). Content that ends with the connection never says BODY_END. */
  read(memory: Uint8Array, at: number, end: number): number {
    this.dataStart = at;
    this.dataEnd = at;
    if (this.#framing === FRAMING_LENGTH) {
      const stop = Math.min(end, at + this.#remaining);
      this.#remaining -= stop - at;
      this.dataEnd = stop;
      this.next = stop;
      return this.#remaining === 0 ? BODY_END : BODY_DATA;
    }
    if (this.#framing === FRAMING_CLOSE) {
      this.dataEnd = this.next = end;
      return BODY_DATA;
    }
    const decoder = this.#decoder as ChunkedDecoder;
    const result = decoder.decode(memory, at, end);
    this.next = decoder.next;
    if (result === CHUNK_DATA) {
      this.dataStart = decoder.dataStart;
      this.dataEnd = decoder.dataEnd;
      return BODY_DATA;
    }
    if (result === CHUNK_MORE) return BODY_MORE;
    if (result !== CHUNK_END) return result;
    const { trailers } = decoder;
    this.trailers = trailers.fieldCount > 0 ? trailers : null;
    return BODY_END;
  }

  /** Nothing but the end of the stream tells where it ends. */
  get endsWithStream(): boolean {
    return this.#framing === FRAMING_CLOSE;
  }

  /** Content that nobody takes. */
  discard(bytes: number): void {
    this.#discarded += bytes;
  }

  /** What is known to be left is little enough to be read and thrown away. */
  get canDiscard(): boolean {
    return this.#discarded + this.#remaining <= DISCARD_BYTES_MAX;
  }

  release(): void {
    this.trailers = null;
    this.#decoder?.trailers.reset();
  }
}
