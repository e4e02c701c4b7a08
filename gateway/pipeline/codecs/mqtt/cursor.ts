/**
 * Reading and writing MQTT's data types (5.0 §1.5) over one packet. A cursor that has failed goes on answering zeros and
 * empty text, so that what reads a packet asks once, at its end.
 */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NO_BYTES = new Uint8Array(0);
const VARINT_BYTES_MAX = 4;
export const VARINT_MAX = 268_435_455;
const LENGTH_MAX = 65_535;

export class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;
  #end: number;
  /** The first thing that was wrong; null: nothing. */
  failure: string | null = null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  fail(why: string): void {
    this.failure ??= why;
    this.#at = this.#end;
  }

  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : (this.#bytes[at] as number);
  }

  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  u32(): number {
    const high = this.u16();
    return high * 65_536 + this.u16();
  }

  /** A variable byte integer: in as few bytes as it takes, or it is malformed. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * 128 ** i;
      if ((byte & 0x80) !== 0) continue;
      if (byte === 0 && i > 0) this.fail("a length is written longer than it must be");
      return value;
    }
    this.fail("a length of more than four bytes");
    return 0;
  }

  /** A copy. */
  binary(): Uint8Array {
    const length = this.u16();
    const at = this.#take(length);
    return at < 0 ? NO_BYTES : new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  text(): string {
    const length = this.u16();
    const at = this.#take(length);
    if (at < 0) return "";
    try {
      const text = UTF8.decode(this.#bytes.subarray(at, at + length));
      if (!text.includes("\0")) return text;
      this.fail("text with a zero character");
    } catch {
      this.fail("text that is not UTF-8");
    }
    return "";
  }

  /** The rest, as it lies in the packet. */
  rest(): Uint8Array {
    const rest = this.#bytes.subarray(this.#at, this.#end);
    this.#at = this.#end;
    return rest;
  }

  /** Reads within the next `length` bytes; what stands there has to be read whole. */
  within(length: number, read: () => void): void {
    if (length > this.left) return this.fail("a part is longer than the packet");
    const end = this.#end;
    this.#end = this.#at + length;
    read();
    if (this.#at !== this.#end) this.fail("a part is longer than what it holds");
    this.#end = end;
    if (this.failure !== null) this.#at = end;
  }

  #take(bytes: number): number {
    if (bytes > this.left) {
      this.fail("the packet ends in the middle");
      return -1;
    }
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}

/** Parts of a packet, put together once their length is known. Throws RangeError for what can't be written. */
export class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    return this.#number(value, 1, 0xff);
  }

  u16(value: number): this {
    return this.#number(value, 2, 0xffff);
  }

  u32(value: number): this {
    return this.#number(value, 4, 0xffff_ffff);
  }

  varint(value: number): this {
    check(value, VARINT_MAX);
    const bytes: number[] = [];
    do {
      const more = value >= 128;
      bytes.push((value % 128) | (more ? 0x80 : 0));
      value = Math.floor(value / 128);
    } while (value > 0);
    return this.raw(Uint8Array.from(bytes));
  }

  binary(bytes: Uint8Array): this {
    check(bytes.length, LENGTH_MAX);
    return this.u16(bytes.length).raw(bytes);
  }

  text(text: string): this {
    if (text.includes("\0")) throw new RangeError("text with a zero character");
    return this.binary(Buffer.from(text));
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }

  append(other: Writer): this {
    this.#parts.push(...other.#parts);
    this.#length += other.#length;
    return this;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts, this.#length);
  }

  #number(value: number, bytes: 1 | 2 | 4, most: number): this {
    check(value, most);
    const part = Buffer.allocUnsafe(bytes);
    part.writeUIntBE(value, 0, bytes);
    return this.raw(part);
  }
}

function check(value: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${value} is no whole number from 0 to ${most}`);
  }
}
