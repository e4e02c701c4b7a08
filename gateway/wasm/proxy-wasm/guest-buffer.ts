/**
 * Bytes that a guest can read and replace through `proxy_get_buffer_bytes` and `proxy_set_buffer_bytes`: of a body as it
 * passes, first the region of the data plane it was received in, and a copy from when the guest changes it or holds it back.
 */
export class GuestBuffer {
  /** Where a region stands; the copy, once there is one. */
  #bytes: Uint8Array;
  #start = 0;
  #end = 0;
  #owned = false;
  /** Bytes that have come, whatever the guest has made of them. */
  #received = 0;

  constructor() {
    this.#bytes = new Uint8Array();
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** The guest has made it longer or shorter. */
  get lengthChanged(): boolean {
    return this.length !== this.#received;
  }

  /** It still is the region that `show` was given. */
  get isRegion(): boolean {
    return !this.#owned;
  }

  /** Valid until the next change. */
  get view(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Borrows a region; nothing must be held. */
  show(memory: Uint8Array, start: number, end: number): void {
    this.#bytes = memory;
    this.#start = start;
    this.#end = end;
    this.#owned = false;
    this.#received = end - start;
  }

  /** Makes what is there the buffer's own, before its region goes away. */
  keep(): void {
    if (!this.#owned) this.#own(Math.max(1024, this.length * 2));
  }

  append(memory: Uint8Array, start: number, end: number): void {
    const room = end - start;
    if (!this.#owned || this.#end + room > this.#bytes.length) this.#own((this.length + room) * 2);
    this.#bytes.set(memory.subarray(start, end), this.#end);
    this.#end += room;
    this.#received += room;
  }

  /** Puts `value` in the place of `length` bytes from `start` on; beyond the end is at the end. */
  replace(start: number, length: number, value: Uint8Array): void {
    const from = Math.min(start, this.length);
    const to = Math.min(from + length, this.length);
    const { view } = this;
    const bytes = new Uint8Array(from + value.length + (view.length - to));
    bytes.set(view.subarray(0, from), 0);
    bytes.set(value, from);
    bytes.set(view.subarray(to), from + value.length);
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = bytes.length;
    this.#owned = true;
  }

  clear(): void {
    this.#bytes = new Uint8Array();
    this.#start = this.#end = 0;
    this.#owned = false;
    this.#received = 0;
  }

  #own(capacity: number): void {
    const { view } = this;
    const bytes = new Uint8Array(capacity);
    bytes.set(view, 0);
    this.#bytes = bytes;
    this.#end = view.length;
    this.#start = 0;
    this.#owned = true;
  }
}
