/** Types → a `.BTF` section. The string section is kept and only appended to, since `.BTF.ext` refers into it by offset. */
import { BTF_HEADER_BYTES } from "./parse.ts";
import type { Btf, BtfType } from "./types.ts";

export function writeBtf(btf: Btf): Buffer {
  const strings = new StringTable(btf.strings);
  const words: number[] = [];
  for (const type of btf.types.slice(1)) writeType(type, strings, words);
  const types = Buffer.alloc(words.length * 4);
  words.forEach((word, index) => types.writeUInt32LE(word >>> 0, index * 4));
  const text = strings.bytes();
  const header = Buffer.alloc(BTF_HEADER_BYTES);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  header.writeUInt32LE(BTF_HEADER_BYTES, 4);
  header.writeUInt32LE(types.length, 12);
  header.writeUInt32LE(types.length, 16);
  header.writeUInt32LE(text.length, 20);
  return Buffer.concat([header, types, text]);
}

/** Offsets of names, found among those that are there and appended where they are not. */
class StringTable {
  readonly #original: Buffer;
  readonly #offsets = new Map<string, number>();
  readonly #appended: Buffer[] = [];
  #length: number;

  constructor(original: Buffer) {
    this.#original = original;
    this.#length = original.length;
    for (let at = 0; at < original.length;) {
      const end = original.indexOf(0, at);
      if (end < 0) break;
      const text = original.toString("latin1", at, end);
      if (!this.#offsets.has(text)) this.#offsets.set(text, at);
      at = end + 1;
    }
    if (!this.#offsets.has("")) this.#append("");
  }

  offset(text: string): number {
    return this.#offsets.get(text) ?? this.#append(text);
  }

  bytes(): Buffer {
    return Buffer.concat([this.#original, ...this.#appended]);
  }

  #append(text: string): number {
    const at = this.#length;
    const bytes = Buffer.from(`${text}\0`, "latin1");
    this.#appended.push(bytes);
    this.#offsets.set(text, at);
    this.#length += bytes.length;
    return at;
  }
}

const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  "data-section": 15,
  float: 16,
  "decl-tag": 17,
  "type-tag": 18,
  enum64: 19,
} as const;

function writeType(type: BtfType, strings: StringTable, words: number[]): void {
  if (type.kind === "void") return;
  const name = "name" in type ? strings.offset(type.name) : 0;
  const head = (count: number, flag: boolean, sizeOrType: number): void => {
    words.push(name, ((flag ? 1 : 0) << 31) | (KIND[type.kind] << 24) | count, sizeOrType);
  };
  switch (type.kind) {
    case "int":
      head(0, false, type.size);
      words.push(
        ((type.signed ? 1 : 0) << 24) |
          ((type.char ? 2 : 0) << 24) |
          ((type.bool ? 4 : 0) << 24) |
          (type.bitOffset << 16) |
          type.bits,
      );
      break;
    case "array":
      head(0, false, 0);
      words.push(type.element, type.index, type.count);
      break;
    case "struct":
    case "union": {
      const fields = type.members.some((member) => member.bits > 0);
      head(type.members.length, fields, type.size);
      for (const m of type.members)
        words.push(strings.offset(m.name), m.type, fields ? (m.bits << 24) | m.bitOffset : m.bitOffset);
      break;
    }
    case "enum":
      head(type.values.length, type.signed, type.size);
      for (const { name: text, value } of type.values) words.push(strings.offset(text), value);
      break;
    case "enum64":
      head(type.values.length, type.signed, type.size);
      for (const { name: text, value } of type.values) {
        words.push(strings.offset(text), Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
      }
      break;
    case "forward":
      head(0, type.union, 0);
      break;
    case "function":
      head(type.linkage, false, type.type);
      break;
    case "prototype":
      head(type.parameters.length, false, type.returns);
      for (const parameter of type.parameters) words.push(strings.offset(parameter.name), parameter.type);
      break;
    case "variable":
      head(0, false, type.type);
      words.push(type.linkage);
      break;
    case "data-section":
      head(type.variables.length, false, type.size);
      for (const variable of type.variables) words.push(variable.type, variable.offset, variable.size);
      break;
    case "float":
      head(0, false, type.size);
      break;
    case "decl-tag":
      head(0, false, type.type);
      words.push(type.component);
      break;
    default:
      head(0, false, type.type);
  }
}
