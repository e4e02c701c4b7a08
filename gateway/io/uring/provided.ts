/**
 * The provided-buffer ring: buffers lent to the kernel, which picks one when bytes arrive, so a connection that waits
 * holds none. It is kept short and topped up each turn from the arena's last-in-first-out stack: the buffers in
 * circulation stay in the processor's caches.
 *
 *     entry (16 bytes)   address u64 | length u32 | buffer id u16 | reserved u16
 *     the ring's tail stands in the reserved field of the first entry
 *
 * Source: struct io_uring_buf_ring, linux/io_uring.h.
 */
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import { mapMemory, type Mapping } from "#sys/memory.ts";
import { REGISTER_PBUF_RING, uringRegister } from "#sys/uring.ts";

/** The one buffer group of this ring. */
export const BUFFER_GROUP = 0;

export class ProvidedBuffers {
  readonly #buffers: Buffers;
  /** Below 2⁴⁷: exact as a number. */
  readonly #base: number;
  readonly #entries: number;
  readonly #memory: Mapping;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  #tail = 0;
  #lent = 0;

  /** `entries`: a power of two; registers with the ring, which must not be enabled yet. */
  constructor(ringFd: number, arena: Arena, entries: number) {
    this.#buffers = arena.buffers;
    this.#base = Number(arena.address);
    this.#entries = entries;
    this.#memory = mapMemory(Math.max(entries * 16, 4096));
    this.#words = new Int32Array(this.#memory.bytes);
    this.#halves = new Uint16Array(this.#memory.bytes);
    const registration = new DataView(new ArrayBuffer(40));
    registration.setBigUint64(0, this.#memory.address, true);
    registration.setUint32(8, entries, true);
    registration.setUint16(12, BUFFER_GROUP, true);
    uringRegister(ringFd, REGISTER_PBUF_RING, new Uint8Array(registration.buffer), 1);
  }

  /** Tops the ring up. False when it stays empty: the arena is exhausted. */
  refill(): boolean {
    if (this.#lent === this.#entries) return true;
    const mask = this.#entries - 1;
    while (this.#lent < this.#entries) {
      const buffer = this.#buffers.allocate();
      if (buffer < 0) break;
      const address = this.#base + buffer * BUFFER_BYTES;
      const at = (this.#tail & mask) << 2;
      this.#words[at] = address | 0;
      this.#words[at + 1] = Math.floor(address / 0x1_0000_0000);
      this.#words[at + 2] = BUFFER_BYTES;
      this.#halves[(at + 3) << 1] = buffer;
      this.#tail = (this.#tail + 1) & 0xffff;
      this.#lent++;
    }
    // The entries must be visible before the tail is; x86 and the system call that follows both see to it.
    this.#halves[7] = this.#tail;
    return this.#lent > 0;
  }

  /** The kernel has used buffer `id` of the completion's upper 16 flag bits: its one reference is the driver's now. */
  taken(): void {
    this.#lent--;
  }

  get lent(): number {
    return this.#lent;
  }

  dispose(): void {
    this.#memory.unmap();
  }
}
