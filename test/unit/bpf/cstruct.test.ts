import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CStruct, CUnion, type CFields } from "#bpf/public/cstruct.ts";

/** Fields in our words, and the same in C. */
const LAYOUTS: readonly (readonly [string, CFields, string])[] = [
  ["padding", { a: "uint8", b: "uint32", c: "uint16" }, "uint8_t a; uint32_t b; uint16_t c;"],
  ["64 bits", { a: "uint8", b: "int64", c: "uint8" }, "uint8_t a; int64_t b; uint8_t c;"],
  [
    "arrays",
    { a: "uint8[3]", b: "uint16[2]", c: "char[5]", d: "double" },
    "uint8_t a[3]; uint16_t b[2]; char c[5]; double d;",
  ],
  ["bits", { a: "uint8:3", b: "uint8:5", c: "uint8:1" }, "uint8_t a : 3, b : 5, c : 1;"],
  ["bits that do not fit", { a: "uint8:6", b: "uint8:4", c: "uint16:9" }, "uint8_t a : 6, b : 4; uint16_t c : 9;"],
  [
    "bits of words",
    { a: "uint32:1", b: "int32:20", c: "uint32:15", d: "uint8" },
    "uint32_t a : 1; int32_t b : 20; uint32_t c : 15; uint8_t d;",
  ],
  ["bits behind bytes", { a: "uint8", b: "uint32:20", c: "uint32:10" }, "uint8_t a; uint32_t b : 20, c : 10;"],
  [
    "nested",
    { a: "uint8", b: CStruct({ x: "uint16", y: "uint64" }), c: "bool" },
    "uint8_t a; struct { uint16_t x; uint64_t y; } b; bool c;",
  ],
  [
    "arrays of structures",
    { a: "uint8", b: [CStruct({ x: "uint8", y: "uint16" }), 3] },
    "uint8_t a; struct { uint8_t x; uint16_t y; } b[3];",
  ],
  [
    "union",
    { a: "uint8", b: CUnion({ x: "uint32", y: "uint8[6]" }) },
    "uint8_t a; union { uint32_t x; uint8_t y[6]; } b;",
  ],
  ["pointer", { a: "uint8", b: "pointer", c: "float" }, "uint8_t a; void *b; float c;"],
];

/** What the C compiler makes of it; null where there is none. */
function compiled(): number[] | null {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "cstruct-"));
  try {
    const structs = LAYOUTS.map(([, , c], i) => `struct s${i} { ${c} };`).join("\n");
    const prints = LAYOUTS.map((_, i) => `printf("%zu ", sizeof(struct s${i}));`).join("\n");
    const source = `#include <stdbool.h>\n#include <stdint.h>\n#include <stdio.h>\n${structs}\nint main(void) { ${prints} }`;
    fs.writeFileSync(path.join(folder, "sizes.c"), source);
    execFileSync("gcc", ["-o", path.join(folder, "sizes"), path.join(folder, "sizes.c")], { stdio: "pipe" });
    return execFileSync(path.join(folder, "sizes"), { encoding: "utf8" }).trim().split(" ").map(Number);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

describe("CStruct", () => {
  const sizes = compiled();
  it.skipIf(sizes === null)("is as large as the C compiler's (skipped: no gcc)", () => {
    expect(LAYOUTS.map(([, fields]) => CStruct(fields).size)).toEqual(sizes);
  });

  it.each([
    ["network order", { port: "be16", rest: "le16" }, { port: 443, rest: 443 }, "01bbbb01"],
    ["signed", { a: "int8", b: "int16" }, { a: -1, b: -2 }, "ff00feff"],
    ["64 bits", { a: "uint64" }, { a: 0x0102030405060708n }, "0807060504030201"],
    ["text", { a: "char[4]" }, { a: "ab" }, "61620000"],
    ["bits", { a: "uint8:3", b: "uint8:5" }, { a: 5, b: 17 }, "8d"],
    ["signed bits", { a: "int8:4", b: "int8:4" }, { a: -1, b: 7 }, "7f"],
    ["an address", { a: "uint8[4]" }, { a: [10, 0, 0, 1] }, "0a000001"],
    ["truth", { a: "bool", b: "bool" }, { a: true, b: false }, "0100"],
  ] as const)("%s", (_name, fields, value, hex) => {
    const layout = CStruct(fields);
    expect(layout.encode(value).toString("hex")).toBe(hex);
    expect(layout.decode(Buffer.from(hex, "hex"))).toEqual(value);
  });

  it("is big-endian all through, or packed, when told", () => {
    const big = CStruct({ a: "uint16", b: "uint32", c: "le16" }, { endian: "big", packed: true });
    expect(big.size).toBe(8);
    expect(big.encode({ a: 1, b: 2, c: 3 }).toString("hex")).toBe("0001000000020300");
  });

  it("shows every view of a union, and takes one", () => {
    const either = CUnion({ word: "uint32", bytes: "uint8[4]" });
    expect(either.decode(either.encode({ bytes: [1, 0, 0, 1] }))).toEqual({ word: 0x01000001, bytes: [1, 0, 0, 1] });
    expect(() => either.encode({ word: 1, bytes: [1] })).toThrow(/one of its views/);
  });

  it.each([
    [{ a: "uint9" }, {}, /a: no type "uint9"/],
    [{ a: "uint8:9" }, {}, /a: 9 of 8 bits/],
    [{ a: "float:3" }, {}, /a: bit-fields/],
    [{ a: "uint8" }, { a: 256 }, /a: 256 does not fit 8 bits/],
    [{ a: "uint8" }, { a: 1.5 }, /a: a whole number/],
    [{ a: "uint8:2" }, { a: 4 }, /a: 4 does not fit 2 bits/],
    [{ a: "char[2]" }, { a: "abc" }, /a: 3 bytes of text for 2/],
    [{ a: "uint8[2]" }, { a: [1, 2, 3] }, /a: 3 elements for 2/],
    [{ a: "uint8[2]" }, { a: [1, -1] }, /a\[1\]: -1 does not fit/],
    [{ a: CStruct({ b: "bool" }) }, { a: { b: 1 } }, /a\.b: true or false/],
    [{ a: "uint8" }, { z: 1 }, /z: no such field/],
  ] as const)("refuses %j with %j", (fields, value, words) => {
    expect(() => CStruct(fields).encode(value)).toThrow(words);
  });

  it("needs as many bytes as it has", () => {
    expect(() => CStruct({ a: "uint32" }).decode(Buffer.alloc(3))).toThrow(/3 bytes for a structure of 4/);
  });

  it("gives back what it was given", () => {
    const layout = CStruct({
      a: "int16",
      bits: "uint32:11",
      more: "int32:13",
      b: "be64",
      c: [CStruct({ x: "uint8", y: "le32" }), 2],
    });
    const point = fc.record({ x: fc.integer({ min: 0, max: 255 }), y: fc.integer({ min: 0, max: 0xffff_ffff }) });
    const value = fc.record({
      a: fc.integer({ min: -32_768, max: 32_767 }),
      bits: fc.integer({ min: 0, max: 2047 }),
      more: fc.integer({ min: -4096, max: 4095 }),
      b: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      c: fc.array(point, { minLength: 2, maxLength: 2 }),
    });
    fc.assert(
      fc.property(value, (each) => {
        expect(layout.decode(layout.encode(each))).toEqual(each);
      }),
    );
  });
});
