/**
 * The request heads of one client connection: parsed where they lie, or put together from the pieces they come in, which must all be there
 * by a deadline.
 */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import type { Head } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import type { Buffers } from "#io/buffers.ts";
import { PartialHead } from "#pipeline/http/partial-head.ts";

/** All is taken, and the head goes on. */
export const HEAD_MORE = 0;
/** There is no buffer to keep a piece in. Below every refusal. */
export const HEAD_NO_BUFFER = -(2 ** 30);

export class HeadReader {
  readonly #buffers: Buffers;
  #partial: PartialHead | null = null;
  /** Holds the head that was read; valid until `done`. */
  buffer = -1;
  /** It was put together there, and its one reference is ours. */
  #owned = false;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  /** When the head that has begun must be whole; Infinity while none has. */
  get deadlineMs(): number {
    return this.#partial?.deadlineMs ?? Infinity;
  }

  /**
   * Above 0: where to go on in `buffer`, behind a head that stands in `head`; call `done` when its bytes are retained. Else HEAD_MORE,
   * HEAD_NO_BUFFER or a refusal. `deadlineMs`: of a head that begins here.
   */
  read(head: Head, buffer: number, at: number, end: number, limits: HeadLimits, deadlineMs: number): number {
    const partial = this.#partial;
    if (partial !== null) return this.#join(partial, head, at, end, limits);
    const next = parseRequestHead(head, at, end, limits);
    if (next > 0) this.buffer = buffer;
    return next === 0 ? this.#begin(at, end, deadlineMs) : next;
  }

  #begin(at: number, end: number, deadlineMs: number): number {
    const partial = new PartialHead(this.#buffers, deadlineMs);
    if (!partial.begin(at, end)) return HEAD_NO_BUFFER;
    this.#partial = partial;
    return HEAD_MORE;
  }

  #join(partial: PartialHead, head: Head, at: number, end: number, limits: HeadLimits): number {
    if (!partial.add(at, end, limits)) return HEAD_MORE;
    const parsed = partial.parse(head, limits);
    if (parsed <= 0) return parsed;
    this.buffer = partial.detach();
    this.#owned = true;
    this.#partial = null;
    return partial.next;
  }

  /** The head that was read is somebody else's to keep. */
  done(): void {
    if (this.#owned) this.#buffers.release(this.buffer);
    this.#owned = false;
    this.buffer = -1;
  }

  /** Forgets a head that has begun. */
  clear(): void {
    this.#partial?.clear();
    this.#partial = null;
  }
}
