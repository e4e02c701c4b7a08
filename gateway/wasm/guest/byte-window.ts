/**
 * The bytes of a body or a stream that are at hand in a hook. Borrowed from the data plane, uncopied, until a guest changes
 * them or wants to see more before they go on; then a copy that the window owns, and that grows.
 */
import { BODY_WINDOW_BYTES_MAX } from "#sdk/types/abi.ts";

const FIRST_BYTES = 16 * 1024;
const NOTHING = new Uint8Array(0);

export class ByteWindow {
  memory: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** `memory` is this window's own. */
  owned = false;
  /** The head that these bytes belong to has not left yet. */
  headWaits = false;

  get size(): number {
    return this.end - this.start;
  }

  /** Bytes that have come. False: they would be more than a window may hold. */
  add(memory: Uint8Array, start: number, end: number): boolean {
    if (this.size === 0 && !this.owned) {
      this.memory = memory;
      this.start = start;
      this.end = end;
      return true;
    }
    return this.splice(this.size, 0, memory, start, end);
  }

  /** Puts [from, to) of `source` in the place of `removed` bytes at `offset`, both within the window. False: too many. */
  splice(offset: number, removed: number, source: Uint8Array, from: number, to: number): boolean {
    const added = to - from;
    const size = this.size - removed + added;
    if (size > BODY_WINDOW_BYTES_MAX) return false;
    this.own(Math.max(size, this.size));
    const at = this.start + offset;
    this.memory.copyWithin(at + added, at + removed, this.end);
    this.memory.set(source.subarray(from, to), at);
    this.end = this.start + size;
    return true;
  }

  /** Makes them the window's own: what they were borrowed from goes away. */
  own(capacity: number = this.size): void {
    if (this.owned && this.memory.length >= capacity) return;
    const memory = new Uint8Array(Math.max(FIRST_BYTES, capacity, this.owned ? 2 * this.memory.length : 0));
    memory.set(this.memory.subarray(this.start, this.end));
    this.end -= this.start;
    this.start = 0;
    this.memory = memory;
    this.owned = true;
  }

  clear(): void {
    this.memory = NOTHING;
    this.start = 0;
    this.end = 0;
    this.owned = false;
  }
}
