/**
 * Received regions that can't be used yet (the other side is too slow, a filter thinks, an earlier request is still being
 * answered): retained, in order, until `shift`. Bounded by the driver: receiving is stopped when the first is held, and
 * what a multishot receive still delivers is at most one batch.
 */
import type { Buffers } from "#io/buffers.ts";

export class HeldRegions {
  readonly #buffers: Buffers;
  readonly #regions: number[] = [];
  /** The region that `shift` took out: valid until `release`. */
  buffer = -1;
  start = 0;
  end = 0;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  get empty(): boolean {
    return this.#regions.length === 0;
  }

  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.#regions.length; i += 3) sum += (this.#regions[i + 2] ?? 0) - (this.#regions[i + 1] ?? 0);
    return sum;
  }

  push(buffer: number, start: number, end: number): void {
    this.#buffers.retain(buffer);
    this.#regions.push(buffer, start, end);
  }

  /** Back to the front: the rest of a region that was shifted and only partly used. */
  unshift(buffer: number, start: number, end: number): void {
    this.#buffers.retain(buffer);
    this.#regions.unshift(buffer, start, end);
  }

  /** Takes the first region out; its reference passes to the caller, who releases it. False when there is none. */
  shift(): boolean {
    if (this.#regions.length === 0) return false;
    [this.buffer, this.start, this.end] = this.#regions.splice(0, 3) as [number, number, number];
    return true;
  }

  clear(): void {
    for (let i = 0; i < this.#regions.length; i += 3) this.#buffers.release(this.#regions[i] as number);
    this.#regions.length = 0;
  }
}
