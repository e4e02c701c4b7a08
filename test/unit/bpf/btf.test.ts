import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { Reader } from "#bpf/elf/reader.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { decodeValue, encodeValue, type BtfValue } from "#bpf/btf/codec.ts";
import { parseBtf } from "#bpf/btf/parse.ts";
import { Btf, VOID, type BtfType } from "#bpf/btf/types.ts";
import { writeBtf } from "#bpf/btf/write.ts";

const ROOT = path.join(import.meta.dirname, "../../..");
const OBJECTS = ["bpf/obj/steer.o", "bpf/obj/firewall.o", "test/support/bpf/obj/loader.o"];

function btfOf(...types: BtfType[]): Btf {
  return new Btf([VOID, ...types], Buffer.from("\0"));
}

const int = (size: number, signed = false): BtfType => ({
  kind: "int",
  name: "int",
  size,
  signed,
  char: false,
  bool: false,
  bits: size * 8,
  bitOffset: 0,
});

it.each(OBJECTS)("types of %s come back from bytes as they were", (object) => {
  const { btf } = readSpec(fs.readFileSync(path.join(ROOT, object)));
  if (btf === null) throw new Error("no types");
  const again = parseBtf(new Reader(writeBtf(btf), "again"));
  expect(again.types).toEqual(btf.types);
  expect(again.strings.subarray(0, btf.strings.length).equals(btf.strings)).toBe(true);
});

it("every kind comes back from bytes as it was", () => {
  const every = btfOf(
    int(4),
    { kind: "pointer", type: 1 },
    { kind: "array", element: 1, index: 1, count: 3 },
    { kind: "struct", name: "s", size: 8, members: [{ name: "a", type: 1, bitOffset: 0, bits: 3 }] },
    { kind: "union", name: "u", size: 4, members: [{ name: "b", type: 1, bitOffset: 0, bits: 0 }] },
    { kind: "enum", name: "e", size: 4, signed: true, values: [{ name: "NEG", value: -1 }] },
    { kind: "forward", name: "f", union: true },
    ...(["typedef", "volatile", "const", "restrict", "type-tag"] as const).map((kind) => ({
      kind,
      name: kind,
      type: 1,
    })),
    { kind: "prototype", returns: 1, parameters: [{ name: "p", type: 2 }] },
    { kind: "function", name: "fn", type: 13, linkage: 1 },
    { kind: "variable", name: "v", type: 1, linkage: 1 },
    { kind: "data-section", name: ".data", size: 4, variables: [{ type: 15, offset: 0, size: 4 }] },
    { kind: "float", name: "double", size: 8 },
    { kind: "decl-tag", name: "tag", type: 4, component: -1 },
    { kind: "enum64", name: "big", size: 8, signed: false, values: [{ name: "MAX", value: 2n ** 64n - 1n }] },
  );
  expect(parseBtf(new Reader(writeBtf(every), "every")).types).toEqual(every.types);
});

describe("values", () => {
  it.each<[string, Btf, number, BtfValue, string]>([
    ["u16", btfOf(int(2)), 1, 0x1234, "3412"],
    ["s32", btfOf(int(4, true)), 1, -2, "feffffff"],
    ["u64", btfOf(int(8)), 1, 2n ** 64n - 1n, "ffffffffffffffff"],
    ["s128", btfOf(int(16, true)), 1, -1n, "ff".repeat(16)],
    ["pointer", btfOf({ kind: "pointer", type: 0 }), 1, 5n, "0500000000000000"],
    ["float", btfOf({ kind: "float", name: "float", size: 4 }), 1, 1.5, "0000c03f"],
    ["array", btfOf(int(1), { kind: "array", element: 1, index: 1, count: 3 }), 2, [1, 2, 3], "010203"],
    [
      "text",
      btfOf({ ...int(1), name: "char" } as BtfType, { kind: "array", element: 1, index: 1, count: 4 }),
      2,
      "ab",
      "61620000",
    ],
    [
      "enum",
      btfOf({ kind: "enum", name: "e", size: 4, signed: true, values: [{ name: "NEG", value: -1 }] }),
      1,
      "NEG",
      "ffffffff",
    ],
    [
      "bit-fields across bytes",
      btfOf(int(4), {
        kind: "struct",
        name: "s",
        size: 4,
        members: [
          { name: "a", type: 1, bitOffset: 0, bits: 3 },
          { name: "b", type: 1, bitOffset: 3, bits: 13 },
        ],
      }),
      2,
      { a: 5, b: 0x1fff },
      "fdff0000",
    ],
    [
      "unnamed members",
      btfOf(
        int(1),
        { kind: "struct", name: "", size: 1, members: [{ name: "x", type: 1, bitOffset: 0, bits: 0 }] },
        {
          kind: "struct",
          name: "s",
          size: 2,
          members: [
            { name: "a", type: 1, bitOffset: 0, bits: 0 },
            { name: "", type: 2, bitOffset: 8, bits: 0 },
          ],
        },
      ),
      3,
      { a: 1, x: 2 },
      "0102",
    ],
  ])("%s", (_what, btf, type, value, hex) => {
    expect(encodeValue(btf, type, value).toString("hex")).toBe(hex);
    expect(decodeValue(btf, type, Buffer.from(hex, "hex"))).toEqual(value);
  });

  it("of every size and sign come back", () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 4, 8), fc.boolean(), fc.bigInt(0n, 2n ** 64n - 1n), (size, signed, raw) => {
        const btf = btfOf(int(size, signed));
        const value = signed ? BigInt.asIntN(size * 8, raw) : BigInt.asUintN(size * 8, raw);
        expect(BigInt(decodeValue(btf, 1, encodeValue(btf, 1, value)) as bigint)).toBe(value);
      }),
    );
  });

  const thing = btfOf(
    int(4),
    {
      kind: "struct",
      name: "s",
      size: 4,
      members: [{ name: "a", type: 1, bitOffset: 0, bits: 0 }],
    },
    {
      kind: "union",
      name: "u",
      size: 4,
      members: [
        { name: "x", type: 1, bitOffset: 0, bits: 0 },
        { name: "y", type: 1, bitOffset: 0, bits: 0 },
      ],
    },
  );

  it.each<[BtfValue, number, RegExp]>([
    [{ b: 1 }, 2, /has no field "b"/],
    [{ a: -1 }, 2, /a: -1 does not fit 32 bits/],
    [{ a: 2 ** 32 }, 2, /does not fit 32 bits/],
    [{ a: 1.5 }, 2, /a is no integer/],
    [{ a: "x" }, 2, /a is no integer/],
    [5, 2, /the value is no object/],
    [{ x: 1, y: 2 }, 3, /give one of its views/],
  ])("refuses %j for type %i", (value, type, message) => {
    expect(() => encodeValue(thing, type, value)).toThrow(message);
  });

  it("of too few bytes, and types within themselves, are refused", () => {
    expect(() => decodeValue(thing, 2, Buffer.alloc(3))).toThrow(/3 bytes for a type of 4/);
    const endless = btfOf({
      kind: "struct",
      name: "s",
      size: 4,
      members: [{ name: "s", type: 1, bitOffset: 0, bits: 0 }],
    });
    expect(() => decodeValue(endless, 1, Buffer.alloc(4))).toThrow(/nested too deep/);
    const loop = btfOf({ kind: "typedef", name: "a", type: 2 }, { kind: "typedef", name: "b", type: 1 });
    expect(loop.resolve(1)).toBe(0);
    const array = btfOf({ kind: "array", element: 1, index: 0, count: 2 });
    expect(array.sizeOf(1)).toBe(0);
  });
});
