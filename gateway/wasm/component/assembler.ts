/** Writes the body of a small function. Each method is one instruction. */
import { ByteWriter } from "#wasm/meter/writer.ts";
import { F64, I32 } from "#wasm/validate/types.ts";

export interface Locals {
  readonly i32: number;
  readonly f64: number;
}

export class Assembler {
  readonly #code = new ByteWriter(64);

  get(local: number): this {
    return this.#indexed(0x20, local);
  }

  set(local: number): this {
    return this.#indexed(0x21, local);
  }

  tee(local: number): this {
    return this.#indexed(0x22, local);
  }

  call(index: number): this {
    return this.#indexed(0x10, index);
  }

  i32(value: number): this {
    this.#code.u8(0x41);
    this.#code.s32(value);
    return this;
  }

  /** Up to 32 bits. */
  i64(value: number): this {
    this.#code.u8(0x42);
    this.#code.s32(value);
    return this;
  }

  f64(value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#code.u8(0x44);
    this.#code.raw(bytes);
    return this;
  }

  /** Instructions without an operand. */
  op(...opcodes: number[]): this {
    this.#code.code(...opcodes);
    return this;
  }

  store8(offset: number): this {
    return this.#memory(0x3a, offset);
  }

  store32(offset: number): this {
    return this.#memory(0x36, offset);
  }

  store64(offset: number): this {
    return this.#memory(0x37, offset);
  }

  load8(offset: number): this {
    return this.#memory(0x2d, offset);
  }

  /** Locals beyond the parameters, the code, and its end. */
  body({ i32, f64 }: Locals): ByteWriter {
    const out = new ByteWriter(this.#code.length + 16);
    out.u32(2);
    out.u32(i32);
    out.u8(I32);
    out.u32(f64);
    out.u8(F64);
    out.raw(this.#code.bytes());
    out.u8(END);
    return out;
  }

  #indexed(opcode: number, index: number): this {
    this.#code.u8(opcode);
    this.#code.u32(index);
    return this;
  }

  /** Aligned to bytes: what a component hands over is only what it says. */
  #memory(opcode: number, offset: number): this {
    this.#code.code(opcode, 0);
    this.#code.u32(offset);
    return this;
  }
}

export const UNREACHABLE = 0x00;
/** `block` and `loop` and `if` without a value: followed by 0x40. */
export const BLOCK = 0x02;
export const LOOP = 0x03;
export const IF = 0x04;
export const EMPTY = 0x40;
export const END = 0x0b;
export const BR = 0x0c;
export const BR_IF = 0x0d;
export const RETURN = 0x0f;
export const DROP = 0x1a;
export const SELECT = 0x1b;
export const I32_EQZ = 0x45;
export const I32_EQ = 0x46;
export const I32_NE = 0x47;
export const I32_LT_S = 0x48;
export const I32_GT_U = 0x4b;
export const I32_ADD = 0x6a;
export const I32_SUB = 0x6b;
export const I32_WRAP_I64 = 0xa7;
export const I64_TRUNC_F64_S = 0xb0;
export const I32_TRUNC_F64_S = 0xaa;
export const F64_CONVERT_I64_S = 0xb9;
export const F64_SUB = 0xa1;
export const F64_MUL = 0xa2;
export const F64_DIV = 0xa3;
