/**
 * Packets out of a stream of bytes, however it is cut. A packet that came in one piece is given as it lies there; one in
 * pieces is put together in memory of its own size, which is never more than the bound.
 *
 *     type and flags │ length, 1 to 4 bytes │ body                    (5.0 §2.1)
 */
const VARINT_BYTES_MAX = 4;
const HEADER_BYTES_MAX = 1 + VARINT_BYTES_MAX;

/** Takes a packet: its first byte, and its body, valid for the call. False: no more, please. */
export type TakePacket = (first: number, body: Uint8Array) => boolean;

export class Framer {
  readonly #bytesMax: number;
  /** What came of a packet that is not whole yet: the header alone until its length is known, then room for all of it. */
  #held = new Uint8Array(HEADER_BYTES_MAX);
  #heldBytes = 0;

  /** `bytesMax`: of a packet, its header included. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How much is held of a packet that has begun. */
  get held(): number {
    return this.#heldBytes;
  }

  /** Answers why the stream is malformed, or null. What follows a packet after which `take` says no is dropped. */
  push(bytes: Uint8Array, take: TakePacket): string | null {
    let at = 0;
    while (at < bytes.length) {
      const whole = this.#heldBytes === 0 ? readHeader(bytes, at, bytes.length) : null;
      if (typeof whole === "string") return whole;
      if (whole !== null && whole.end <= bytes.length) {
        const first = bytes[at] as number;
        at = whole.end;
        if (whole.end - whole.start > this.#bytesMax) return this.#tooLong(whole.end - whole.start);
        if (!take(first, bytes.subarray(whole.bodyAt, whole.end))) return null;
        continue;
      }
      const used = this.#hold(bytes, at, take);
      if (typeof used === "string") return used;
      if (used < 0) return null;
      at += used;
    }
    return null;
  }

  /** Adds to the packet that is held: how many bytes were used; −1 after a packet after which no more are wanted. */
  #hold(bytes: Uint8Array, at: number, take: TakePacket): number | string {
    let header = readHeader(this.#held, 0, this.#heldBytes);
    let used = 0;
    while (header === null && at + used < bytes.length) {
      this.#held[this.#heldBytes++] = bytes[at + used++] as number;
      header = readHeader(this.#held, 0, this.#heldBytes);
    }
    if (header === null) return used;
    if (typeof header === "string") return header;
    if (header.end > this.#bytesMax) return this.#tooLong(header.end);
    if (this.#held.length < header.end) this.#grow(header.end);
    const part = bytes.subarray(at + used, at + used + header.end - this.#heldBytes);
    this.#held.set(part, this.#heldBytes);
    this.#heldBytes += part.length;
    used += part.length;
    if (this.#heldBytes < header.end) return used;
    const packet = this.#held;
    this.#held = new Uint8Array(HEADER_BYTES_MAX);
    this.#heldBytes = 0;
    return take(packet[0] as number, packet.subarray(header.bodyAt, header.end)) ? used : -1;
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(bytes);
    grown.set(this.#held.subarray(0, this.#heldBytes));
    this.#held = grown;
  }

  #tooLong(bytes: number): string {
    return `a packet of ${bytes} bytes: ${this.#bytesMax} are taken`;
  }
}

interface Header {
  readonly start: number;
  readonly bodyAt: number;
  readonly end: number;
}

/** Null: it is not all there. */
function readHeader(bytes: Uint8Array, start: number, end: number): Header | string | null {
  let length = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    if (start + 1 + i >= end) return null;
    const byte = bytes[start + 1 + i] as number;
    length += (byte & 0x7f) * 128 ** i;
    if ((byte & 0x80) !== 0) continue;
    const bodyAt = start + 2 + i;
    return { start, bodyAt, end: bodyAt + length };
  }
  return "a length of more than four bytes";
}
