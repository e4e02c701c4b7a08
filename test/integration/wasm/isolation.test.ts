/** `isolation: request`: no hook finds what another left, whatever it changed, and none is made slower than it has to be. */
import { describe, expect, it } from "vitest";
import { REPLY } from "#pipeline/filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { TestExchange } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { WHOLE_SECTION } from "#wasm/meter/additions.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { fromWasm, hook } from "./plugins.ts";

const REPLIES = `(import "penstock" "reply" (func $r (param i32 i32 i32)))`;
/** Answers 200 plus what it counts. */
const counting = (count: string, fields: string) =>
  hook(
    `(call $r (i32.add (i32.const 200) ${count}) (i32.const 0) (i32.const 0)) (i32.const 1)`,
    `${REPLIES} ${fields}`,
  );

async function statuses(wasm: Uint8Array, isolation: PluginFilterSpec["isolation"]): Promise<(number | undefined)[]> {
  const { filter, services } = await fromWasm(wasm, isolation === undefined ? {} : { isolation });
  const seen = [1, 2, 3].map(() => {
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    return exchange.reply?.status;
  });
  expect(filter.stats.faults).toBe(0);
  filter.dispose();
  expect(services.tenant.guests.taken, "none is lost").toBe(0);
  return seen;
}

const STATES: readonly (readonly [string, Uint8Array, number[]])[] = [
  [
    "a global",
    counting(
      `(call $n)`,
      `(global $g (mut i32) (i32.const 0)) (func $n (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))`,
    ),
    [201, 202, 203],
  ],
  [
    "memory",
    counting(
      `(call $n)`,
      `(func $n (result i32) (i32.store (i32.const 60000) (i32.add (i32.load (i32.const 60000)) (i32.const 1))) (i32.load (i32.const 60000)))`,
    ),
    [201, 202, 203],
  ],
  ["the size of the memory", counting(`(memory.grow (i32.const 1))`, ""), [201, 202, 203]],
  [
    "a table",
    counting(
      `(call $n)`,
      `(table $t 2 funcref) (elem declare func $r)
       (func $n (result i32) (ref.is_null (table.get $t (i32.const 1))) (table.set $t (i32.const 1) (ref.func $r)))`,
    ),
    [201, 200, 200],
  ],
];

describe("what a hook leaves", () => {
  for (const [what, wasm, shared] of STATES) {
    it(`in ${what} is there for the next where guests are shared, and is not where they are not`, async () => {
      expect(await statuses(wasm, undefined)).toEqual(shared);
      expect(await statuses(wasm, "request")).toEqual(Array(3).fill(shared[0]));
    });
  }
});

it("what was made while it was configured stays", async () => {
  const wasm = wat(`(module ${REPLIES} (memory (export "memory") 1) (global $g (mut i64) (i64.const 0))
    (func (export "penstock_abi_1"))
    (func (export "on_configure") (result i32) (global.set $g (i64.const 30)) (i32.store8 (i32.const 9) (i32.const 4)) (i32.const 0))
    (func (export "on_request") (result i32)
      (call $r (i32.add (i32.const 200) (i32.add (i32.wrap_i64 (global.get $g)) (i32.load8_u (i32.const 9)))) (i32.const 0) (i32.const 0))
      (global.set $g (i64.const 0)) (i32.store8 (i32.const 9) (i32.const 0)) (i32.const 1)))`);
  expect(await statuses(wasm, "request")).toEqual([234, 234, 234]);
});

it("globals of every type are kept and put back", () => {
  const types = ["i32", "i64", "f32", "f64"];
  const source = wat(`(module (memory (export "memory") 1) (func (export "penstock_abi_1"))
    ${types.map((type) => `(global $${type} (export "${type}") (mut ${type}) (${type}.const 7))`).join("\n")}
    (global $v (mut v128) (v128.const i64x2 1 2)) (global $f (mut funcref) (ref.null func)) (global i32 (i32.const 3))
    (func $on (export "on_request") (result i32)
      ${types.map((type) => `(global.set $${type} (${type}.const 99))`).join(" ")}
      (global.set $v (v128.const i64x2 5 6)) (global.set $f (ref.func $on)) (i32.const 0))
    (func (export "lane") (result i64) (i64x2.extract_lane 1 (global.get $v)))
    (func (export "null") (result i32) (ref.is_null (global.get $f))))`);
  const module = new WebAssembly.Module(prepareModule(source).bytes);
  expect(WebAssembly.Module.customSections(module, WHOLE_SECTION)).toHaveLength(1);
  const exports = new WebAssembly.Instance(module, {}).exports;
  const call = (name: string, ...args: number[]) => (exports[name] as (...args: number[]) => unknown)(...args);
  const values = () => types.map((type) => Number((exports[type] as WebAssembly.Global).value));
  call("__penstock_refuel", 100_000);
  call("__penstock_save");
  call("on_request");
  expect([values(), call("lane"), call("null")]).toEqual([[99, 99, 99, 99], 6n, 0]);
  call("__penstock_restore");
  expect([values(), call("lane"), call("null")]).toEqual([[7, 7, 7, 7], 2n, 1]);
});
