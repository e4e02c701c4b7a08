/** The two ways of a stored body: in, while it passes by, and out, at the client's pace. */
import { PassingStage } from "#pipeline/body.ts";
import { octetsOf } from "#plugins/texts.ts";
import type { Fields } from "./entry.ts";

const PIECE_BYTES = 32 * 1024;

/** Copies a response that passes. `done` is told once: the body, or null when it was too long or cut, and the trailers. */
export class FillStage extends PassingStage {
  readonly #bytesMax: number;
  #done: ((body: Buffer | null, trailers: Fields) => void) | null;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number, done: (body: Buffer | null, trailers: Fields) => void) {
    super();
    this.#bytesMax = bytesMax;
    this.#done = done;
  }

  override data(buffer: number, start: number, end: number): void {
    if (this.#done !== null) {
      this.#bytes += end - start;
      if (this.#bytes > this.#bytesMax) this.#finish(null);
      else this.#chunks.push(this.link.memory.slice(start, end));
    }
    this.link.data(buffer, start, end);
  }

  override end(): void {
    // Before the client's end: who waits for it may be answered in the same turn.
    const trailers = this.link.trailers?.entries() ?? [];
    this.#finish(this.#done === null ? null : Buffer.concat(this.#chunks), trailers);
    this.link.end();
  }

  override dispose(): void {
    this.#finish(null);
  }

  #finish(body: Buffer | null, trailers: Fields = []): void {
    const done = this.#done;
    this.#done = null;
    this.#chunks = [];
    done?.(body, trailers);
  }
}

/** A part of bytes in memory as the body of a reply, with these trailers. */
export class MemorySource extends PassingStage {
  readonly #bytes: Uint8Array;
  readonly #trailers: Fields;
  #at = 0;

  constructor(bytes: Uint8Array, trailers: Fields = []) {
    super();
    this.#bytes = bytes;
    this.#trailers = trailers;
  }

  override drained(): void {
    while (this.#at < this.#bytes.length) {
      if (this.link.full) return;
      const piece = this.#bytes.subarray(this.#at, this.#at + PIECE_BYTES);
      this.#at += piece.length;
      this.link.write(piece);
    }
    for (const [name, value] of this.#trailers) {
      const octets = octetsOf(value);
      this.link.makeTrailers()?.addSpelled(name, octets, 0, octets.length);
    }
    this.link.end();
  }
}
