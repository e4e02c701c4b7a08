/** A tenant's key/value entries: what they do, what they never do over their limit, and what is left when a holder of the lock dies. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KV_ANY, KV_BUSY, KV_FULL, KV_MISMATCH } from "#pipeline/tenant.ts";
import { KeyValueRegion, type RegionHost } from "#worker/tenants/key-value-region.ts";
import {
  bucketsFor,
  formatRegion,
  heapStart,
  regionBytes,
  WORD_END,
  WORD_LOCK,
  WORD_USED,
} from "#worker/tenants/region-layout.ts";
import { recover } from "#worker/tenants/region-recovery.ts";

const LIMIT = 65_536;

function region(limit = LIMIT) {
  const memory = new ArrayBuffer(regionBytes(limit));
  formatRegion(memory, limit, 0x1234);
  const host = { pid: 7, clockMs: 1000, nowMs: () => host.clockMs, yieldCore: () => undefined };
  return { memory, host, store: new KeyValueRegion(memory, host satisfies RegionHost) };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (entry: { value: Uint8Array } | null) => (entry === null ? null : new TextDecoder().decode(entry.value));
const u64 = (value: bigint) => new Uint8Array(new BigInt64Array([value]).buffer);

describe("entries", () => {
  it("are put, read, replaced and deleted", () => {
    const { store } = region();
    expect(store.get(bytes("a"))).toBeNull();
    expect(store.put(bytes("a"), bytes("one"), 0, KV_ANY)).toBe(1);
    expect(store.put(bytes("b"), bytes(""), 0, KV_ANY)).toBe(2);
    expect(store.put(bytes("a"), bytes("two".repeat(100)), 0, KV_ANY)).toBe(3);
    expect(textOf(store.get(bytes("a")))).toBe("two".repeat(100));
    expect(textOf(store.get(bytes("b")))).toBe("");
    expect(store.entries).toBe(2);
    expect(store.delete(bytes("a"), KV_ANY)).toBe(true);
    expect(store.delete(bytes("a"), KV_ANY)).toBe(false);
    expect([store.get(bytes("a")), store.entries, store.usedBytes]).toEqual([null, 1, 64]);
  });

  it("compare and set", () => {
    const { store } = region();
    expect(store.put(bytes("a"), bytes("1"), 0, 5)).toBe(KV_MISMATCH);
    const first = store.put(bytes("a"), bytes("1"), 0, 0);
    expect(first).toBeGreaterThan(0);
    expect(store.put(bytes("a"), bytes("2"), 0, 0)).toBe(KV_MISMATCH);
    const second = store.put(bytes("a"), bytes("2"), 0, first);
    expect(second).toBeGreaterThan(first);
    expect(store.put(bytes("a"), bytes("3"), 0, first)).toBe(KV_MISMATCH);
    expect(store.delete(bytes("a"), first)).toBe(false);
    expect(store.get(bytes("a"))).toEqual({ value: bytes("2"), version: second });
  });

  it("end with their time", () => {
    const { store, host } = region();
    store.put(bytes("a"), bytes("1"), 50, KV_ANY);
    store.put(bytes("b"), bytes("1"), 0, KV_ANY);
    host.clockMs += 49;
    expect(textOf(store.get(bytes("a")))).toBe("1");
    host.clockMs += 1;
    expect(store.get(bytes("a"))).toBeNull();
    expect([textOf(store.get(bytes("b"))), store.entries]).toEqual(["1", 1]);
  });

  it("count", () => {
    const { store, host } = region();
    expect(store.increment(bytes("n"), 5n, 100)).toBe(5n);
    host.clockMs += 60;
    expect(store.increment(bytes("n"), -7n, 100)).toBe(-2n);
    expect(store.get(bytes("n"))?.value).toEqual(u64(-2n));
    host.clockMs += 60;
    expect(store.increment(bytes("n"), 1n, 100), "its time is that of the first").toBe(1n);
    store.put(bytes("text"), bytes("abc"), 0, KV_ANY);
    expect(store.increment(bytes("text"), 3n, 0)).toBe(3n);
  });

  it("are changed together, and nobody comes in between", () => {
    const { memory, host, store } = region();
    const other = new KeyValueRegion(memory, { ...host, pid: 8 });
    const ran = store.together(() => {
      expect(store.put(bytes("a"), bytes("1"), 0, KV_ANY)).toBe(1);
      expect(other.put(bytes("b"), bytes("1"), 0, KV_ANY)).toBe(KV_BUSY);
      expect(other.together(() => expect.unreachable())).toBe(false);
      expect(
        store.together(() => expect.unreachable()),
        "not within itself",
      ).toBe(false);
      expect(textOf(store.get(bytes("a")))).toBe("1");
      expect(other.get(bytes("a"))).toBeNull();
    });
    expect(ran).toBe(true);
    expect(textOf(other.get(bytes("a")))).toBe("1");
    const wrong = (): void => {
      throw new Error("in the middle");
    };
    expect(() => store.together(wrong)).toThrow("in the middle");
    expect(other.put(bytes("b"), bytes("1"), 0, KV_ANY)).toBeGreaterThan(0);
    expect(new Int32Array(memory)[WORD_LOCK]).toBe(0);
  });

  it("are listed and cleared", () => {
    const { store } = region();
    for (let index = 0; index < 100; index++) store.put(bytes(`key ${index}`), bytes(String(index)), 0, KV_ANY);
    expect(
      store
        .list(1000)
        ?.map(({ key }) => textOf({ value: key }))
        .toSorted(),
    ).toHaveLength(100);
    expect(store.list(7)).toHaveLength(7);
    expect(store.clear()).toBe(true);
    expect([store.list(10), store.entries, store.usedBytes]).toEqual([[], 0, 0]);
  });
});

describe("the limit", () => {
  it("is never passed, whatever sizes come and go", () => {
    const { store, memory } = region();
    let full = 0;
    fc.assert(
      fc.property(
        fc.array(fc.record({ key: fc.nat({ max: 60 }), bytes: fc.nat({ max: 9000 }), delete: fc.boolean() }), {
          minLength: 50,
          maxLength: 200,
        }),
        (steps) => {
          for (const step of steps) {
            const key = bytes(`k${step.key}`);
            if (step.delete) store.delete(key, KV_ANY);
            else if (store.put(key, new Uint8Array(step.bytes), 0, KV_ANY) === KV_FULL) full++;
            expect(store.usedBytes).toBeLessThanOrEqual(LIMIT);
          }
        },
      ),
      { numRuns: 50, seed: 11 },
    );
    expect(full).toBeGreaterThan(10);
    store.clear();
    expect(store.put(bytes("large"), new Uint8Array(30_000), 0, KV_ANY), "there is room again").toBeGreaterThan(0);
    expect(new Int32Array(memory)[WORD_END]).toBeLessThanOrEqual(memory.byteLength);
  });

  it("makes room by what has expired, and keeps the rest", () => {
    const { store, host } = region();
    for (let index = 0; index < 512; index++) store.put(bytes(`old ${index}`), bytes("x"), 10, KV_ANY);
    for (let index = 0; index < 512; index++) store.put(bytes(`kept ${index}`), bytes("y"), 0, KV_ANY);
    expect(store.put(bytes("one more"), bytes("z"), 0, KV_ANY)).toBe(KV_FULL);
    host.clockMs += 200;
    expect(store.put(bytes("one more"), bytes("z"), 0, KV_ANY)).toBeGreaterThan(0);
    expect(store.entries).toBe(513);
    for (let index = 0; index < 512; index++) expect(textOf(store.get(bytes(`kept ${index}`)))).toBe("y");
  });
});

it("is the map that a plain Map would be", () => {
  const { store } = region(4 * LIMIT);
  const model = new Map<string, string>();
  const step = fc.record({
    key: fc.nat({ max: 300 }).map((key) => `key ${key}`),
    value: fc.option(fc.string({ maxLength: 300 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      for (const { key, value } of steps) {
        if (value === null) expect(store.delete(bytes(key), KV_ANY)).toBe(model.delete(key));
        else if (store.put(bytes(key), bytes(value), 0, KV_ANY) > 0) model.set(key, value);
      }
      for (const [key, value] of model) expect(textOf(store.get(bytes(key)))).toBe(value);
      expect(store.entries).toBe(model.size);
    }),
    { numRuns: 30, seed: 12 },
  );
});

describe("a holder of the lock that died", () => {
  it("keeps the others out for a while only, and loses nothing that was there", () => {
    const { store, memory } = region();
    for (let index = 0; index < 50; index++) store.put(bytes(`key ${index}`), bytes("v"), 0, KV_ANY);
    const words = new Int32Array(memory);
    words[WORD_LOCK] = 4242;
    expect(store.put(bytes("new"), bytes("v"), 0, KV_ANY)).toBe(KV_BUSY);
    expect([store.get(bytes("key 1")), store.delete(bytes("key 1"), KV_ANY), store.list(1)]).toEqual([
      null,
      false,
      null,
    ]);
    expect(recover(memory, bucketsFor(LIMIT), 7), "another process").toBe(false);
    expect(recover(memory, bucketsFor(LIMIT), 4242)).toBe(true);
    expect(store.entries).toBe(50);
    for (let index = 0; index < 50; index++) expect(textOf(store.get(bytes(`key ${index}`)))).toBe("v");
  });

  it("may have died after any store: nothing is lost, and what it had taken is free again", () => {
    const limit = 8192;
    const { store, memory } = region(limit);
    for (let index = 0; index < 20; index++) store.put(bytes(`key ${index}`), bytes("before"), 0, KV_ANY);
    for (let index = 0; index < 20; index += 2) store.delete(bytes(`key ${index}`), KV_ANY);
    const before = new Int32Array(memory.slice(0));
    store.put(bytes("key 1"), new Uint8Array(500), 0, KV_ANY);
    const after = new Int32Array(memory.slice(0));
    const changed = [...after.keys()].filter((index) => after[index] !== before[index]);
    expect(changed.length).toBeGreaterThan(5);
    // Every subset that a death can leave is some of the stores; each alone, and all but each, stand for them.
    for (const index of changed) {
      for (const kept of [[index], changed.filter((one) => one !== index)]) {
        const torn = new Int32Array(before);
        for (const at of kept) torn[at] = after[at] as number;
        torn[WORD_LOCK] = 99;
        expect(recover(torn.buffer, bucketsFor(limit), 99)).toBe(true);
        const mended = new KeyValueRegion(torn.buffer, { pid: 1, nowMs: () => 0, yieldCore: () => undefined });
        for (let key = 3; key < 20; key += 2) expect(textOf(mended.get(bytes(`key ${key}`)))).toBe("before");
        expect(mended.usedBytes).toBeLessThanOrEqual(limit);
        mended.clear();
        expect(mended.usedBytes).toBe(0);
        for (let one = 0; one < limit / 64; one++) {
          expect(mended.put(bytes(`n${one}`), bytes("x"), 0, KV_ANY)).toBeGreaterThan(0);
        }
      }
    }
  });

  it("may have been hostile: recovery ends, and leaves a map that can be used", () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.nat({ max: 200 }), (noise, writes) => {
        const { store, memory } = region();
        for (let index = 0; index < 30; index++) store.put(bytes(`key ${index}`), bytes("v"), 0, KV_ANY);
        const words = new Int32Array(memory);
        const buckets = bucketsFor(LIMIT);
        const end = (heapStart(buckets) + 30 * 64) >> 2;
        for (let write = 0; write < writes; write++) {
          const at = Math.abs(noise.next().value as number) % end;
          if (at > WORD_USED - 1) words[at] = noise.next().value as number;
        }
        words[WORD_LOCK] = 5;
        expect(recover(memory, buckets, 5)).toBe(true);
        expect(words[WORD_USED]).toBeLessThanOrEqual(memory.byteLength);
      }),
      { numRuns: 100, seed: 13 },
    );
  });
});
