import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { UserMap, type MapChange } from "#worker/maps/user-map.ts";
import type { SharedMapSpec } from "#worker/maps/spec.ts";

const SPEC: SharedMapSpec = {
  name: "m",
  type: "hash",
  key: "bytes",
  keyBytes: 1,
  value: "counter",
  valueBytes: 8,
  maxEntries: 8,
};

/** Workers that tell each other everything, in the order it happened, late. */
function workers(count: number, spec: SharedMapSpec): { readonly maps: UserMap[]; deliver(): void } {
  const queue: { readonly from: number; readonly change: MapChange }[] = [];
  const maps = Array.from(
    { length: count },
    (_, from) =>
      new UserMap(spec, (change) => queue.push({ from, change: JSON.parse(JSON.stringify(change)) as MapChange })),
  );
  const deliver = (): void => {
    for (const { from, change } of queue.splice(0)) maps.forEach((map, i) => i !== from && map.applyRemote(change));
  };
  return { maps, deliver };
}

function contents(map: UserMap): string[] {
  return map
    .entries()
    .map(([key, value]) => `${key.join()}=${value.join()}`)
    .toSorted();
}

describe("user map among workers", () => {
  it("loses no increment, however they interleave", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.nat(3), fc.bigInt({ min: -5n, max: 5n })), { maxLength: 60 }),
        fc.nat(6),
        (steps, batch) => {
          const { maps, deliver } = workers(3, SPEC);
          const sums = new Map<number, bigint>();
          steps.forEach(([worker, key, delta], i) => {
            maps[worker]?.increment(Uint8Array.of(key), delta);
            sums.set(key, BigInt.asUintN(64, (sums.get(key) ?? 0n) + delta));
            if (i % (batch + 1) === 0) deliver();
          });
          deliver();
          for (const map of maps) {
            for (const [key, sum] of sums)
              expect(Buffer.from(map.get(Uint8Array.of(key)) ?? []).readBigUInt64LE(0)).toBe(sum);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it("brings a late worker up to date", () => {
    const { maps, deliver } = workers(2, SPEC);
    maps[0]?.put(Uint8Array.of(1), new Uint8Array(8).fill(3));
    maps[1]?.increment(Uint8Array.of(2), 5n);
    deliver();
    maps[1]?.delete(Uint8Array.of(1));
    deliver();
    const late = new UserMap(SPEC, () => {});
    for (const change of maps[0]?.contents() ?? []) late.applyRemote(change);
    expect(contents(late)).toEqual(["2=5,0,0,0,0,0,0,0"]);
    expect(contents(late)).toEqual(contents(maps[1] as UserMap));
  });

  it("ignores changes of another map or of another shape", () => {
    const map = new UserMap(SPEC, () => {});
    const change: MapChange = { map: "m", op: "put", key: "AQ==", value: Buffer.alloc(8).toString("base64") };
    map.applyRemote({ ...change, map: "other" });
    map.applyRemote({ ...change, key: "AQIDBA==" });
    map.applyRemote({ ...change, value: "AQ==" });
    expect(map.size).toBe(0);
    map.applyRemote(change);
    expect(map.size).toBe(1);
  });

  it("makes room by what is void before it is full", () => {
    let now = 1000n;
    const map = new UserMap(
      { ...SPEC, value: "expiry", maxEntries: 2 },
      () => {},
      () => now,
    );
    const expiry = (at: bigint): Buffer => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(at, 0);
      return bytes;
    };
    expect([1, 2, 3].map((key) => map.put(Uint8Array.of(key), expiry(2000n)))).toEqual([true, true, false]);
    now = 2000n;
    expect(map.put(Uint8Array.of(3), expiry(3000n))).toBe(true);
    expect([map.size, map.sweep()]).toEqual([1, 0]);
  });

  it("drops the entry used longest ago when it is an LRU", () => {
    const map = new UserMap({ ...SPEC, type: "lru-hash", maxEntries: 2 }, () => {});
    map.put(Uint8Array.of(1), new Uint8Array(8));
    map.put(Uint8Array.of(2), new Uint8Array(8));
    map.get(Uint8Array.of(1));
    map.put(Uint8Array.of(3), new Uint8Array(8));
    expect([1, 2, 3].map((key) => map.get(Uint8Array.of(key)) !== null)).toEqual([true, false, true]);
  });
});
