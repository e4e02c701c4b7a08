/**
 * One arena of equal buffers for everything the data plane receives, rewrites and sends. Every offset in the data plane
 * is an offset into `memory`, so a region is three small integers: buffer id, start, end.
 *
 * Ownership is counted. A buffer that the driver delivers holds one reference for the time of the call; who keeps it
 * longer retains it, and a queued send retains until its completion. At zero it returns to the free stack, last in
 * first out, so a busy gateway works in the few buffers its caches already hold.
 *
 *     memory   [ buffer 0 | buffer 1 | … | buffer n−1 ]      id = offset >> BUFFER_SHIFT
 */
import { assert } from "#core/assert.ts";

/** 32 KiB: a whole head of the greatest size allowed, and half of a 64 KiB body, in one receive. Pages never written cost nothing. */
export const BUFFER_SHIFT = 15;
export const BUFFER_BYTES = 1 << BUFFER_SHIFT;

export class Buffers {
  readonly memory: Uint8Array;
  readonly count: number;
  readonly #references: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;

  constructor(arena: ArrayBuffer) {
    this.memory = new Uint8Array(arena);
    this.count = arena.byteLength >>> BUFFER_SHIFT;
    this.#references = new Int32Array(this.count);
    this.#free = new Int32Array(this.count);
    this.#freeCount = this.count;
    for (let i = 0; i < this.count; i++) this.#free[i] = this.count - 1 - i;
  }

  /** A buffer with one reference, or −1 when the process is at its bound. */
  allocate(): number {
    if (this.#freeCount === 0) return -1;
    const id = this.#free[--this.#freeCount] as number;
    this.#references[id] = 1;
    return id;
  }

  retain(id: number): void {
    this.#references[id] = (this.#references[id] as number) + 1;
  }

  release(id: number): void {
    const left = (this.#references[id] as number) - 1;
    assert(left >= 0, "buffer released more often than retained");
    this.#references[id] = left;
    if (left === 0) this.#free[this.#freeCount++] = id;
  }

  /** How many holders; 0 for a free buffer. */
  references(id: number): number {
    return this.#references[id] as number;
  }

  /** Buffers nobody holds. All of them, when the data plane is at rest: the leak test. */
  get free(): number {
    return this.#freeCount;
  }
}
