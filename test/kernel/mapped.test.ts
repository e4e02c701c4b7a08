import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { BPF_NOEXIST } from "#sys/bpf.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { deleteBatch, updateBatch } from "#bpf/kernel/batch.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap, possibleCpus } from "#bpf/kernel/map.ts";
import { TypedMap } from "#bpf/kernel/typed-map.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";
import { describeKernel } from "#test/support/kernel.ts";

const OBJECTS = path.join(import.meta.dirname, "../support/bpf/obj");
const PACKET = Buffer.alloc(64);

const load = (name: string): Collection => Collection.load(readSpec(fs.readFileSync(path.join(OBJECTS, `${name}.o`))));

describeKernel("memory-mapped values", () => {
  let collection: Collection;
  beforeEach(() => {
    collection = load("ring");
  });
  afterEach(() => collection.close());

  const run = (): number => collection.program("emits").testRun(PACKET).returned;

  it("are the program's own globals, read and written by type", () => {
    const sequence = collection.global("sequence");
    run();
    run();
    expect(sequence.get()).toBe(2n);
    sequence.set(1001);
    // 16 + 1001 % 224
    expect([run(), sequence.get()]).toEqual([121, 1002n]);
    expect(collection.global("latest").get()).toEqual({ total: 121n, last: 121, odd: 1 });
    collection.global("latest").set({ total: 5 });
    expect(collection.global("latest").get()).toEqual({ total: 5n, last: 0, odd: 0 });
  });

  it("are entries of an array, each in its place", () => {
    const samples = collection.mappedArray("samples");
    expect(samples.length).toBe(300);
    samples.at(299).set({ total: 1000n, last: 7, odd: 9 });
    collection.global("sequence").set(299);
    const length = run();
    expect(samples.at(299).get()).toEqual({ total: BigInt(1000 + length), last: length, odd: 1 });
    expect(samples.at(298).get()).toEqual({ total: 0n, last: 0, odd: 0 });
    // What calls see is the same memory.
    const key = Buffer.from([43, 1, 0, 0]);
    expect(collection.map("samples").lookup(key)?.readUInt32LE(8)).toBe(length);
  });

  it("refuse constants, strangers, other kinds and wrong values", () => {
    expect(() => collection.global("step")).toThrow(/step is a constant/);
    expect(() => collection.global("nope")).toThrow(/no global variable "nope"/);
    expect(() => collection.mappedArray("events")).toThrow(/no array "events"/);
    expect(() => collection.global("sequence").set("x")).toThrow(/no integer/);
    expect(() => collection.mappedArray("samples").at(300)).toThrow(/entry 300 of samples/);
    const other = load("loader");
    try {
      expect(() => other.mappedArray("things")).toThrow(/things is no array/);
    } finally {
      other.close();
    }
  });
});

describeKernel("batches", () => {
  const COUNT = 1000;
  let map: BpfMap;
  afterEach(() => map.close());

  function make(type: number, valueBytes: number, maxEntries: number): void {
    map = BpfMap.create(
      plainMap({
        name: "batch",
        type,
        keyBytes: type === MAP_TYPE.LPM_TRIE ? 8 : 4,
        valueBytes,
        maxEntries,
        flags: type === MAP_TYPE.LPM_TRIE ? 1 : 0,
      }),
    );
  }

  /** Keys from `first` on, end to end; of a trie, whole addresses. */
  function keys(first: number, count: number): Buffer {
    const bytes = Buffer.alloc(count * map.info.keyBytes);
    for (let i = 0; i < count; i++) {
      const at = (i + 1) * map.info.keyBytes - 4;
      bytes.writeUInt32LE(first + i, at);
      if (map.info.keyBytes === 8) bytes.writeUInt32LE(32, at - 4);
    }
    return bytes;
  }

  /** Each value holds its number, in the first CPU's slot; of a map of devices, the loopback's. */
  function values(first: number, count: number): Buffer {
    const bytes = Buffer.alloc(count * map.valueSlotBytes);
    for (let i = 0; i < count; i++) {
      bytes.writeUInt32LE(map.info.type === MAP_TYPE.DEVMAP_HASH ? 1 : first + i, i * map.valueSlotBytes);
    }
    return bytes;
  }

  it.each([
    ["hash", MAP_TYPE.HASH, 8],
    ["LRU hash", MAP_TYPE.LRU_HASH, 8],
    ["per-CPU hash", MAP_TYPE.PERCPU_HASH, 8],
    ["LPM trie", MAP_TYPE.LPM_TRIE, 8],
    // Has no batches.
    ["device hash", MAP_TYPE.DEVMAP_HASH, 4],
  ])("write and delete entries of a %s", (_kind, type, valueBytes) => {
    make(type, valueBytes, 4 * COUNT);
    updateBatch(map, keys(0, COUNT), values(0, COUNT));
    expect(map.count()).toBe(COUNT);
    const seven = map.lookup(keys(7, 1));
    expect([seven?.length, seven?.readUInt32LE(0)]).toEqual([
      valueBytes === 8 && map.perCpuBytes > 0 ? 8 * possibleCpus() : valueBytes,
      type === MAP_TYPE.DEVMAP_HASH ? 1 : 7,
    ]);
    // Half of these are there.
    const mixed = Buffer.concat([keys(COUNT - 10, 20), keys(3 * COUNT, 10), keys(0, 10)]);
    expect(deleteBatch(map, mixed)).toBe(20);
    expect(map.count()).toBe(COUNT - 20);
    expect(deleteBatch(map, Buffer.alloc(0))).toBe(0);
    updateBatch(map, Buffer.alloc(0), Buffer.alloc(0));
  });

  it("say how far they got", () => {
    make(MAP_TYPE.HASH, 8, 50);
    updateBatch(map, keys(40, 1), values(40, 1));
    expect(() => updateBatch(map, keys(0, 50), values(0, 50), BPF_NOEXIST)).toThrow(
      /map_update_batch batch, after 40 of 50 entries: EEXIST/,
    );
    expect(map.count()).toBe(41);
    expect(() => updateBatch(map, keys(0, 51), values(0, 51))).toThrow(/after 50 of 51 entries: E2BIG/);
  });

  it("take plain objects where types are known", () => {
    const collection = load("loader");
    try {
      make(MAP_TYPE.HASH, 4, 1);
      const { spec } = collection;
      const definition = spec.maps.get("things");
      if (spec.btf === null || definition === undefined) throw new Error("no types");
      const things = new TypedMap(collection.map("things"), spec.btf, definition);
      const [one, two] = [1, 2].map((a) => ({ a, b: [0, 0, a] }));
      if (one === undefined || two === undefined) throw new Error("no keys");
      things.setMany([
        [one, { number: 11, name: "one" }],
        [two, { number: 22, colour: "GREEN" }],
      ]);
      expect([things.get(one), things.get(two)]).toMatchObject([
        { number: 11, name: "one" },
        { number: 22, colour: "GREEN" },
      ]);
      expect(things.deleteMany([two, { a: 3 }])).toBe(1);
      expect(things.entries()).toHaveLength(1);
    } finally {
      collection.close();
    }
  });
});
