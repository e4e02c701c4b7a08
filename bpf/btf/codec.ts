/**
 * Values of BTF types as plain JavaScript, both ways:
 *
 *     integers up to 4 bytes  number          longer ones      bigint (a number is taken too)
 *     bool                    boolean         float, double    number
 *     enum                    its name, or the number where it has none
 *     char[n]                 text up to the first NUL (an array of numbers is taken too)
 *     other arrays            array           pointer          bigint
 *     struct                  object; unnamed members' fields stand among its own
 *     union                   object with every view; to encode, one of them
 *
 * What is absent encodes as zero bytes: padding and all. Little-endian, as the machines we run on.
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { Btf, BtfMember, BtfType } from "./types.ts";

export type BtfValue =
  | number
  | bigint
  | boolean
  | string
  | null
  | readonly BtfValue[]
  | { readonly [field: string]: BtfValue };

/** The nesting a value may have; types that contain themselves by value exist only in damaged files. */
const DEPTH_MAX = 32;

export function decodeValue(btf: Btf, type: number, bytes: Uint8Array): BtfValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = btf.sizeOf(type);
  if (buffer.length < size) throw mismatch(`${buffer.length} bytes for a type of ${size}`);
  return decode(btf, type, buffer, 0, 0);
}

export function encodeValue(btf: Btf, type: number, value: BtfValue): Buffer {
  const bytes = Buffer.alloc(btf.sizeOf(type));
  encode(btf, type, value, bytes, 0, "", 0);
  return bytes;
}

function mismatch(detail: string): Error {
  return bpfError("PENSTOCK_BPF_TYPES", { detail });
}

type Int = Extract<BtfType, { kind: "int" }>;

function isText(btf: Btf, type: BtfType): boolean {
  if (type.kind !== "array") return false;
  const element = btf.resolved(type.element);
  return element.kind === "int" && element.size === 1 && (element.char || element.name === "char");
}

function decode(btf: Btf, id: number, bytes: Buffer, at: number, depth: number): BtfValue {
  if (depth > DEPTH_MAX) throw mismatch("types nested too deep");
  const type = btf.resolved(id);
  switch (type.kind) {
    case "int":
      return decodeInt(type, bitsAt(bytes, at * 8 + type.bitOffset, type.bits), type.bits);
    case "pointer":
      return bytes.readBigUInt64LE(at);
    case "float":
      return type.size === 4 ? bytes.readFloatLE(at) : bytes.readDoubleLE(at);
    case "enum":
    case "enum64":
      return enumName(type, bitsAt(bytes, at * 8, type.size * 8));
    case "array": {
      const size = btf.sizeOf(type.element);
      if (isText(btf, type)) {
        const end = bytes.indexOf(0, at);
        return bytes.toString("latin1", at, end < 0 || end > at + type.count ? at + type.count : end);
      }
      return Array.from({ length: type.count }, (_, i) => decode(btf, type.element, bytes, at + i * size, depth + 1));
    }
    case "struct":
    case "union": {
      const fields: Record<string, BtfValue> = {};
      for (const member of type.members) {
        const value = decodeMember(btf, member, bytes, at, depth);
        if (member.name === "" && typeof value === "object" && value !== null) Object.assign(fields, value);
        else fields[member.name] = value;
      }
      return fields;
    }
    default:
      return null;
  }
}

function decodeMember(btf: Btf, member: BtfMember, bytes: Buffer, at: number, depth: number): BtfValue {
  if (member.bits === 0) return decode(btf, member.type, bytes, at + (member.bitOffset >> 3), depth + 1);
  const type = btf.resolved(member.type);
  const raw = bitsAt(bytes, at * 8 + member.bitOffset, member.bits);
  if (type.kind === "enum" || type.kind === "enum64") return enumName(type, raw);
  return type.kind === "int" ? decodeInt(type, raw, member.bits) : null;
}

function decodeInt(type: Int, raw: bigint, bits: number): BtfValue {
  if (type.bool) return raw !== 0n;
  const value = type.signed ? BigInt.asIntN(bits, raw) : raw;
  return type.size <= 4 ? Number(value) : value;
}

function enumName(type: Extract<BtfType, { kind: "enum" | "enum64" }>, raw: bigint): BtfValue {
  const value = type.signed ? BigInt.asIntN(type.size * 8, raw) : raw;
  for (const each of type.values) if (BigInt(each.value) === value) return each.name;
  return type.kind === "enum64" ? value : Number(value);
}

/** `count` bits from bit `from` on, least significant first. */
function bitsAt(bytes: Buffer, from: number, count: number): bigint {
  let value = 0n;
  const first = from >> 3;
  const last = (from + count - 1) >> 3;
  if (last >= bytes.length) throw mismatch(`bits ${from}–${from + count - 1} of ${bytes.length} bytes`);
  for (let i = last; i >= first; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return BigInt.asUintN(count, value >> BigInt(from & 7));
}

function putBits(bytes: Buffer, from: number, count: number, value: bigint): void {
  for (let i = 0; i < count; i++) {
    const bit = from + i;
    const index = bit >> 3;
    const mask = 1 << (bit & 7);
    const old = bytes[index] as number;
    bytes[index] = ((value >> BigInt(i)) & 1n) === 1n ? old | mask : old & ~mask;
  }
}

function encode(btf: Btf, id: number, value: BtfValue, bytes: Buffer, at: number, path: string, depth: number): void {
  if (depth > DEPTH_MAX) throw mismatch("types nested too deep");
  const type = btf.resolved(id);
  switch (type.kind) {
    case "int":
      putInteger(bytes, at * 8 + type.bitOffset, type.bits, integer(value, path), type.signed, path);
      return;
    case "pointer":
      putInteger(bytes, at * 8, 64, integer(value, path), false, path);
      return;
    case "float":
      if (typeof value !== "number") throw mismatch(`${place(path)} is no number`);
      if (type.size === 4) bytes.writeFloatLE(value, at);
      else bytes.writeDoubleLE(value, at);
      return;
    case "enum":
    case "enum64":
      putInteger(bytes, at * 8, type.size * 8, enumValue(type, value, path), type.signed, path);
      return;
    case "array":
      encodeArray(btf, type, value, bytes, at, path, depth);
      return;
    case "struct":
    case "union":
      encodeFields(btf, type, value, bytes, at, path, depth);
      return;
    default:
      throw mismatch(`${place(path)} has a type without values (${type.kind})`);
  }
}

type ArrayType = Extract<BtfType, { kind: "array" }>;

function encodeArray(
  btf: Btf,
  type: ArrayType,
  value: BtfValue,
  bytes: Buffer,
  at: number,
  path: string,
  depth: number,
): void {
  if (typeof value === "string" && isText(btf, type)) {
    if (Buffer.byteLength(value, "latin1") > type.count)
      throw mismatch(`${place(path)} is longer than ${type.count} bytes`);
    bytes.write(value, at, "latin1");
    return;
  }
  if (!Array.isArray(value)) throw mismatch(`${place(path)} is no array`);
  if (value.length > type.count) throw mismatch(`${place(path)} has ${value.length} elements, ${type.count} fit`);
  const size = btf.sizeOf(type.element);
  value.forEach((each: BtfValue, i) =>
    encode(btf, type.element, each, bytes, at + i * size, `${path}[${i}]`, depth + 1),
  );
}

type Fields = Extract<BtfType, { kind: "struct" | "union" }>;

function encodeFields(
  btf: Btf,
  type: Fields,
  value: BtfValue,
  bytes: Buffer,
  at: number,
  path: string,
  depth: number,
): void {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw mismatch(`${place(path)} is no object`);
  const fields = value as { readonly [field: string]: BtfValue };
  const named = fieldNames(btf, type, 0);
  const given = Object.keys(fields);
  for (const name of given) if (!named.has(name)) throw mismatch(`${place(path)} has no field ${JSON.stringify(name)}`);
  if (type.kind === "union" && type.members.filter((m) => m.name !== "" && m.name in fields).length > 1) {
    throw mismatch(`${place(path)} is a union: give one of its views`);
  }
  for (const member of type.members) {
    const where = at + (member.bitOffset >> 3);
    if (member.name === "") {
      const inner = btf.resolved(member.type);
      if (inner.kind !== "struct" && inner.kind !== "union") continue;
      const own = fieldNames(btf, inner, 0);
      const picked = Object.fromEntries(Object.entries(fields).filter(([name]) => own.has(name)));
      if (Object.keys(picked).length > 0) encodeFields(btf, inner, picked, bytes, where, path, depth + 1);
      continue;
    }
    const field = fields[member.name];
    if (field === undefined) continue;
    const here = path === "" ? member.name : `${path}.${member.name}`;
    if (member.bits === 0) encode(btf, member.type, field, bytes, where, here, depth + 1);
    else encodeBitField(btf, member, field, bytes, at, here);
  }
}

function encodeBitField(btf: Btf, member: BtfMember, value: BtfValue, bytes: Buffer, at: number, path: string): void {
  const type = btf.resolved(member.type);
  const isEnum = type.kind === "enum" || type.kind === "enum64";
  const number = isEnum ? enumValue(type, value, path) : integer(value, path);
  const signed = (isEnum || type.kind === "int") && type.signed;
  putInteger(bytes, at * 8 + member.bitOffset, member.bits, number, signed, path);
}

function fieldNames(btf: Btf, type: Fields, depth: number): Set<string> {
  const names = new Set<string>();
  for (const member of type.members) {
    if (member.name !== "") {
      names.add(member.name);
      continue;
    }
    const inner = btf.resolved(member.type);
    if (depth > DEPTH_MAX || (inner.kind !== "struct" && inner.kind !== "union")) continue;
    for (const name of fieldNames(btf, inner, depth + 1)) names.add(name);
  }
  return names;
}

function enumValue(type: Extract<BtfType, { kind: "enum" | "enum64" }>, value: BtfValue, path: string): bigint {
  if (typeof value !== "string") return integer(value, path);
  const found = type.values.find((each) => each.name === value);
  if (found === undefined) throw mismatch(`${place(path)}: ${type.name} has no ${JSON.stringify(value)}`);
  return BigInt(found.value);
}

function integer(value: BtfValue, path: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  throw mismatch(`${place(path)} is no integer`);
}

function putInteger(bytes: Buffer, from: number, bits: number, value: bigint, signed: boolean, path: string): void {
  const fits = signed ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value;
  if (!fits) throw mismatch(`${place(path)}: ${value} does not fit ${bits} bits`);
  const raw = BigInt.asUintN(bits, value);
  if ((from & 7) === 0 && bits === 64) bytes.writeBigUInt64LE(raw, from >> 3);
  else if ((from & 7) === 0 && bits <= 48 && (bits & 7) === 0) bytes.writeUIntLE(Number(raw), from >> 3, bits >> 3);
  else putBits(bytes, from, bits, raw);
}

function place(path: string): string {
  return path === "" ? "the value" : path;
}
