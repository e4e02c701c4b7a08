/** The two ways of a stored body: in, while it passes by, and out, at the client's pace. */
import { PassingStage } from "#pipeline/body.ts";

const PIECE_BYTES = 32 * 1024;

/** Copies a response that passes. `done` is told once: the body, or null when it was too long or cut. */
export class FillStage extends PassingStage {
  readonly #bytesMax: number;
  #done: ((body: Buffer | null) => void) | null;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number, done: (body: Buffer | null) => void) {
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
    this.#finish(this.#done === null ? null : Buffer.concat(this.#chunks));
    this.link.end();
  }

  override dispose(): void {
    this.#finish(null);
  }

  #finish(body: Buffer | null): void {
    const done = this.#done;
    this.#done = null;
    this.#chunks = [];
    done?.(body);
  }
}

/** A part of bytes in memory as the body of a reply. */
export class MemorySource extends PassingStage {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  override drained(): void {
    while (this.#at < this.#bytes.length) {
      if (this.link.full) return;
      const piece = this.#bytes.subarray(this.#at, this.#at + PIECE_BYTES);
      this.#at += piece.length;
      this.link.write(piece);
    }
    this.link.end();
  }
}
