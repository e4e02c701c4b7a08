/**
 * A cursor over the binary format (WebAssembly core specification 5). It borrows the bytes. Every reader of this room
 * runs only over bytes that `WebAssembly.validate` has accepted; it still checks its own bounds, so that a
 * disagreement with the engine ends in a refusal and not in a wrong rewrite.
 */
import { wasmError } from "#core/errors/wasm.ts";
import type { PenstockError } from "#core/errors.ts";

export function refused(offset: number, reason: string): PenstockError {
  return wasmError("PENSTOCK_WASM_REFUSED", { detail: `at byte ${offset}: ${reason}` });
}

export function exceeded(offset: number, what: string, count: number, max: number): PenstockError {
  return wasmError("PENSTOCK_WASM_LIMIT", { detail: `at byte ${offset}: ${what} ${count} exceeds ${max}` });
}

function malformed(offset: number, reason: string): PenstockError {
  return wasmError("PENSTOCK_WASM_INVALID", { detail: `at byte ${offset}: ${reason}` });
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

export class ByteReader {
  readonly bytes: Uint8Array;
  /** Next byte to read, as an offset into the module. */
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  u8(): number {
    if (this.at >= this.end) throw malformed(this.at, "unexpected end");
    const byte = this.bytes[this.at] ?? 0;
    this.at++;
    return byte;
  }

  /** LEB128, unsigned, at most 32 bits in 5 bytes. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed(this.at, "integer too long");
  }

  /** LEB128, signed, at most 33 bits: a block type. */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return (byte & 0x40) !== 0 ? value - 2 ** (shift + 7) : value;
    }
    throw malformed(this.at, "integer too long");
  }

  /** Passes over one LEB128 of up to 64 bits. */
  skipInteger(): void {
    for (let count = 0; count < 10; count++) if (this.u8() < 0x80) return;
    throw malformed(this.at, "integer too long");
  }

  skip(count: number): void {
    this.at += count;
    if (this.at > this.end) throw malformed(this.end, "unexpected end");
  }

  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    try {
      return utf8.decode(this.bytes.subarray(start, this.at));
    } catch {
      throw malformed(start, "a name that is not UTF-8");
    }
  }

  /** A vector's length, bounded. */
  count(what: string, max: number): number {
    const offset = this.at;
    const count = this.u32();
    if (count > max) throw exceeded(offset, what, count, max);
    return count;
  }
}
