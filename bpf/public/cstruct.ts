/**
 * C structures described in a script, encoded and decoded: socket options, netlink bodies, records of programs without
 * types. Where an object file has BTF, its maps and globals need none of this.
 *
 *     const Endpoint = CStruct({ address: "uint8[4]", port: "be16", flags: "uint8:3", weight: "uint8:5", name: "char[16]" })
 *     Endpoint.size                                       // 24: laid out as a C compiler does, padding and all
 *     Endpoint.decode(Endpoint.encode({ port: 443 }))     // what is absent is zero
 *
 * Field types:
 *
 *     int8 … int64, uint8 … uint64    this machine's order (little-endian); 64 bits are a bigint (a number is taken too)
 *     le16 … be64                     unsigned, in that order whatever the machine's
 *     float, double, bool, pointer
 *     TYPE[N], [TYPE, N]              an array; char[N] is text up to the first NUL
 *     TYPE:BITS                       a bit-field, lowest bits first, as gcc and clang lay them out on little-endian machines
 *     another CStruct or CUnion       nested
 *
 * Throws PENSTOCK_BPF_TYPES for descriptions and values that do not fit, naming the field.
 */
import { bpfError } from "#core/errors/bpf.ts";

export type CValue = number | bigint | boolean | string | readonly CValue[] | { readonly [field: string]: CValue };
export type CType = string | CLayout | readonly [CType, number];
export type CFields = Readonly<Record<string, CType>>;

export interface CStructOptions {
  /** No padding (`__attribute__((packed))`). */
  readonly packed?: boolean;
  /** Of the plain integer types: for wire formats that are in network order all through. */
  readonly endian?: "little" | "big";
}

interface Codec {
  readonly size: number;
  readonly align: number;
  read(bytes: Buffer, at: number): CValue;
  write(bytes: Buffer, at: number, value: CValue, path: string): void;
}

interface Field {
  readonly name: string;
  readonly codec: Codec;
  readonly offset: number;
}

export class CLayout {
  readonly size: number;
  readonly align: number;
  readonly #fields: readonly Field[];
  readonly #union: boolean;

  constructor(fields: CFields, union: boolean, { packed = false, endian = "little" }: CStructOptions) {
    this.#union = union;
    const laid: Field[] = [];
    let [end, align] = [0, 1];
    let bits = 0;
    for (const [name, type] of Object.entries(fields)) {
      const { codec, width } = codecOf(type, endian, name);
      const fieldAlign = packed ? 1 : codec.align;
      if (width !== null) {
        if (packed) throw bad(name, "bit-fields of packed structures have no one layout");
        // A bit-field shares its unit with the ones before it, and begins a new one when it does not fit.
        const unit = codec.size * 8;
        const from = union ? 0 : bits === 0 ? end * 8 : bits;
        const start =
          from % unit === 0 || Math.floor(from / unit) === Math.floor((from + width - 1) / unit)
            ? from
            : roundUp(from, unit);
        const offset = Math.floor(start / unit) * codec.size;
        laid.push({ name, codec: bitField(codec, start - offset * 8, width), offset });
        bits = start + width;
        end = Math.max(end, Math.ceil(bits / 8));
        if (union) end = Math.max(end, codec.size);
      } else {
        const offset = union ? 0 : roundUp(end, fieldAlign);
        laid.push({ name, codec, offset });
        end = Math.max(end, offset + codec.size);
        bits = 0;
      }
      align = Math.max(align, fieldAlign);
    }
    this.align = align;
    this.size = roundUp(end, align);
    this.#fields = laid;
  }

  /** Bytes from the beginning to a field; of a bit-field, to its unit. */
  offsetOf(name: string): number {
    const field = this.#fields.find((each) => each.name === name);
    if (field === undefined) throw bad(name, "no such field");
    return field.offset;
  }

  /** A union takes one of its views. */
  encode(value: { readonly [field: string]: CValue }): Buffer {
    const bytes = Buffer.alloc(this.size);
    this.write(bytes, 0, value, "");
    return bytes;
  }

  decode(bytes: Uint8Array): { [field: string]: CValue } {
    if (bytes.length < this.size) throw bad("", `${bytes.length} bytes for a structure of ${this.size}`);
    return this.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  }

  read(bytes: Buffer, at: number): { [field: string]: CValue } {
    return Object.fromEntries(this.#fields.map(({ name, codec, offset }) => [name, codec.read(bytes, at + offset)]));
  }

  write(bytes: Buffer, at: number, value: CValue, path: string): void {
    if (typeof value !== "object" || Array.isArray(value)) throw bad(path, "a structure is an object");
    const given = Object.entries(value);
    if (this.#union && given.length > 1) throw bad(path, "a union takes one of its views");
    for (const [name, each] of given) {
      const field = this.#fields.find((one) => one.name === name);
      if (field === undefined) throw bad(join(path, name), "no such field");
      field.codec.write(bytes, at + field.offset, each, join(path, name));
    }
  }
}

export function CStruct(fields: CFields, options: CStructOptions = {}): CLayout {
  return new CLayout(fields, false, options);
}

/** All fields begin at the beginning. */
export function CUnion(fields: CFields, options: CStructOptions = {}): CLayout {
  return new CLayout(fields, true, options);
}

function bad(field: string, detail: string): Error {
  return bpfError("PENSTOCK_BPF_TYPES", { detail: field === "" ? detail : `${field}: ${detail}` });
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

type Endian = "little" | "big";

function codecOf(type: CType, endian: Endian, name: string): { readonly codec: Codec; readonly width: number | null } {
  if (type instanceof CLayout) return { codec: type, width: null };
  if (typeof type !== "string")
    return { codec: array(codecOf(type[0], endian, name).codec, type[1], name), width: null };
  const [, base = "", , count, , width] = /^(\w+)(\[(\d+)\])?(:(\d+))?$/.exec(type) ?? [];
  if (base === "char" && count !== undefined) return { codec: chars(Number(count)), width: null };
  const codec = scalar(base, endian);
  if (codec === null) throw bad(name, `no type ${JSON.stringify(type)}`);
  if (count !== undefined && width !== undefined) throw bad(name, "an array has no width");
  if (width === undefined)
    return { codec: count === undefined ? codec : array(codec, Number(count), name), width: null };
  const bits = Number(width);
  if (!/^u?int/.test(base) || endian === "big") throw bad(name, "bit-fields are of plain little-endian integers");
  if (bits < 1 || bits > codec.size * 8) throw bad(name, `${bits} of ${codec.size * 8} bits`);
  return { codec, width: bits };
}

function scalar(base: string, endian: Endian): Codec | null {
  const [, kind = "", size] = /^(int|uint|le|be)(8|16|32|64)$/.exec(base) ?? [];
  if (size !== undefined) {
    const big = kind === "be" || (endian === "big" && kind !== "le");
    return integer(Number(size) / 8, kind === "int", big);
  }
  if (base === "char") return integer(1, true, false);
  if (base === "pointer") return integer(8, false, false);
  if (base === "bool") {
    return {
      ...integer(1, false, false),
      read: (bytes, at) => bytes[at] !== 0,
      write: (bytes, at, value, path) => {
        if (typeof value !== "boolean") throw bad(path, "true or false");
        bytes[at] = value ? 1 : 0;
      },
    };
  }
  return base === "float" || base === "double" ? real(base === "float" ? 4 : 8, endian) : null;
}

function integer(size: number, signed: boolean, big: boolean): Codec {
  const bits = size * 8;
  return {
    size,
    align: size,
    read: (bytes, at) => {
      const raw = readBits(bytes, at, size, big);
      const value = signed ? BigInt.asIntN(bits, raw) : raw;
      return size === 8 ? value : Number(value);
    },
    write: (bytes, at, value, path) => {
      const whole = wholeNumber(value, path);
      const [min, max] = signed
        ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n]
        : [0n, (1n << BigInt(bits)) - 1n];
      if (whole < min || whole > max) throw bad(path, `${whole} does not fit ${bits} bits`);
      writeBits(bytes, at, size, big, BigInt.asUintN(bits, whole));
    },
  };
}

function wholeNumber(value: CValue, path: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw bad(path, "a whole number");
  return BigInt(value);
}

function readBits(bytes: Buffer, at: number, size: number, big: boolean): bigint {
  let raw = 0n;
  for (let i = 0; i < size; i++) raw = (raw << 8n) | BigInt(bytes[big ? at + i : at + size - 1 - i] ?? 0);
  return raw;
}

function writeBits(bytes: Buffer, at: number, size: number, big: boolean, raw: bigint): void {
  for (let i = 0; i < size; i++) bytes[big ? at + size - 1 - i : at + i] = Number((raw >> BigInt(8 * i)) & 0xffn);
}

function bitField(unit: Codec, shift: number, width: number): Codec {
  const mask = (1n << BigInt(width)) - 1n;
  // Whether the unit is signed shows in how it reads all ones.
  const signed = Number(unit.read(Buffer.alloc(unit.size, 0xff), 0)) < 0;
  return {
    size: unit.size,
    align: unit.align,
    read: (bytes, at) => {
      const raw = (readBits(bytes, at, unit.size, false) >> BigInt(shift)) & mask;
      const value = signed ? BigInt.asIntN(width, raw) : raw;
      return unit.size === 8 ? value : Number(value);
    },
    write: (bytes, at, value, path) => {
      const whole = wholeNumber(value, path);
      const fits = signed ? BigInt.asIntN(width, whole) === whole : BigInt.asUintN(width, whole) === whole;
      if (!fits) throw bad(path, `${whole} does not fit ${width} bits`);
      const before = readBits(bytes, at, unit.size, false) & ~(mask << BigInt(shift));
      writeBits(bytes, at, unit.size, false, before | ((whole & mask) << BigInt(shift)));
    },
  };
}

function real(size: 4 | 8, endian: Endian): Codec {
  const view = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = endian === "little";
  return {
    size,
    align: size,
    read: (bytes, at) => (size === 4 ? view(bytes).getFloat32(at, little) : view(bytes).getFloat64(at, little)),
    write: (bytes, at, value, path) => {
      if (typeof value !== "number") throw bad(path, "a number");
      if (size === 4) view(bytes).setFloat32(at, value, little);
      else view(bytes).setFloat64(at, value, little);
    },
  };
}

function chars(count: number): Codec {
  return {
    size: count,
    align: 1,
    read: (bytes, at) => {
      const end = bytes.indexOf(0, at);
      return bytes.toString("utf8", at, end < 0 || end > at + count ? at + count : end);
    },
    write: (bytes, at, value, path) => {
      if (typeof value !== "string") throw bad(path, "text");
      const encoded = Buffer.from(value, "utf8");
      if (encoded.length > count) throw bad(path, `${encoded.length} bytes of text for ${count}`);
      encoded.copy(bytes, at);
    },
  };
}

function array(element: Codec, count: number, name: string): Codec {
  if (!Number.isInteger(count) || count < 0) throw bad(name, `an array of ${count}`);
  return {
    size: element.size * count,
    align: element.align,
    read: (bytes, at) => Array.from({ length: count }, (_, i) => element.read(bytes, at + i * element.size)),
    write: (bytes, at, value, path) => {
      const items = value instanceof Uint8Array ? Array.from(value) : value;
      if (!Array.isArray(items)) throw bad(path, "a list");
      if (items.length > count) throw bad(path, `${items.length} elements for ${count}`);
      items.forEach((each: CValue, i) => element.write(bytes, at + i * element.size, each, `${path}[${i}]`));
    },
  };
}
