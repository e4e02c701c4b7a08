import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ComponentBuilder } from "#test/support/components.ts";
import { wat } from "#test/support/wat.ts";
import { PenstockError } from "#core/errors.ts";
import { ABI_FUNCTIONS, ABI_HOOKS, type AbiFunction } from "#sdk/types/abi.ts";
import { linkComponent } from "#wasm/component/link.ts";
import { WORLD, WORLD_HOOKS } from "#wasm/component/world.ts";
import { encodeOffsets, NOWHERE, sourceOffset, throughOrigins } from "#wasm/meter/offsets.ts";
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";

const link = (component: ComponentBuilder) => linkComponent(component.bytes(), DEFAULT_MODULE_LIMITS).module;

function refusal(component: ComponentBuilder | Uint8Array): string {
  try {
    prepareModule(component instanceof ComponentBuilder ? component.bytes() : component);
  } catch (error) {
    if (error instanceof PenstockError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "accepted";
}

/** A core module with a request hook, and whatever else. */
const hooked = (fields = "", body = "(i32.const 0)") =>
  wat(`(module ${fields} (memory (export "memory") 1) (func (export "on-request") (result i32) ${body}))`);

/** Of one core module that imports nothing. */
const simple = (core = hooked()) =>
  new ComponentBuilder().module(core).instantiate(0).coreAlias(0, "on-request").lift(0).exportFunction("on-request", 0);

/** Every kind of index that code and segments can hold, in modules that share memory, tables and globals. */
const BASE = wat(`(module
  (type $unused (func (param f64 f64)))
  (memory (export "memory") 1)
  (table (export "table") 8 funcref)
  (table $own (export "own") 4 funcref)
  (global $g (export "counter") (mut i32) (i32.const 5))
  (global (export "base") i32 (i32.const 16))
  (func $first (export "first") (result i32) (i32.const 11))
  (func $second (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))
  (elem (table $own) (i32.const 1) func $second $first)
  (data (i32.const 0) "\\01\\02\\03\\04"))`);
const MIDDLE = wat(
  `(module
  (type $pair (func (param i32) (result i32 i32)))
  (type $plain (func (result i32)))
  (import "base" "first" (func $first (result i32)))
  (import "base" "memory" (memory 1))
  (import "base" "own" (table $own 4 funcref))
  (import "base" "table" (table $table 8 funcref))
  (import "base" "counter" (global $counter (mut i32)))
  (import "base" "base" (global $base i32))
  (table $mine 6 funcref)
  (global $there i32 (i32.add (global.get $base) (i32.const 4)))
  (func $seven (result i32) (i32.const 7))
  (func $own (export "middle") (result i32)
    (table.init $table $passive (i32.const 2) (i32.const 0) (i32.const 2))
    (elem.drop $passive)
    (table.copy $mine $table (i32.const 1) (i32.const 2) (i32.const 2))
    (table.set $mine (i32.const 0) (ref.func $seven))
    (memory.init $data (global.get $there) (i32.const 1) (i32.const 2))
    (data.drop $data)
    (memory.copy (i32.const 40) (i32.const 0) (i32.const 4))
    (memory.fill (i32.const 50) (i32.const 3) (i32.const 2))
    (i32.add (table.size $mine) (i32.mul (i32.const 100)
      (i32.add (call_indirect $own (type $plain) (i32.const 1))
      (i32.add (call_indirect $mine (type $plain) (i32.const 0))
      (i32.add (call_indirect $mine (type $plain) (i32.const 1))
      (i32.add (call_indirect $table (type $plain) (i32.const 5))
      (i32.add (call $first) (i32.add (i32.load8_u offset=20 (i32.const 0)) (i32.load (i32.const 40)))))))))))
  (func (export "blocks") (result i32)
    (block (param i32) (result i32 i32) (i32.add (global.get $there)) (i32.const 2)) (i32.mul)
    (if (param i32) (result i32) (i32.const 1) (then (return_call $seven)) (else)))
  (elem $passive func $seven $first)
  (elem $expressions (table $table) (i32.const 5) funcref (ref.func $seven) (ref.null func))
  (elem declare func $seven)
  (data $data "abc")
  (data (global.get $there) "zz")
  (start $begin)
  (func $begin (global.set $counter (i32.mul (global.get $counter) (i32.const 3)))))`.replace(
    "(block (param i32)",
    "(i32.const 1) (block (param i32)",
  ),
);
const LAST = wat(`(module
  (import "middle" "middle" (func $middle (result i32)))
  (import "middle" "blocks" (func $blocks (result i32)))
  (import "base" "counter" (global $counter (mut i32)))
  (import "base" "memory" (memory 1))
  (func (export "on-request") (result i32)
    (i32.add (call $middle) (i32.add (call $blocks) (i32.add (global.get $counter) (i32.load8_u (i32.const 51))))))
  (start $begin)
  (func $begin (global.set $counter (i32.add (global.get $counter) (i32.const 1)))))`);

describe("core modules of a component, joined", () => {
  it("do what the engine does when it links them", () => {
    const component = new ComponentBuilder()
      .module(BASE)
      .module(MIDDLE)
      .module(LAST)
      .instantiate(0)
      .instantiate(1, { base: 0 })
      .instantiate(2, { base: 0, middle: 1 })
      .coreAlias(2, "on-request")
      .lift(0)
      .exportFunction("on-request", 0);
    const instance = (bytes: Uint8Array, imports: Record<string, WebAssembly.ModuleImports>) =>
      new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports;
    const base = instance(BASE, {});
    const middle = instance(MIDDLE, { base });
    const { "on-request": expected } = instance(LAST, { base, middle });
    const { on_request: joined } = instance(link(component), {});
    const results = [expected, joined].map((run) => [1, 2].map(() => outcome(run as () => number)));
    expect(results[1]).toEqual(results[0]);
    expect(results[0]?.[0]).toBeTypeOf("number");
  });

  it("two instances of one module are two", () => {
    const core = wat(`(module (global $n (mut i32) (i32.const 0))
      (func (export "count") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))`);
    const last = wat(`(module (import "a" "count" (func $a (result i32))) (import "b" "count" (func $b (result i32)))
      (memory (export "memory") 1)
      (func (export "on-request") (result i32)
        (drop (call $a)) (i32.add (i32.mul (call $a) (i32.const 10)) (call $b))))`);
    const component = new ComponentBuilder()
      .module(core)
      .module(last)
      .instantiate(0)
      .instantiate(0)
      .instantiate(1, { a: 0, b: 1 })
      .coreAlias(2, "on-request")
      .lift(0)
      .exportFunction("on-request", 0);
    const { on_request: run } = new WebAssembly.Instance(new WebAssembly.Module(link(component))).exports;
    expect((run as () => number)()).toBe(21);
  });
});

function outcome(run: () => number): number | string {
  try {
    return run();
  } catch (error) {
    return String(error);
  }
}

describe("the world", () => {
  it("has every host call and hook of the core interface but those for names, which it makes itself", () => {
    const called = Object.values(WORLD).flatMap((rows) => Object.values(rows).map(({ call }) => call));
    expect([...new Set([...called, "name_id"])].toSorted()).toEqual(Object.keys(ABI_FUNCTIONS).toSorted());
    expect(Object.values(WORLD_HOOKS)).toEqual(Object.keys(ABI_HOOKS));
  });

  it("hands over as many values as each host call takes", () => {
    const taken = { option: 0, list: 2, "some list": 2, part: 1, "some part": 1, filled: 1, digest: 1, record: 1 };
    const widths = { i32: 1, i64: 1, f64: 1, bytes: 2, name: 1, "20 bytes": 1 };
    for (const [from, rows] of Object.entries(WORLD)) {
      for (const [name, { call, params, answer }] of Object.entries(rows)) {
        const own = params.reduce((sum, param) => sum + widths[param], 0);
        const more = (taken as Record<string, number>)[answer] ?? 0;
        const row: AbiFunction = ABI_FUNCTIONS[call];
        expect([from, name, own + more]).toEqual([from, name, row.params.length]);
      }
    }
  });
});

/** One that imports a function of this interface and calls nothing of it. */
function importing(from: string, name: string, type: string, options: readonly (readonly number[])[] = []) {
  const core = hooked(`(import "host" "f" (func ${type}))`);
  return new ComponentBuilder()
    .importInstance(from)
    .functionAlias(0, name)
    .lower(0, ...options)
    .together({ f: 0 })
    .module(core)
    .instantiate(0, { host: 0 })
    .coreAlias(1, "on-request")
    .lift(1)
    .exportFunction("on-request", 1);
}

const HTTP = "penstock:plugin/http@1.0.0";
const nested = (depth: number): ComponentBuilder => {
  let inner = simple();
  for (let level = 0; level < depth; level++) {
    inner = new ComponentBuilder().component(inner).vector(5, (out) => out.code(0, 0, 0));
  }
  return inner;
};

/** As `wac plug` puts them together: one exports what the other imports. */
const composed = (): ComponentBuilder => {
  const library = new ComponentBuilder()
    .module(wat('(module (memory (export "memory") 1) (func (export "add") (result i32) (i32.const 1)))'))
    .instantiate(0)
    .coreAlias(0, "add")
    .lift(0)
    .exportFunction("add", 0);
  const plugin = new ComponentBuilder()
    .importFunction("add")
    .lower(0)
    .together({ f: 0 })
    .module(hooked('(import "library" "f" (func $add (result i32)))', "(call $add)"))
    .instantiate(0, { library: 0 })
    .coreAlias(1, "on-request")
    .lift(1)
    .exportFunction("on-request", 1);
  return new ComponentBuilder()
    .component(library)
    .component(plugin)
    .instantiateComponent(0)
    .functionAlias(0, "add")
    .instantiateComponent(1, { add: 0 })
    .functionAlias(1, "on-request")
    .exportFunction("on-request", 1);
};

/** Hooks of two components inside. */
const twoPlugins = (): ComponentBuilder =>
  new ComponentBuilder()
    .component(simple())
    .component(
      new ComponentBuilder()
        .module(wat('(module (memory 1) (func (export "on-end")))'))
        .instantiate(0)
        .coreAlias(0, "on-end")
        .lift(0)
        .exportFunction("on-end", 0),
    )
    .instantiateComponent(0)
    .instantiateComponent(1)
    .functionAlias(0, "on-request")
    .functionAlias(1, "on-end")
    .exportFunction("on-request", 0)
    .exportFunction("on-end", 1);

/** One that imports an intrinsic of a resource: 2 `resource.new`, 3 `resource.drop`, 4 `resource.rep`. */
const withResource = (opcode: number, type: string): ComponentBuilder =>
  new ComponentBuilder()
    .vector(8, (out) => out.code(opcode, 0))
    .together({ f: 0 })
    .module(hooked(`(import "host" "f" (func ${type}))`))
    .instantiate(0, { host: 0 })
    .coreAlias(1, "on-request")
    .lift(1)
    .exportFunction("on-request", 0);

const REFUSED: readonly (readonly [string, () => ComponentBuilder | Uint8Array, RegExp])[] = [
  ["nothing in it", () => new ComponentBuilder(), /INTERFACE.*at byte 8: no hook is exported: none of on-request,/],
  ["no hook", () => new ComponentBuilder().module(hooked()).instantiate(0), /INTERFACE.*no hook is exported/],
  [
    "another version",
    () => importing("penstock:plugin/http@2.0.0", "status", "(result i32)"),
    /REFUSED.*at byte \d+: unknown import penstock:plugin\/http@2\.0\.0\.status: the world is penstock:plugin\/plugin@1\.0\.0/,
  ],
  [
    "a function that is not there",
    () => importing(HTTP, "toString", "(result i32)"),
    /unknown import penstock:plugin\/http@1\.0\.0\.toString/,
  ],
  [
    "an interface that is not there",
    () => importing("penstock:plugin/constructor@1.0.0", "name", "(result i32)"),
    /unknown import penstock:plugin\/constructor@1\.0\.0\.name/,
  ],
  [
    "somebody else's world",
    () => importing("wasi:http/outgoing-handler@0.2.0", "handle", "(param i32)"),
    /unknown import wasi:http\/outgoing-handler@0\.2\.0\.handle/,
  ],
  [
    "sockets",
    () => importing("wasi:sockets/tcp@0.2.0", "create", "(param i32)"),
    /unknown import wasi:sockets\/tcp@0\.2\.0\.create/,
  ],
  [
    "another core type",
    () => importing(HTTP, "status", "(param i64)"),
    /import penstock:plugin\/http@1\.0\.0\.status has core type \(i64\) → \(\), not \(\) → \(i32\)/,
  ],
  [
    "an answer without an allocator",
    () => importing(HTTP, "request-part", "(param i32 i32)"),
    /http@1\.0\.0\.request-part without a realloc option/,
  ],
  [
    "UTF-16",
    () => importing(HTTP, "status", "(result i32)", [[1]]),
    /REFUSED.*at byte \d+: strings in UTF-16 or Latin-1: build the component with UTF-8 \(`string-encoding=utf8`\)/,
  ],
  ["Latin-1", () => importing(HTTP, "status", "(result i32)", [[2]]), /REFUSED.*strings in UTF-16 or Latin-1/],
  [
    "components inside that call each other",
    composed,
    /REFUSED.*at byte \d+: a call from one component inside to another: each has a memory of its own.*build the sources into one component.*wac plug/,
  ],
  [
    "hooks of two components inside",
    twoPlugins,
    /REFUSED.*at byte \d+: on-end of another component inside.*build the sources into one component/,
  ],
  [
    "a resource of its own",
    () => withResource(2, "(param i32) (result i32)"),
    /REFUSED.*at byte 11: resource\.new: resources that a component defines itself.*a table of its own/,
  ],
  [
    "a look into a resource of its own",
    () => withResource(4, "(param i32) (result i32)"),
    /REFUSED.*at byte 11: resource\.rep: resources that a component defines itself/,
  ],
  ["async", () => importing(HTTP, "status", "(result i32)", [[6]]), /REFUSED.*an asynchronous function/],
  ["tasks", () => simple().vector(8, (out) => out.code(9, 0, 0)), /REFUSED.*canonical function 0x9/],
  [
    "a hook of another type",
    () => simple(wat('(module (memory 1) (func (export "on-request")))')),
    /INTERFACE.*on-request has core type \(\) → \(\), not \(\) → \(i32\)/,
  ],
  [
    "two memories",
    () =>
      new ComponentBuilder()
        .module(hooked())
        .instantiate(0)
        .instantiate(0)
        .coreAlias(1, "on-request")
        .lift(0)
        .exportFunction("on-request", 0),
    /INTERFACE.*2 memories, and a plugin has one: let them import it of each other/,
  ],
  [
    "no memory",
    () => simple(wat('(module (func (export "on-request") (result i32) (i32.const 0)))')),
    /INTERFACE.*0 memories/,
  ],
  [
    "a core module that is not valid",
    () => simple(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 9, 9])),
    /INVALID.*at byte 10: a core module that is not valid/,
  ],
  [
    "a core import that is not given",
    () => simple(hooked('(import "x" "y" (func))')),
    /REFUSED.*import x\.y, which it is not given/,
  ],
  ["exceptions", () => simple(hooked("(tag)")), /REFUSED.*exception handling/],
  [
    "shared memory",
    () => simple(wat('(module (memory 1 1 shared) (func (export "on-request") (result i32) (i32.const 0)))')),
    /REFUSED.*shared memory/,
  ],
  [
    "a start function of the component",
    () => simple().section(9, (out) => out.code(0, 0, 0)),
    /REFUSED.*a component's start function/,
  ],
  [
    "an index beyond its space",
    () => new ComponentBuilder().coreAlias(7, "f"),
    /REFUSED.*core instance 7, which there is not/,
  ],
  ["components nested too deep", () => nested(12), /REFUSED.*nested more than 8 deep/],
  [
    "a value",
    () =>
      simple().vector(10, (out) => {
        out.u8(0);
        out.name("v");
        out.code(2, 0);
      }),
    /REFUSED.*a value/,
  ],
];

it("what is given back of WASI's resources is taken", () => {
  expect(refusal(withResource(3, "(param i32)"))).toBe("accepted");
});

describe("components that are refused", () => {
  for (const [name, make, expected] of REFUSED) it(name, () => expect(refusal(make())).toMatch(expected));

  it("that instantiate each other without end", () => {
    let inner = simple();
    for (let level = 0; level < 6; level++) {
      const copies = Array.from({ length: 10 }, () => (out: { code(...bytes: number[]): void }) => out.code(0, 0, 0));
      inner = new ComponentBuilder().component(inner).vector(5, ...copies);
    }
    expect(refusal(inner)).toMatch(/REFUSED.*more than 100 component instances/);
  });

  it("that hold one large module many times", () => {
    const large = wat(
      `(module (memory 1) (data (i32.const 0) "${"x".repeat(60_000)}") (func (export "on-request") (result i32) (i32.const 0)))`,
    );
    const component = new ComponentBuilder().module(large);
    for (let copy = 0; copy < 100; copy++) component.instantiate(0);
    component.coreAlias(99, "on-request").lift(0).exportFunction("on-request", 0);
    expect(refusal(component)).toMatch(/LIMIT.*bytes of core modules/);
  });
});

describe("a component of wit-component", () => {
  const bytes = new Uint8Array(readFileSync("test/corpus/component/token.wasm"));

  it("becomes a module of the core interface", () => {
    const prepared = prepareModule(bytes);
    expect(prepared).toMatchObject({ kind: "component", abi: "penstock:plugin 1.0.0", suspends: false });
    expect(prepared.hooks).toEqual(["on_configure", "on_request"]);
    expect(prepareModule(bytes).digest, "the same bytes, the same digest").toBe(prepared.digest);
  });

  it("says of each stretch of its code where it stood", () => {
    const { module, origins } = linkComponent(bytes, DEFAULT_MODULE_LIMITS);
    const known = origins.filter(({ source }) => source !== NOWHERE);
    expect(known.length).toBeGreaterThan(10);
    for (const { source, target } of known) expect(module[target], `at byte ${source}`).toBe(bytes[source]);
    expect(origins.at(-1)?.source, "hooks and the marker are ours").toBe(NOWHERE);
  });

  it("cut anywhere, or with any byte wrong, is refused in words or made into a module that is valid", () => {
    const outcomes = { refused: 0, accepted: 0 };
    const tryOne = (mutant: Uint8Array) => {
      if (refusal(mutant) === "accepted") outcomes.accepted++;
      else outcomes.refused++;
    };
    for (let end = 0; end < bytes.length; end += 7) tryOne(bytes.slice(0, end));
    for (let at = 0; at < bytes.length; at += 3) {
      const mutant = bytes.slice();
      mutant[at] = (mutant[at] as number) ^ (1 << (at % 8));
      tryOne(mutant);
    }
    expect(outcomes.refused).toBeGreaterThan(600);
    expect(outcomes.accepted, "names and constants may be any").toBeGreaterThan(50);
  });
});

describe("where code came from", () => {
  const lookUp = (stretches: Parameters<typeof encodeOffsets>[0]) => {
    const section = encodeOffsets(stretches).bytes();
    const contents = section.subarray(1 + (section[0] as number));
    return (offset: number) => sourceOffset(contents, offset);
  };

  it("is told of sources that do not ascend, and of code from nowhere", () => {
    const at = lookUp([
      { source: 500_000, target: 100 },
      { source: 20, target: 140 },
      { source: NOWHERE, target: 150 },
      { source: 30, target: 160 },
    ]);
    expect([99, 100, 139, 140, 149, 150, 155, 160, 170].map(at)).toEqual([
      -1, 500_000, 500_039, 20, 29, -1, -1, 30, 40,
    ]);
  });

  it("goes through a module in between", () => {
    const metered = [
      { source: 10, target: 1000 },
      { source: 20, target: 1015 },
      { source: 50, target: 1050 },
    ];
    const origins = [
      { source: 7, target: 12 },
      { source: 300, target: 18 },
      { source: 200, target: 30 },
      { source: NOWHERE, target: 45 },
    ];
    const at = lookUp(throughOrigins(metered, origins));
    // Before the first origin; in it; over a boundary; the next stretch goes on where the last origin was.
    expect([1000, 1002, 1007, 1008, 1015, 1024, 1025, 1039, 1040, 1050].map(at)).toEqual([
      -1, 7, 12, 300, 302, 311, 200, 214, -1, -1,
    ]);
  });
});
