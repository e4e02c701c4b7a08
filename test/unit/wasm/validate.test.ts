/** What is refused, with its code, byte offset and reason; and both sides of every limit. */
import { describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { wat } from "#test/support/wat.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { DEFAULT_MODULE_LIMITS, type ModuleLimits } from "#wasm/validate/limits.ts";
import { ByteWriter } from "#wasm/meter/writer.ts";
import { meter } from "./metered.ts";

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PenstockError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "accepted";
}

/** A module of one function `() → ()` with this body, which wabt need not know. */
function handMade(body: readonly number[], types: readonly number[] = [1, 0x60, 0, 0]): Uint8Array {
  const out = new ByteWriter();
  out.code(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const section = (id: number, bytes: readonly number[]) => out.code(id, bytes.length, ...bytes);
  section(1, types);
  section(3, [1, 0]);
  section(5, [1, 0, 1]);
  section(10, [1, body.length, ...body]);
  return out.bytes().slice();
}

const REFUSED: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
  ["shared memory", `(module (memory 1 2 shared))`, /REFUSED.*at byte \d+: shared memory/],
  ["64-bit memory", `(module (memory i64 1 2))`, /REFUSED.*at byte \d+: 64-bit memory/],
  ["two memories", `(module (memory 1) (memory 1))`, /REFUSED.*at byte 10: multiple memories/],
  ["imported memory", `(module (import "penstock" "memory" (memory 1)))`, /REFUSED.*only functions/],
  ["imported global", `(module (import "penstock" "g" (global i32)))`, /REFUSED.*only functions/],
  ["imported table", `(module (import "penstock" "t" (table 1 funcref)))`, /REFUSED.*only functions/],
  ["a tag", `(module (tag $t (param i32)))`, /REFUSED.*exception handling \(a tag section\)/],
  [
    "try and catch_all",
    `(module (func (try (do (nop)) (catch_all (nop)))))`,
    /REFUSED.*at byte \d+: exception handling/,
  ],
  ["throw", `(module (tag $t) (func (throw $t)))`, /REFUSED.*exception handling/],
  ["try_table", handMade([0, 0x1f, 0x40, 1, 2, 0, 0x0b, 0x0b]), /REFUSED.*exception handling/],
  ["throw_ref", handMade([0, 0x00, 0x0a, 0x0b]), /REFUSED.*exception handling/],
  ["atomics", `(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))`, /REFUSED.*atomic instructions/],
  ["atomic fence", `(module (func (atomic.fence)))`, /REFUSED.*atomic instructions/],
  ["a GC structure", handMade([0, 0x0b], [2, 0x60, 0, 0, 0x5f, 1, 0x7f, 0]), /REFUSED.*at byte 14: GC types/],
  ["a recursive group", handMade([0, 0x0b], [1, 0x4e, 1, 0x60, 0, 0]), /REFUSED.*GC types/],
  ["a GC instruction", handMade([0, 0x41, 0, 0xfb, 0x1c, 0x1a, 0x0b]), /REFUSED.*at byte \d+: GC instructions/],
  ["a typed reference", handMade([1, 1, 0x63, 0, 0x0b]), /REFUSED.*typed references/],
  ["call_ref", handMade([0, 0x00, 0x14, 0, 0x0b]), /REFUSED.*typed references/],
  ["an i31 reference", handMade([1, 1, 0x6c, 0x0b]), /REFUSED.*GC type 0x6c/],
  ["an exception reference", handMade([1, 1, 0x69, 0x0b]), /REFUSED.*exception handling/],
  [
    "relaxed SIMD",
    handMade([1, 1, 0x7b, 0x20, 0, 0x20, 0, 0xfd, 0x80, 2, 0x1a, 0x0b]),
    /REFUSED.*at byte \d+: relaxed SIMD/,
  ],
  ["a reserved export name", `(module (func (export "__penstock_fuel")))`, /REFUSED.*the name is reserved/],
  ["no WebAssembly", new TextEncoder().encode("hello, world"), /INVALID.*at byte 0: expected/],
  ["nothing", new Uint8Array(), /INVALID/],
  ["a type error", handMade([0, 0x6a, 0x0b]), /INVALID.*at byte 28: .*not enough arguments/],
  ["a component", new Uint8Array([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]), /INVALID.*at byte 4/],
];

describe("refused", () => {
  for (const [name, source, expected] of REFUSED) {
    it(name, () => {
      const bytes = typeof source === "string" ? wat(source) : source;
      expect(refusal(() => meter(bytes))).toMatch(expected);
    });
  }

  it("a module cut anywhere", () => {
    const whole = wat(`(module (memory 1) (func (export "f") (loop (br 0))) (data (i32.const 0) "abc"))`);
    for (let length = 0; length < whole.length; length++) {
      const outcome = refusal(() => meter(whole.subarray(0, length)));
      // Cut between two sections it may be a whole module.
      if (outcome !== "accepted") expect(outcome).toMatch(/^PENSTOCK_WASM_INVALID .*at byte \d+: /);
    }
  });
});

const repeat = (text: string, count: number) => text.repeat(count);

/** A limit, made small, and the module that measures exactly `n`. */
const LIMITS: readonly (readonly [keyof ModuleLimits, number, (n: number) => string])[] = [
  ["functionsMax", 3, (n) => `(module ${repeat("(func)", n)})`],
  ["localsMax", 5, (n) => `(module (func (local ${repeat("i32 i64 ", n).split(" ").slice(0, n).join(" ")})))`],
  ["nestingMax", 4, (n) => `(module (func ${repeat("(block ", n)}${repeat(")", n)}))`],
  ["branchTableMax", 6, (n) => `(module (func (br_table ${repeat("0 ", n + 1)}(i32.const 1))))`],
  ["typesMax", 2, (n) => `(module ${repeat("(type (func)) ", n)})`],
  ["paramsMax", 3, (n) => `(module (type (func (param ${repeat("i32 ", n)}))))`],
  ["paramsMax", 3, (n) => `(module (type (func (result ${repeat("i32 ", n)}))))`],
  ["memoryPagesMax", 3, (n) => `(module (memory ${n}))`],
  ["tableElementsMax", 7, (n) => `(module (table ${n} funcref))`],
  ["tablesMax", 2, (n) => `(module ${repeat("(table 1 funcref) ", n)})`],
  ["importsMax", 2, (n) => `(module ${repeat('(import "penstock" "x" (func)) ', n)})`],
  [
    "exportsMax",
    1,
    (n) =>
      `(module (func) ${[..."ab"]
        .slice(0, n)
        .map((x) => `(export "${x}" (func 0))`)
        .join("")})`,
  ],
  ["globalsMax", 2, (n) => `(module ${repeat("(global i32 (i32.const 0)) ", n)})`],
  ["segmentsMax", 2, (n) => `(module (memory 1) ${repeat('(data (i32.const 0) "a") ', n)})`],
  ["segmentsMax", 2, (n) => `(module (table 1 funcref) (func) ${repeat("(elem (i32.const 0) 0) ", n)})`],
  ["bodyBytesMax", 12, (n) => `(module (func ${repeat("(nop)", n - 2)}))`],
];

describe("both sides of each limit", () => {
  for (const [key, max, source] of LIMITS) {
    it(`${key}: ${source(2)}`, () => {
      const limits = { ...DEFAULT_MODULE_LIMITS, [key]: max };
      expect(refusal(() => meter(wat(source(max)), limits))).toBe("accepted");
      const over = refusal(() => meter(wat(source(max + 1)), limits));
      expect(over).toMatch(new RegExp(`^PENSTOCK_WASM_LIMIT .*at byte \\d+: .* ${max + 1} exceeds ${max}$`));
    });
  }

  it("bytesMax", () => {
    const bytes = wat(`(module)`);
    expect(refusal(() => meter(bytes, { ...DEFAULT_MODULE_LIMITS, bytesMax: 8 }))).toBe("accepted");
    expect(refusal(() => meter(bytes, { ...DEFAULT_MODULE_LIMITS, bytesMax: 7 }))).toMatch(/LIMIT.*8 bytes exceed 7/);
  });
});

const plugin = (fields: string) =>
  `(module ${fields} (memory (export "memory") 1) (func (export "penstock_abi_1")) (func (export "on_request") (result i32) (i32.const 0)))`;

describe("the plugin interface", () => {
  const CASES: readonly (readonly [string, string, RegExp])[] = [
    ["a plugin", plugin(""), /^accepted$/],
    ["an import of another module", plugin(`(import "env" "abort" (func))`), /REFUSED.*unknown import env.abort/],
    ["an unknown host call", plugin(`(import "penstock" "exec" (func))`), /REFUSED.*unknown import penstock.exec/],
    ["a property of Object", plugin(`(import "penstock" "toString" (func))`), /REFUSED.*unknown import/],
    [
      "a host call of another type",
      plugin(`(import "penstock" "status" (func (result i64)))`),
      /REFUSED.*penstock.status has type \(\) → \(i64\), not \(\) → \(i32\)/,
    ],
    ["no memory", `(module (func (export "penstock_abi_1")) (func (export "on_end")))`, /INTERFACE.*no memory/],
    ["no marker", `(module (memory (export "memory") 1) (func (export "on_end")))`, /INTERFACE.*penstock_abi_2 is not/],
    [
      "a later marker",
      `(module (memory (export "memory") 1) (func (export "penstock_abi_3")) (func (export "on_end")))`,
      /INTERFACE.*penstock_abi_3 exported; this gateway knows versions 1 to 2/,
    ],
    [
      "no hook",
      `(module (memory (export "memory") 1) (func (export "penstock_abi_1")) (func (export "on_configure") (result i32) (i32.const 0)))`,
      /INTERFACE.*none of on_request/,
    ],
    [
      "a host call of a later version than the module's",
      plugin(`(import "penstock" "body_size" (func (result i32)))`),
      /REFUSED.*body_size of version 2, in a module of version 1/,
    ],
    ["a hook of another type", plugin(`(func (export "on_end") (param i32))`), /INTERFACE.*on_end is not a function/],
    ["a hook that is no function", plugin(`(global (export "on_end") i32 (i32.const 0))`), /INTERFACE.*on_end is not/],
  ];
  for (const [name, source, expected] of CASES) {
    it(name, () => expect(refusal(() => prepareModule(wat(source)))).toMatch(expected));
  }

  it("tells what the module is", () => {
    const bytes = wat(plugin(`(import "penstock" "status" (func (result i32)))`));
    const prepared = prepareModule(bytes);
    expect(prepared).toMatchObject({
      abi: "penstock 1",
      imports: ["status"],
      hooks: ["on_request"],
      suspends: false,
      memoryPages: { min: 1, max: 16 },
    });
    expect(prepared.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(prepareModule(bytes).digest, "the same bytes, the same digest").toBe(prepared.digest);
    expect(prepared.sourceDigest).not.toBe(prepared.digest);
  });
});
