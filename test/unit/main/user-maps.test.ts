import { uptime } from "node:os";
import { describe, expect, test } from "vitest";
import { UserMap, UserMaps } from "#main/supervisor/user-maps.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";

const HASH: MapSpec = {
  name: "m",
  type: "hash",
  key: "bytes",
  keyBytes: 4,
  value: "counter",
  valueBytes: 8,
  maxEntries: 2,
};
const BLOCKLIST: MapSpec = {
  name: "b",
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  valueBytes: 8,
  maxEntries: 8,
};

const key = (n: number): Uint8Array => Uint8Array.of(n, 0, 0, 0);
function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
/** `bits` of an IPv4 address, mapped. */
function prefix(bits: number, ...ip: number[]): Uint8Array {
  const bytes = new Uint8Array(20);
  new DataView(bytes.buffer).setUint32(0, 96 + bits, true);
  bytes.set([0xff, 0xff, ...ip], 14);
  return bytes;
}
const boottime = (seconds: number): bigint => BigInt(Math.floor((uptime() + seconds) * 1e9));

describe("a hash", () => {
  test("takes as many as it was made for, and a known key always", () => {
    const map = new UserMap(HASH);
    expect([
      map.put(key(1), u64(1n)),
      map.put(key(2), u64(2n)),
      map.put(key(3), u64(3n)),
      map.put(key(1), u64(9n)),
    ]).toEqual([true, true, false, true]);
    expect(map.get(key(1))?.value).toEqual(u64(9n));
    expect([map.delete(key(1)), map.delete(key(1)), map.size]).toEqual([true, false, 1]);
  });

  test("an LRU gives up the one that was written longest ago", () => {
    const map = new UserMap({ ...HASH, type: "lru-hash" });
    for (const n of [1, 2, 1, 3]) expect(map.put(key(n), u64(0n))).toBe(true);
    expect([map.get(key(1)), map.get(key(2)), map.get(key(3))].map((entry) => entry !== null)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("differences of several workers add up", () => {
    const map = new UserMap(HASH);
    for (const delta of [3n, 4n, -2n]) map.apply({ type: "map-change", map: "m", op: "add", key: key(1), delta });
    expect(map.get(key(1))?.value).toEqual(u64(5n));
  });

  test("is listed in pages", () => {
    const map = new UserMap({ ...HASH, maxEntries: 5 });
    for (const n of [1, 2, 3, 4, 5]) map.put(key(n), u64(0n));
    const first = map.list(undefined, 2);
    const second = map.list(first.entries.at(-1)?.key, 2);
    const third = map.list(second.entries.at(-1)?.key, 2);
    expect([first, second, third].map(({ entries, more }) => [entries.map((entry) => entry.key[0]), more])).toEqual([
      [[1, 2], true],
      [[3, 4], true],
      [[5], false],
    ]);
  });
});

describe("a trie of prefixes", () => {
  test.each([
    [prefix(32, 10, 1, 2, 3), 24],
    [prefix(32, 10, 1, 3, 3), 15],
    [prefix(32, 10, 2, 0, 0), 8],
    [prefix(32, 11, 0, 0, 0), null],
    [prefix(8, 10, 0, 0, 0), 8],
  ])("answers with the longest that covers %s", (asked, bits) => {
    const map = new UserMap(BLOCKLIST);
    for (const each of [prefix(8, 10, 0, 0, 0), prefix(24, 10, 1, 2, 0), prefix(15, 10, 0, 0, 0)])
      map.put(each, u64(0n));
    const found = map.get(asked)?.key;
    expect(found === undefined ? null : new DataView(found.buffer).getUint32(0, true) - 96).toBe(bits);
  });

  test("what has expired is not there, and makes room", () => {
    const map = new UserMap({ ...BLOCKLIST, maxEntries: 2 });
    map.put(prefix(32, 1, 1, 1, 1), u64(boottime(-1)));
    map.put(prefix(32, 2, 2, 2, 2), u64(boottime(60)));
    expect(map.get(prefix(32, 1, 1, 1, 1))).toBeNull();
    expect(map.get(prefix(32, 2, 2, 2, 2))).not.toBeNull();
    expect(map.put(prefix(32, 3, 3, 3, 3), u64(0n))).toBe(true);
    expect(map.put(prefix(32, 4, 4, 4, 4), u64(0n))).toBe(false);
  });
});

describe("the maps of a snapshot", () => {
  test("keep their entries while their schema stays, and are as before after an abort", () => {
    const maps = new UserMaps();
    maps.prepare([HASH]);
    maps.commit();
    maps.get("m")?.put(key(1), u64(1n));
    maps.prepare([{ ...HASH, maxEntries: 3 }]);
    expect(maps.entries("m")).toHaveLength(0);
    maps.abort();
    expect(maps.entries("m")).toHaveLength(1);
    maps.prepare([HASH, BLOCKLIST]);
    maps.commit();
    expect([maps.entries("m").length, maps.get("b")?.size]).toEqual([1, 0]);
    maps.prepare([BLOCKLIST]);
    maps.commit();
    expect(maps.get("m")).toBeUndefined();
  });
});
