import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { ownBucketTable } from "#plugins/bucket-table.ts";
import { Buckets } from "#plugins/buckets.ts";
import { UserMap } from "#worker/maps/user-map.ts";
import { Clock, from, made, requestOf, through } from "./exchange.ts";

const client = from("198.51.100.1");
const base = { perSecond: 2, burst: 3, key: "client-ip", keysMax: 64 };

describe("rate-limit", () => {
  it("lets a burst pass, and then what comes slowly enough", () => {
    const clock = new Clock();
    const filter = made("rate-limit", base, clock);
    const passes = (): boolean => through(filter, from("203.0.113.7")) === CONTINUE;
    expect([passes(), passes(), passes(), passes()]).toEqual([true, true, true, false]);
    clock.ms += 499;
    expect(passes()).toBe(false);
    clock.ms += 1;
    expect([passes(), passes()]).toEqual([true, false]);
    clock.ms += 3_600_000;
    expect([passes(), passes(), passes(), passes()]).toEqual([true, true, true, false]);
  });

  it("takes from the map that it names", () => {
    const clock = new Clock();
    const counters = { type: "lru-hash", key: "ip", keyBytes: 16, value: "counter", valueBytes: 8 } as const;
    clock.maps.set("buckets", new UserMap({ name: "buckets", maxEntries: 64, ...counters }, () => {}));
    const filters = ["a", "b"].map((map) =>
      made("rate-limit", { ...base, map: "buckets", burst: map === "a" ? 2 : 3 }, clock),
    );
    expect(filters.map((filter) => through(filter, client) === CONTINUE)).toEqual([true, true]);
    expect(filters.map((filter) => through(filter, client) === CONTINUE)).toEqual([false, true]);
  });

  it("says when to come again, in whole seconds", () => {
    const filter = made("rate-limit", { ...base, perSecond: 0.4, burst: 1 });
    through(filter, from("203.0.113.7"));
    const exchange = from("203.0.113.7");
    through(filter, exchange);
    expect(exchange.reply).toEqual({ status: 429, headers: [["retry-after", "3"]], body: "too many requests\n" });
  });

  const taken = (key: string, ...exchanges: ReturnType<typeof from>[]): boolean[] => {
    const filter = made("rate-limit", { ...base, burst: 1, key });
    return exchanges.map((exchange) => through(filter, exchange) === CONTINUE);
  };

  it.each<[string, string, ReturnType<typeof from>[], boolean[]]>([
    [
      "a client by its address",
      "client-ip",
      [from("10.0.0.1"), from("10.0.0.2"), from("10.0.0.1")],
      [true, true, false],
    ],
    [
      "an IPv6 client by its /64",
      "client-ip",
      [from("2001:db8::1"), from("2001:db8::2"), from("2001:db8:0:1::1")],
      [true, false, true],
    ],
    ["a route as one", "route", [from("10.0.0.1"), from("10.0.0.2")], [true, false]],
    [
      "a header by its value",
      "header:x-key",
      [requestOf("GET /", "x-key: a"), requestOf("GET /", "x-key: b"), requestOf("GET /", "X-Key:  a")],
      [true, true, false],
    ],
    [
      "those without it as one",
      "header:x-key",
      [requestOf("GET /"), requestOf("GET /"), requestOf("GET /", "x-key: a")],
      [true, false, true],
    ],
  ])("counts %s", (_what, key, exchanges, passes) => {
    expect(taken(key, ...exchanges)).toEqual(passes);
  });

  it("is one for all workers, and another for another limit", () => {
    const table = ownBucketTable(1 << 10);
    const passes = (burst: number): number => {
      const filter = made("rate-limit", { ...base, burst }, new Clock(table));
      return Array.from({ length: 20 }, () => through(filter, from("10.0.0.1"))).filter((one) => one === CONTINUE)
        .length;
    };
    // A worker each, in their own memory but for the table.
    expect([passes(8), passes(8), passes(5), passes(5)]).toEqual([8, 0, 5, 0]);
  });

  it("holds at the highest rate and burst, and at the lowest", () => {
    const clock = new Clock();
    const fast = made("rate-limit", { ...base, perSecond: 1_000_000, burst: 1_000_000 }, clock);
    for (let i = 0; i < 1_000_000; i++) if (through(fast, client) !== CONTINUE) expect.fail(`refused after ${i}`);
    expect(through(fast, client)).toBe(REPLY);
    clock.ms += 1;
    const again = Array.from({ length: 1500 }, () => through(fast, client)).filter((one) => one === CONTINUE);
    expect(again).toHaveLength(1000);
    const slow = made("rate-limit", { ...base, perSecond: 0.001, burst: 1 }, clock);
    expect(through(slow, client)).toBe(CONTINUE);
    clock.ms += 999_000;
    expect(through(slow, client)).toBe(REPLY);
    clock.ms += 1_000;
    expect(through(slow, client)).toBe(CONTINUE);
  });
});

describe("buckets", () => {
  it("tell 50 000 keys apart", () => {
    const buckets = new Buckets(ownBucketTable(1 << 20), "one", 1, 1, 1 << 20);
    const key = new Uint8Array(4);
    const take = (i: number): number => {
      new DataView(key.buffer).setUint32(0, i);
      return buckets.take(key, 0, 4, 1);
    };
    let refused = 0;
    for (let i = 0; i < 50_000; i++) if (take(i) > 0) refused++;
    expect(refused).toBe(0);
    let passed = 0;
    for (let i = 0; i < 50_000; i++) if (take(i) === 0) passed++;
    expect(passed).toBe(0);
  });

  it("forget what was used longest ago, and remember what is in use", () => {
    const buckets = new Buckets(ownBucketTable(64), "one", 0.001, 1, 64);
    const key = new Uint8Array(4);
    const take = (i: number, ms: number): number => {
      new DataView(key.buffer).setUint32(0, i);
      return buckets.take(key, 0, 4, ms);
    };
    expect(take(0, 1)).toBe(0);
    for (let i = 1; i < 10_000; i++) {
      take(i, i);
      // Asked again and again, it is never the oldest.
      expect(take(0, i)).toBeGreaterThan(0);
    }
    expect(take(1, 10_000)).toBe(0);
  });
});

describe("a rate by host", () => {
  it("counts each name by itself, in any case", () => {
    const filter = made("rate-limit", { perSecond: 0.001, burst: 1, key: "host", keysMax: 64 });
    const verdicts = ["a.example", "b.example", "A.example:80"].map((host) =>
      through(filter, requestOf("GET /", `host: ${host}`)),
    );
    expect(verdicts).toEqual([CONTINUE, CONTINUE, REPLY]);
  });
});
