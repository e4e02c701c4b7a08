/**
 * Value types, limits and constant expressions: the parts of the format that several sections share. What is not
 * listed here (references with a type, GC types, exception references) is refused.
 */
import { type ByteReader, exceeded, refused } from "./reader.ts";

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;

export const KIND_FUNCTION = 0;
export const KIND_MEMORY = 2;
export const KIND_GLOBAL = 3;

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface Limits {
  readonly min: number;
  /** Undefined: none declared. */
  readonly max: number | undefined;
}

export function readValueType(reader: ByteReader): number {
  const offset = reader.at;
  const type = reader.u8();
  if ((type >= V128 && type <= I32) || type === FUNCREF || type === EXTERNREF) return type;
  throw refusedType(offset, type);
}

function refusedType(offset: number, type: number): Error {
  if (type === 0x63 || type === 0x64) return refused(offset, "typed references");
  if (type === 0x69 || type === 0x74) return refused(offset, "exception handling (a reference to an exception)");
  return refused(offset, `GC type 0x${type.toString(16)}`);
}

/** A block's type: empty, one value, or the index of a function type. */
export function skipBlockType(reader: ByteReader): void {
  const offset = reader.at;
  const type = reader.s33();
  if (type >= 0 || type === -0x40) return;
  const byte = type & 0x7f;
  if ((byte >= V128 && byte <= I32) || byte === FUNCREF || byte === EXTERNREF) return;
  throw refusedType(offset, byte);
}

export function readReferenceType(reader: ByteReader): number {
  const offset = reader.at;
  const type = reader.u8();
  if (type === FUNCREF || type === EXTERNREF) return type;
  throw refusedType(offset, type);
}

/** Flags: 1 a maximum follows, 2 shared, 4 64-bit index; 8 custom page size. */
export function readLimits(reader: ByteReader, what: string): Limits {
  const offset = reader.at;
  const flags = reader.u8();
  if ((flags & 2) !== 0) throw refused(offset, `shared ${what}`);
  if ((flags & 4) !== 0) throw refused(offset, `64-bit ${what}`);
  if (flags > 1) throw refused(offset, `${what} limits with flags ${flags}`);
  const min = reader.u32();
  const max = flags === 1 ? reader.u32() : undefined;
  return { min, max };
}

/** Checks a declared minimum, and answers the maximum that the rewritten module declares. */
export function cappedMax(offset: number, what: string, limits: Limits, max: number): number {
  if (limits.min > max) throw exceeded(offset, what, limits.min, max);
  return Math.min(limits.max ?? max, max);
}

/** Passes over a constant expression and its `end`. */
export function skipConstantExpression(reader: ByteReader): void {
  for (;;) {
    const offset = reader.at;
    const opcode = reader.u8();
    switch (opcode) {
      case 0x0b:
        return;
      case 0x41: // i32.const
      case 0x42: // i64.const
        reader.skipInteger();
        break;
      case 0x43: // f32.const
        reader.skip(4);
        break;
      case 0x44: // f64.const
        reader.skip(8);
        break;
      case 0x23: // global.get
      case 0xd2: // ref.func
        reader.u32();
        break;
      case 0xd0: // ref.null
        readReferenceType(reader);
        break;
      case 0x6a: // i32.add, i32.sub, i32.mul
      case 0x6b:
      case 0x6c:
      case 0x7c: // i64.add, i64.sub, i64.mul
      case 0x7d:
      case 0x7e:
        break;
      case 0xfd:
        if (reader.u32() !== 12) throw refused(offset, "a SIMD instruction in a constant expression");
        reader.skip(16); // v128.const
        break;
      case 0xfb:
        throw refused(offset, "GC instructions");
      default:
        throw refused(offset, `opcode 0x${opcode.toString(16)} in a constant expression`);
    }
  }
}
