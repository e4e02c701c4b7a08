/**
 * Little-endian reading that can't leave its bytes: every number of an object file passes through here, so a damaged
 * file becomes an error that names the place, and never a RangeError from somewhere deep.
 */
import { bpfError } from "#core/errors/bpf.ts";

export class Reader {
  readonly bytes: Buffer;
  /** What these bytes are, for messages: a section's name. */
  readonly place: string;

  constructor(bytes: Uint8Array, place: string) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.place = place;
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(offset: number): number {
    return this.bytes.readUInt8(this.#need(offset, 1));
  }

  u16(offset: number): number {
    return this.bytes.readUInt16LE(this.#need(offset, 2));
  }

  u32(offset: number): number {
    return this.bytes.readUInt32LE(this.#need(offset, 4));
  }

  i32(offset: number): number {
    return this.bytes.readInt32LE(this.#need(offset, 4));
  }

  /** A 64-bit offset or size; beyond 2⁵³ it can't be meant. */
  u64(offset: number): number {
    const at = this.#need(offset, 8);
    const value = this.bytes.readUInt32LE(at + 4) * 2 ** 32 + this.bytes.readUInt32LE(at);
    if (value > Number.MAX_SAFE_INTEGER) throw this.error(offset, `${this.u64Exact(offset)} is out of range`);
    return value;
  }

  u64Exact(offset: number): bigint {
    return this.bytes.readBigUInt64LE(this.#need(offset, 8));
  }

  i64Exact(offset: number): bigint {
    return this.bytes.readBigInt64LE(this.#need(offset, 8));
  }

  /** A view, not a copy. */
  slice(offset: number, length: number, what: string): Buffer {
    if (offset + length > this.length) throw this.error(offset, `${what} of ${length} bytes ends outside`);
    return this.bytes.subarray(offset, offset + length);
  }

  /** The text up to the next NUL, which must be there. */
  string(offset: number): string {
    const end = offset < this.length ? this.bytes.indexOf(0, offset) : -1;
    if (end < 0) throw this.error(offset, "text without an end");
    return this.bytes.toString("latin1", offset, end);
  }

  error(offset: number, detail: string): Error {
    return bpfError("PENSTOCK_BPF_OBJECT", { detail: `${this.place}, offset ${offset}: ${detail}` });
  }

  #need(offset: number, size: number): number {
    if (offset < 0 || offset + size > this.length)
      throw this.error(offset, `${size} bytes expected, the end is at ${this.length}`);
    return offset;
  }
}
