/** Grows as it is written; the binary format's encodings. Owns its buffer; `bytes()` lends a view of it. */
export class ByteWriter {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(Math.max(16, capacity));
  }

  #reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }

  u8(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = byte;
  }

  /** Several single bytes: opcodes and their small immediates. */
  code(...bytes: number[]): void {
    for (const byte of bytes) this.u8(byte);
  }

  /** LEB128, unsigned 32 bits. */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  /** LEB128, signed 32 bits: the immediate of i32.const. */
  s32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const byte = rest & 0x7f;
      rest >>= 7;
      const last = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
      this.u8(last ? byte : byte | 0x80);
      if (last) return;
    }
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  name(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** Id, size, contents. Answers the offset at which the contents stand. */
  section(id: number, contents: ByteWriter): number {
    this.u8(id);
    this.u32(contents.length);
    const at = this.length;
    this.raw(contents.bytes());
    return at;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
