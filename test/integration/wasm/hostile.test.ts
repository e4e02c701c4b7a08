/**
 * Modules made to do harm. Each is refused with a reason, or its request is answered by `onFault` within 30 ms, the fault
 * counted, and the next request served by a fresh guest.
 */
import { describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { TestExchange, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { BREAKER_FAULTS, BREAKER_OPEN_MS } from "#wasm/filter/breaker.ts";
import type { ByteWriter } from "#wasm/meter/writer.ts";
import { fromWasm, hook, hookOfBytes } from "./plugins.ts";

/** The import's text, its call's arguments filled in by the test. */
const imports = {
  header_get: `(import "penstock" "header_get" (func $h (param i32 i32 i32 i32) (result i32)))`,
  header_set: `(import "penstock" "header_set" (func $h (param i32 i32 i32 i32) (result i32)))`,
  name_id: `(import "penstock" "name_id" (func $h (param i32 i32) (result i32)))`,
  request_part: `(import "penstock" "request_part" (func $h (param i32 i32 i32) (result i32)))`,
  config_get: `(import "penstock" "config_get" (func $h (param i32 i32 i32 i32) (result i32)))`,
  log: `(import "penstock" "log" (func $h (param i32 i32 i32)))`,
  reply: `(import "penstock" "reply" (func $h (param i32 i32 i32)))`,
  map_get: `(import "penstock" "map_get" (func $h (param i32 i32 i32 i32 i32) (result i32)))`,
  random_bytes: `(import "penstock" "random_bytes" (func $h (param i32 i32)))`,
  set_status: `(import "penstock" "set_status" (func $h (param i32) (result i32)))`,
};

const call = (...args: number[]) => `(call $h ${args.map((value) => `(i32.const ${value})`).join(" ")})`;
const dropped = (...args: number[]) => `(drop ${call(...args)}) (i32.const 0)`;
const PAGE = 65_536;

const FAULTS: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
  ["for (;;) {}", hook(`(loop (br 0)) (unreachable)`), "fuel", /used up/],
  ["a loop that only calls", hook(`(loop (call $n) (br 0)) (unreachable)`, `(func $n)`), "fuel", /used up/],
  ["endless tail calls", hook(`(return_call $n)`, `(func $n (result i32) (return_call $n))`), "fuel", /used up/],
  [
    "a huge fill, again and again",
    hook(`(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const ${PAGE})) (br 0)) (unreachable)`),
    "fuel",
    /used up/,
  ],
  [
    "division in a loop",
    hook(`(local i64) (loop (local.set 0 (i64.div_u (i64.const -1) (i64.const 3))) (br 0)) (unreachable)`),
    "fuel",
    /used up/,
  ],
  [
    "a host call in a loop",
    hook(`(loop (drop ${call(0, 1, 0, 0)}) (br 0)) (unreachable)`, imports.header_get),
    "fuel",
    /used up/,
  ],
  ["logging in a loop", hook(`(loop ${call(1, 0, 4000)} (br 0)) (unreachable)`, imports.log), "fuel", /used up/],
  [
    "random bytes in a loop",
    hook(`(loop ${call(0, 256)} (br 0)) (unreachable)`, imports.random_bytes),
    "fuel",
    /used up/,
  ],
  [
    "the costliest bulk operation again and again",
    hook(
      `(loop (table.fill (i32.const 0) (ref.null func) (i32.const 5000)) (br 0)) (unreachable)`,
      `(table 5000 funcref)`,
    ),
    "fuel",
    /used up/,
  ],
  [
    "bad names again and again",
    hook(`(loop (drop ${call(0, 200)}) (br 0)) (unreachable)`, imports.name_id),
    "fuel",
    /used up/,
  ],
  [
    "unknown keys again and again",
    hook(`(loop (drop ${call(0, 200, 0, 0)}) (br 0)) (unreachable)`, imports.config_get),
    "fuel",
    /used up/,
  ],
  [
    "text again and again",
    hook(`(loop (drop ${call(5, 0, 100)}) (br 0)) (unreachable)`, imports.request_part),
    "fuel",
    /used up/,
  ],
  [
    "large replies again and again",
    hook(`(loop ${call(200, 0, 65_536)} (br 0)) (unreachable)`, imports.reply),
    "fuel",
    /used up/,
  ],
  ["growing without end", hook(`(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)`), "fuel", /used up/],
  [
    "growing until it is refused",
    hook(`(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable))) (i32.const 0)`),
    "memory",
    /more than 1048576 bytes/,
  ],
  [
    "deep recursion",
    hook(
      `(call $f (i32.const 0))`,
      `(func $f (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))`,
    ),
    "stack|fuel",
    /./,
  ],
  ["a trap", hook(`(unreachable)`), "trap", /unreachable/],
  ["division by zero", hook(`(i32.div_s (i32.const 1) (i32.const 0))`), "trap", /divide by zero/],
  ["a load outside its memory", hook(`(i32.load (i32.const -4))`), "trap", /out of bounds/],
  ["an answer that means nothing", hook(`(i32.const 7)`), "host-call", /answered 7/],
  ["REPLY without a reply", hook(`(i32.const 1)`), "host-call", /without a reply/],
  [
    "a name that starts outside",
    hook(dropped(PAGE, 1), imports.name_id),
    "host-call",
    /65536 \+ 1, outside the memory/,
  ],
  ["a name that ends outside", hook(dropped(PAGE - 4, 5), imports.name_id), "host-call", /outside the memory/],
  ["a negative pointer", hook(dropped(0, 1, -1, 5), imports.header_set), "host-call", /4294967295 \+ 5, outside/],
  ["a negative length", hook(dropped(0, 1, 5, -1), imports.header_set), "host-call", /5 \+ 4294967295, outside/],
  ["a huge name", hook(dropped(0, 60_000), imports.name_id), "host-call", /60000 bytes, more than 256/],
  [
    "a huge reply",
    hook(`${call(200, 0, PAGE + 1)} (i32.const 1)`, imports.reply),
    "host-call",
    /65537 bytes, more than/,
  ],
  ["a reply of status 100", hook(`${call(100, 0, 0)} (i32.const 1)`, imports.reply), "host-call", /status 100/],
  ["the method to outside", hook(dropped(0, -1, 100), imports.request_part), "host-call", /outside the memory/],
  ["an unknown part", hook(dropped(99, 0, 100), imports.request_part), "host-call", /unknown part 99/],
  ["a key of configuration from outside", hook(dropped(PAGE, 5, 0, 0), imports.config_get), "host-call", /outside/],
  ["an unknown head", hook(dropped(2, 1, 0, 0), imports.header_get), "host-call", /head 2/],
  ["the response before there is one", hook(dropped(1, 1, 0, 0), imports.header_get), "host-call", /head 1/],
  ["a map it never opened", hook(dropped(0, 0, 16, 0, 8), imports.map_get), "host-call", /unknown handle 0/],
  ["a negative handle", hook(dropped(-1, 0, 16, 0, 8), imports.map_get), "host-call", /unknown handle -1/],
  ["a status before there is a response", hook(dropped(200), imports.set_status), "host-call", /can't be changed/],
  ["an unknown level", hook(`${call(4, 0, 0)} (i32.const 0)`, imports.log), "host-call", /unknown level 4/],
  [
    "going on after a refused call",
    hook(`(drop ${call(2, 1, 0, 0)}) (loop (br 0)) (unreachable)`, imports.header_get),
    "host-call",
    /head 2/,
  ],
];

function hugeBranchTable(body: ByteWriter): void {
  body.code(0, 0x41, 0, 0x41, 0, 0x0e); // no locals, i32.const 0, i32.const 0, br_table
  body.u32(10_001);
  for (let label = 0; label <= 10_001; label++) body.u8(0);
  body.u8(0x0b);
}

function deepNesting(body: ByteWriter): void {
  body.u8(0);
  for (let depth = 0; depth < 1001; depth++) body.code(0x02, 0x40);
  for (let depth = 0; depth < 1001; depth++) body.u8(0x0b);
  body.code(0x41, 0, 0x0b);
}

function largeBody(body: ByteWriter): void {
  body.u8(0);
  for (let count = 0; count < 262_144; count++) body.u8(0x01);
  body.code(0x41, 0, 0x0b);
}

/** In CPU time of this thread, so that others on the machine do not count. */
describe("answered by onFault in time, and counted", () => {
  for (const [name, wasm, cause, detail] of FAULTS) {
    it(name, async () => {
      const { filter } = await fromWasm(wasm);
      const exchange = new TestExchange();
      // Its fuel is what bounds its time: within 30 ms on a machine that does nothing else.
      expect(filter.requestHead(exchange, 0)).toBe(REPLY);
      expect(exchange.reply).toMatchObject({ status: 503 });
      expect(filter.stats.lastFault?.cause).toMatch(new RegExp(`^(${cause})$`));
      expect(filter.stats.lastFault?.detail).toMatch(detail);
      expect(filter.stats).toMatchObject({ calls: 1, faults: 1 });
      // A fresh guest for the next request, which does the same again.
      expect(filter.requestHead(new TestExchange(), 0)).toBe(REPLY);
      expect(filter.stats).toMatchObject({ calls: 2, faults: 2 });
    });
  }

  it("tells the byte of the uploaded module", async () => {
    const wasm = hook(`(nop) (nop) (loop (nop) (unreachable))(i32.const 0)`);
    const { filter, services } = await fromWasm(wasm);
    filter.requestHead(new TestExchange(), 0);
    const offset = filter.stats.lastFault?.offset ?? -1;
    expect(wasm[offset], "the opcode of unreachable").toBe(0);
    expect(wasm.subarray(offset - 4, offset)).toEqual(Uint8Array.from([1, 3, 0x40, 1])); // nop, loop, nop
    expect(services.logs.at(-1)).toBe(`warn sample@1 trap: unreachable at byte ${offset} of the module`);
  });
});

describe("onFault", () => {
  const outcome = async (onFault: PluginFilterSpec["onFault"]) => {
    const { filter } = await fromWasm(hook(`(unreachable)`), { onFault });
    const exchange = new TestExchange();
    return [filter.requestHead(exchange, 0), exchange.reply?.status];
  };
  it("deny", async () => expect(await outcome("deny")).toEqual([REPLY, 503]));
  it("allow", async () => expect(await outcome("allow")).toEqual([CONTINUE, undefined]));
  it("skip", async () => expect(await outcome("skip")).toEqual([CONTINUE, undefined]));
});

describe("the breaker", () => {
  it("rests a plugin that keeps faulting, tries it again, and waits longer each time", async () => {
    const { filter, services } = await fromWasm(hook(`(unreachable)`));
    const request = () => filter.requestHead(new TestExchange(), 0);
    for (let count = 0; count < BREAKER_FAULTS; count++) request();
    expect(filter.stats).toMatchObject({ calls: BREAKER_FAULTS, skipped: 0 });
    expect([request(), request()], "still answered").toEqual([REPLY, REPLY]);
    expect(filter.stats).toMatchObject({ calls: BREAKER_FAULTS, skipped: 2 });
    services.clockMs += BREAKER_OPEN_MS;
    request();
    request();
    expect(filter.stats, "one trial").toMatchObject({ calls: BREAKER_FAULTS + 1, skipped: 3 });
    services.clockMs += BREAKER_OPEN_MS;
    request();
    expect(filter.stats, "twice as long").toMatchObject({ calls: BREAKER_FAULTS + 1, skipped: 4 });
    services.clockMs += BREAKER_OPEN_MS;
    request();
    expect(filter.stats).toMatchObject({ calls: BREAKER_FAULTS + 2 });
    expect(services.logs.some((line) => line.endsWith("too many faults, it rests"))).toBe(true);
  });

  it("does not mind faults that are far apart", async () => {
    const { filter, services } = await fromWasm(hook(`(unreachable)`));
    for (let count = 0; count < 3 * BREAKER_FAULTS; count++) {
      filter.requestHead(new TestExchange(), 0);
      services.clockMs += 11_000;
    }
    expect(filter.stats).toMatchObject({ calls: 3 * BREAKER_FAULTS, skipped: 0 });
  });
});

describe("refused before it runs", () => {
  const refusal = (wasm: Uint8Array) => {
    try {
      prepareModule(wasm);
      return "accepted";
    } catch (error) {
      if (error instanceof PenstockError) return error.message;
      throw error;
    }
  };

  const CASES: readonly (readonly [string, () => Uint8Array, RegExp])[] = [
    [
      "a foreign import",
      () => hook(`(i32.const 0)`, `(import "wasi_snapshot_preview1" "fd_write" (func))`),
      /unknown import wasi/,
    ],
    ["a huge br_table", () => hookOfBytes(hugeBranchTable), /targets of a br_table 10001 exceeds 10000/],
    ["deep nesting", () => hookOfBytes(deepNesting), /nested blocks 1001 exceeds 1000/],
    [
      "a function with too many locals",
      () => hook(`(local ${"i64 ".repeat(1001)}) (i32.const 0)`),
      /locals of a function 1001/,
    ],
    [
      "a try to catch its end",
      () => hook(`(try (result i32) (do (unreachable)) (catch_all (i32.const 0)))`),
      /exception handling/,
    ],
    [
      "more memory than the quota from the start",
      () => hook(`(i32.const 0)`, "", `(memory (export "memory") 17)`),
      /pages of memory 17 exceeds 16/,
    ],
    ["a function body too large", () => hookOfBytes(largeBody), /bytes of a function body 262148 exceeds 262144/],
  ];
  for (const [name, wasm, reason] of CASES) it(name, () => expect(refusal(wasm())).toMatch(reason));
});

describe("what it does while it is configured", () => {
  const configured = async (body: string, spec: Partial<PluginFilterSpec> = {}, fields = "") => {
    const wasm = wat(`(module ${fields} (memory (export "memory") 2) (func (export "penstock_abi_1"))
      (func (export "on_request") (result i32) (i32.const 0)) (func (export "on_configure") (result i32) ${body}))`);
    return fromWasm(wasm, spec).then(
      () => "accepted",
      (error: unknown) => (error instanceof PenstockError ? `${error.code} ${error.message}` : String(error)),
    );
  };

  it("may refuse", async () => expect(await configured(`(i32.const 3)`)).toMatch(/CONFIGURE.*answered 3/));
  it("may not loop", async () => expect(await configured(`(loop (br 0)) (unreachable)`)).toMatch(/CONFIGURE.*fuel/));
  it("may not trap", async () => expect(await configured(`(unreachable)`)).toMatch(/CONFIGURE.*trap/));
  it("may not recurse for ever", async () => {
    expect(await configured(`(call $f)`, {}, `(func $f (result i32) (drop (call $f)) (i32.const 1))`)).toMatch(
      /CONFIGURE.*stack/,
    );
  });
  it("may not touch a request", async () => {
    expect(await configured(dropped(0, 1, 0, 0), {}, imports.header_get)).toMatch(/CONFIGURE.*head 0 at a time/);
  });
  it("may not have more memory than the route grants", async () => {
    const limits = { fuel: 1000, memoryBytes: PAGE, deadlineMs: 10 };
    expect(await configured(`(i32.const 0)`, { limits })).toMatch(/LIMIT.*131072 bytes.*grants 65536/);
  });
  it("may not loop in its start function", async () => {
    expect(await configured(`(i32.const 0)`, {}, `(start $s) (func $s (loop (br 0)))`)).toMatch(/CONFIGURE.*fuel/);
  });
});

describe("permissions", () => {
  /** A module that answers with the handle it gets as its status of reply. */
  const opener = (what: string, name: string) =>
    wat(`(module (import "penstock" "${what}" (func $o (param i32 i32) (result i32)))
      (import "penstock" "reply" (func $r (param i32 i32 i32)))
      (memory (export "memory") 1) (data (i32.const 0) "${name}") (func (export "penstock_abi_1"))
      (func (export "on_request") (result i32)
        (call $r (i32.add (i32.const 300) (call $o (i32.const 0) (i32.const ${name.length}))) (i32.const 0) (i32.const 0)) (i32.const 1)))`);
  const handle = async (what: string, name: string, allow: PluginFilterSpec["allow"]) => {
    const { filter } = await fromWasm(opener(what, name), { allow });
    const exchange = new TestExchange();
    filter.requestHead(exchange, 0);
    return (exchange.reply?.status ?? 0) - 300;
  };
  it("are denied by default", async () => {
    expect(await handle("map_open", "blocklist", { maps: [], upstreams: [] })).toBe(-1);
    expect(await handle("upstream_open", "api", { maps: [], upstreams: [] })).toBe(-1);
  });
  it("are by name, through the snapshot's indices", async () => {
    expect(await handle("map_open", "failures", { maps: [0], upstreams: [] })).toBe(-1);
    expect(await handle("map_open", "failures", { maps: [0, 1], upstreams: [] })).toBe(0);
    expect(await handle("upstream_open", "auth", { maps: [], upstreams: [0] })).toBe(-1);
    expect(await handle("upstream_open", "auth", { maps: [], upstreams: [1] })).toBe(0);
  });
});

it("keeps a log budget, and counts what is over it", async () => {
  const services = new TestServices();
  const wasm = hook(`${call(1, 0, 1)} (i32.const 0)`, imports.log);
  const { filter } = await fromWasm(wasm, {}, services);
  for (let count = 0; count < 200; count++) filter.requestHead(new TestExchange(), 0);
  expect(services.logs.length, "as many as in two seconds").toBe(40);
  services.clockMs += 1000;
  filter.requestHead(new TestExchange(), 0);
  expect(services.logs.length).toBe(41);
});
