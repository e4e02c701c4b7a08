/**
 * The `.BTF` section → types. Every reference is checked, so that what comes out can be walked without checks. Total:
 * damaged input is a PENSTOCK_BPF_OBJECT error with the offset.
 */
import { Reader } from "#bpf/elf/reader.ts";
import { Btf, VOID, type BtfType } from "./types.ts";

const MAGIC = 0xeb9f;
export const BTF_HEADER_BYTES = 24;
/** As the kernel: BTF_MAX_TYPE. */
const TYPES_MAX = 0x000f_ffff;

interface Input {
  readonly types: Reader;
  readonly strings: Reader;
}

interface Header {
  readonly at: number;
  readonly name: string;
  readonly count: number;
  readonly flag: boolean;
  /** Size in bytes, or the id of a type, as the kind has it. */
  readonly sizeOrType: number;
}

export function parseBtf(section: Reader): Btf {
  if (section.u16(0) !== MAGIC) throw section.error(0, "no BTF");
  if (section.u8(2) !== 1) throw section.error(2, `version ${section.u8(2)} is not known`);
  const header = section.u32(4);
  const types = section.slice(header + section.u32(8), section.u32(12), "types");
  const strings = section.slice(header + section.u32(16), section.u32(20), "strings");
  const input = {
    types: new Reader(types, `${section.place} types`),
    strings: new Reader(strings, `${section.place} strings`),
  };
  const parsed = parseTypes(input);
  checkReferences(parsed, input.types);
  return new Btf(parsed, strings);
}

function parseTypes(input: Input): BtfType[] {
  const parsed: BtfType[] = [VOID];
  for (let at = 0; at < input.types.length;) {
    if (parsed.length > TYPES_MAX) throw input.types.error(at, "too many types");
    const info = input.types.u32(at + 4);
    const header = {
      at: at + 12,
      name: input.strings.string(input.types.u32(at)),
      count: info & 0xffff,
      flag: info >>> 31 === 1,
      sizeOrType: input.types.u32(at + 8),
    };
    const kind = (info >>> 24) & 31;
    parsed.push(parseType(kind, header, input));
    at += 12 + tailBytes(kind, header.count);
  }
  return parsed;
}

/** BTF_KIND_*: bytes that follow the common header of 12. */
function tailBytes(kind: number, count: number): number {
  switch (kind) {
    case 1:
    case 14:
    case 17:
      return 4;
    case 3:
      return 12;
    case 4:
    case 5:
    case 15:
    case 19:
      return 12 * count;
    case 6:
    case 13:
      return 8 * count;
    default:
      return 0;
  }
}

const QUALIFIERS = { 8: "typedef", 9: "volatile", 10: "const", 11: "restrict", 18: "type-tag" } as const;

function parseType(kind: number, header: Header, { types, strings }: Input): BtfType {
  const { at, name, count, flag, sizeOrType } = header;
  const each = <T>(size: number, read: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => read(at + i * size));
  switch (kind) {
    case 1:
      return parseInt32(header, types);
    case 2:
      return { kind: "pointer", type: sizeOrType };
    case 3:
      return { kind: "array", element: types.u32(at), index: types.u32(at + 4), count: types.u32(at + 8) };
    case 4:
    case 5:
      return {
        kind: kind === 4 ? "struct" : "union",
        name,
        size: sizeOrType,
        members: each(12, (m) => ({
          name: strings.string(types.u32(m)),
          type: types.u32(m + 4),
          bitOffset: flag ? types.u32(m + 8) & 0xff_ffff : types.u32(m + 8),
          bits: flag ? types.u32(m + 8) >>> 24 : 0,
        })),
      };
    case 6:
      return {
        kind: "enum",
        name,
        size: sizeOrType,
        signed: flag,
        values: each(8, (v) => ({
          name: strings.string(types.u32(v)),
          value: flag ? types.i32(v + 4) : types.u32(v + 4),
        })),
      };
    case 7:
      return { kind: "forward", name, union: flag };
    case 8:
    case 9:
    case 10:
    case 11:
    case 18:
      return { kind: QUALIFIERS[kind], name, type: sizeOrType };
    case 12:
      // The count field holds the linkage here.
      return { kind: "function", name, type: sizeOrType, linkage: count };
    case 13:
      return {
        kind: "prototype",
        returns: sizeOrType,
        parameters: each(8, (p) => ({ name: strings.string(types.u32(p)), type: types.u32(p + 4) })),
      };
    case 14:
      return { kind: "variable", name, type: sizeOrType, linkage: types.u32(at) };
    case 15:
      return {
        kind: "data-section",
        name,
        size: sizeOrType,
        variables: each(12, (v) => ({ type: types.u32(v), offset: types.u32(v + 4), size: types.u32(v + 8) })),
      };
    case 16:
      return { kind: "float", name, size: sizeOrType };
    case 17:
      return { kind: "decl-tag", name, type: sizeOrType, component: types.i32(at) };
    case 19:
      return {
        kind: "enum64",
        name,
        size: sizeOrType,
        signed: flag,
        values: each(12, (v) => parseEnum64(v, flag, strings, types)),
      };
    default:
      throw types.error(at - 12, `kind ${kind} is not known`);
  }
}

function parseInt32({ at, name, sizeOrType }: Header, types: Reader): BtfType {
  const data = types.u32(at);
  if (![1, 2, 4, 8, 16].includes(sizeOrType)) throw types.error(at - 4, `an integer of ${sizeOrType} bytes`);
  const encoding = (data >>> 24) & 15;
  const bits = data & 0xff;
  const bitOffset = (data >>> 16) & 0xff;
  if (bits === 0 || bits + bitOffset > sizeOrType * 8)
    throw types.error(at, `${bits} bits at ${bitOffset} of ${sizeOrType} bytes`);
  return {
    kind: "int",
    name,
    size: sizeOrType,
    signed: (encoding & 1) !== 0,
    char: (encoding & 2) !== 0,
    bool: (encoding & 4) !== 0,
    bits,
    bitOffset,
  };
}

function parseEnum64(at: number, signed: boolean, strings: Reader, types: Reader): { name: string; value: bigint } {
  const value = (BigInt(types.u32(at + 8)) << 32n) | BigInt(types.u32(at + 4));
  return { name: strings.string(types.u32(at)), value: signed ? BigInt.asIntN(64, value) : value };
}

/** Ids named by each type must exist; the walkers rely on it. */
function checkReferences(types: readonly BtfType[], place: Reader): void {
  types.forEach((type, id) => {
    for (const reference of references(type)) {
      if (reference >= types.length)
        throw place.error(0, `type ${id} (${type.kind}) names type ${reference} of ${types.length}`);
    }
  });
}

function references(type: BtfType): readonly number[] {
  switch (type.kind) {
    case "array":
      return [type.element, type.index];
    case "struct":
    case "union":
      return type.members.map((member) => member.type);
    case "prototype":
      return [type.returns, ...type.parameters.map((parameter) => parameter.type)];
    case "data-section":
      return type.variables.map((variable) => variable.type);
    default:
      return "type" in type ? [type.type] : [];
  }
}
