import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { E2BIG, EEXIST } from "#core/errno.ts";
import { BPF_NOEXIST } from "#sys/bpf.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { Collection, type CollectionOptions } from "#bpf/kernel/collection.ts";
import { MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap, possibleCpus } from "#bpf/kernel/map.ts";
import { TypedMap } from "#bpf/kernel/typed-map.ts";
import { VerifierError } from "#bpf/kernel/verifier.ts";
import { describeKernel } from "#test/support/kernel.ts";

const OBJECTS = path.join(import.meta.dirname, "../support/bpf/obj");
const PACKET = Buffer.alloc(64);

function load(name: string, options: CollectionOptions = {}): Collection {
  return Collection.load(readSpec(fs.readFileSync(path.join(OBJECTS, `${name}.o`))), options);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

describeKernel("loader", () => {
  let collection: Collection;
  beforeEach(() => {
    collection = load("loader", { globals: { tag: 100, defaults: { number: 5, name: "abc" } } });
  });
  afterEach(() => collection.close());

  const run = (program: string): number => collection.program(program).testRun(PACKET).returned;

  it.each([
    // 3 × (3 × 100 + 1) + 2
    ["calls_functions", 905],
    ["calls_back", 45],
    ["calls_tail", 77],
    ["calls_kernel", 5],
    // data is 43 then: hidden[3]
    ["counts_globals", 4005],
  ])("%s answers %i", (program, answer) => {
    expect(run(program)).toBe(answer);
  });

  it("finds spin locks and timers in values by their types, and user space reads around them", async () => {
    const locks = load("locks");
    try {
      const { btf, maps } = locks.spec;
      const pairs = maps.get("pairs");
      if (btf === null || pairs === undefined) throw new Error("the fixture has types and a map of pairs");
      const typed = new TypedMap(locks.map("pairs"), btf, pairs);
      typed.set(1, { low: 7, high: 70 });
      for (let i = 0; i < 3; i++) expect(locks.program("raises_both").testRun(PACKET).returned).toBe(2);
      // The lock itself is nobody's to see: it reads as 0.
      expect(typed.get(1)).toEqual({ lock: { val: 0 }, low: 10, high: 73 });
      expect(locks.program("sets_alarm").testRun(PACKET).returned).toBe(2);
      const rung = locks.global("last_rung");
      for (let i = 0; rung.get() === 0n && i < 500; i++) await sleep(10);
      expect(rung.get()).toBe(1n);
    } finally {
      locks.close();
    }
  });

  it("relocates by the kernel's own types", () => {
    expect(collection.program("reads_kernel").testRun(null, { context: Buffer.alloc(8) }).returned).toBe(process.pid);
  });

  it("shares globals with user space through memory", () => {
    run("counts_globals");
    run("counts_globals");
    const { map, offset } = collection.spec.globals.get("bss") ?? { map: "", offset: 0 };
    const memory = new DataView(collection.map(map).memory());
    expect(memory.getBigUint64(offset, true)).toBe(2n);
    memory.setBigUint64(offset, 40n, true);
    run("counts_globals");
    expect(memory.getBigUint64(offset, true)).toBe(41n);
  });

  it("freezes constants", () => {
    expect(() => collection.map(".rodata").update(u32(0), collection.map(".rodata").lookup(u32(0)) ?? PACKET)).toThrow(
      /EPERM/,
    );
  });

  it("fills maps of maps, and finds their entries", () => {
    expect(run("looks_into_maps")).toBe(2);
    collection.map("inner_b").update(u32(1), u32(321));
    expect(run("looks_into_maps")).toBe(321);
  });

  it("reads and writes typed values, per-CPU ones too", () => {
    const { spec } = collection;
    const definition = (name: string) => spec.maps.get(name) ?? fail(name);
    const things = new TypedMap(collection.map("things"), spec.btf ?? fail("types"), definition("things"));
    const key = { a: 7, b: [1, 2, 3] };
    const value = {
      number: 4_000_000_000,
      wide: -5n,
      name: "eight ch",
      colour: "BLUE",
      low: 6,
      high: -4000,
      nested: [key, { a: 0, b: [0, 0, 0] }],
      word: 0x01020304,
      bytes: [4, 3, 2, 1],
      yes: true,
    };
    const { bytes: _, ...oneView } = value;
    things.set(key, oneView);
    expect(things.get(key)).toEqual(value);
    expect(things.entries()).toEqual([[key, value]]);
    expect(things.get({ a: 8 })).toBeUndefined();
    expect([things.delete(key), things.delete(key)]).toEqual([true, false]);

    const perCpu = new TypedMap(collection.map("per_cpu"), spec.btf ?? fail("types"), definition("per_cpu"));
    const slots = Array.from({ length: possibleCpus() }, (_each, i) => i + 1);
    perCpu.set(9, slots);
    expect(perCpu.get(9)).toEqual(slots);
  });

  it("keeps BTF and source lines with the programs", () => {
    for (const program of collection.programs.values()) expect(program.info().verifiedInstructions).toBeGreaterThan(0);
  });

  it("tells why a program was refused, and leaves nothing", () => {
    const descriptors = fs.readdirSync("/proc/self/fd").length;
    const error = thrown(() => load("refused"));
    expect(error).toBeInstanceOf(VerifierError);
    expect(error).toMatchObject({ code: "PENSTOCK_BPF_VERIFIER", program: "refused" });
    expect((error as VerifierError).message).toMatch(
      /refused \(EACCES\): R1 offset is outside of the packet\n.*invalid access to packet/s,
    );
    // The line of C is in the log, thanks to the line records.
    expect((error as VerifierError).log).toContain("return *(__u8 *)(long)ctx->data;");
    expect(fs.readdirSync("/proc/self/fd")).toHaveLength(descriptors);
    load("refused", { programs: ["accepted"] }).close();
  });

  it("refuses globals that do not exist or do not fit, and maps of another shape", () => {
    expect(() => load("loader", { globals: { nope: 1 } })).toThrow(/no global variable "nope"/);
    expect(() => load("loader", { globals: { tag: 2 ** 32 } })).toThrow(/does not fit 32 bits/);
    expect(() => load("loader", { globals: { tag: Buffer.alloc(5) } })).toThrow(/5 bytes for tag/);
    expect(() => load("loader", { maps: { things: collection.map("per_cpu") } })).toThrow(/in place of things/);
  });
});

describeKernel("maps", () => {
  const definition = {
    name: "test",
    type: MAP_TYPE.HASH as number,
    keyBytes: 4,
    valueBytes: 8,
    maxEntries: 100,
    flags: 0,
    extra: 0n,
    pinning: 0,
    keyType: 0,
    valueType: 0,
    inner: null,
    slots: [],
    contents: null,
    frozen: false,
  };
  let map: BpfMap;
  afterEach(() => map.close());

  it.each([
    ["hash", MAP_TYPE.HASH, 0],
    ["LRU hash", MAP_TYPE.LRU_HASH, 0],
    ["array", MAP_TYPE.ARRAY, 0],
  ])("walks all entries of a %s, in batches", (_kind, type, flags) => {
    map = BpfMap.create({ ...definition, type, flags, maxEntries: 10_000 });
    const count = 5000;
    for (let i = 0; i < count; i++) map.update(u32(i), Buffer.alloc(8, i));
    const entries = map.entries();
    expect(entries.length).toBe(type === MAP_TYPE.ARRAY ? 10_000 : count);
    expect(new Set(entries.map(([key]) => key.readUInt32LE(0))).size).toBe(entries.length);
    expect(map.entries(10)).toHaveLength(10);
  });

  it.each([
    ["per-CPU hash", MAP_TYPE.PERCPU_HASH, 8, 5],
    // Has no batches: walked step by step. Its values are interfaces; 1 is the loopback.
    ["device hash", MAP_TYPE.DEVMAP_HASH, 4, 1],
  ])("walks all entries of a %s", (_kind, type, valueBytes, value) => {
    map = BpfMap.create({ ...definition, type, valueBytes });
    const bytes = Buffer.alloc(map.valueSlotBytes);
    bytes.writeUInt32LE(value, 0);
    for (let i = 0; i < 50; i++) map.update(u32(i), bytes);
    expect(map.count()).toBe(50);
    expect(new Set(map.entries().map(([key]) => key.readUInt32LE(0))).size).toBe(50);
    expect(map.entries(7)).toHaveLength(7);
  });

  it("answers fullness and existence, and takes out in one step", () => {
    map = BpfMap.create({ ...definition, maxEntries: 2 });
    const value = Buffer.alloc(8, 1);
    expect([1, 2, 3].map((key) => map.tryUpdate(u32(key), value))).toEqual([0, 0, -E2BIG]);
    expect(map.tryUpdate(u32(1), value, BPF_NOEXIST)).toBe(-EEXIST);
    expect(map.take(u32(1))).toEqual(value);
    expect(map.take(u32(1))).toBeNull();
    expect(map.lookup(u32(1))).toBeNull();
  });

  it("gives read-only descriptors that only read", () => {
    map = BpfMap.create(definition);
    map.update(u32(1), Buffer.alloc(8, 5));
    const reader = BpfMap.adopt(map.openReadOnly() ?? fail("descriptor"));
    expect(reader.lookup(u32(1))).toEqual(Buffer.alloc(8, 5));
    expect(() => reader.update(u32(1), Buffer.alloc(8))).toThrow(/EPERM/);
    expect(() => reader.delete(u32(1))).toThrow(/EPERM/);
    reader.close();
  });
});

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
}

function fail(what: string): never {
  throw new Error(`no ${what}`);
}
