/**
 * A head that arrives in pieces, put together in one buffer of the arena. Empty most of the time: a head that arrives
 * whole is parsed where it was received.
 */
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";

export class Carry {
  readonly #buffers: Buffers;
  /** −1 when nothing is carried. */
  buffer = -1;
  start = 0;
  end = 0;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  get active(): boolean {
    return this.buffer >= 0;
  }

  /** Copies as much of `[start, end)` as fits; answers how many bytes, or −1 when there is no buffer. */
  append(start: number, end: number): number {
    if (this.buffer < 0) {
      this.buffer = this.#buffers.allocate();
      if (this.buffer < 0) return -1;
      this.start = this.buffer * BUFFER_BYTES;
      this.end = this.start;
    }
    const bytes = Math.min(end - start, this.start + BUFFER_BYTES - this.end);
    this.#buffers.memory.copyWithin(this.end, start, start + bytes);
    this.end += bytes;
    return bytes;
  }

  /** Gives the buffer up: its one reference passes to the caller, or it is released. */
  detach(): number {
    const buffer = this.buffer;
    this.buffer = -1;
    return buffer;
  }

  clear(): void {
    if (this.buffer >= 0) this.#buffers.release(this.detach());
  }
}
