import { describe, expect, it } from "vitest";
import { Cache } from "#pipeline/library/cache.ts";
import { durationMs, type Duration } from "#pipeline/library/duration.ts";
import { IP, Netmask } from "#pipeline/library/netmask.ts";
import { Percentage } from "#pipeline/library/percentage.ts";
import { Quota } from "#pipeline/library/quota.ts";
import { ResourcePool } from "#pipeline/library/resource-pool.ts";

class Clock {
  ms = 1000;
  readonly now = (): number => this.ms;
}

describe("Cache", () => {
  it("makes what is not there, once", () => {
    let made = 0;
    const cache = new Cache((key: string) => `${key}${++made}`);
    expect([cache.get("a"), cache.get("a"), cache.get("b")]).toEqual(["a1", "a1", "b2"]);
    expect(new Cache().get("a")).toBeUndefined();
  });

  it("forgets the least recently used, and tells", () => {
    const gone: string[] = [];
    const cache = new Cache<string, number>(null, { size: 2, onFree: (key, value) => gone.push(`${key}=${value}`) });
    cache.set("a", 1);
    cache.set("b", 2);
    cache.get("a");
    cache.set("c", 3);
    expect([cache.has("a"), cache.has("b"), cache.size]).toEqual([true, false, 2]);
    cache.set("a", 4);
    expect(cache.remove("c")).toBe(true);
    expect(cache.remove("c")).toBe(false);
    cache.clear();
    expect(gone).toEqual(["b=2", "a=1", "c=3", "a=4"]);
  });

  it("forgets by age", () => {
    const clock = new Clock();
    const gone: string[] = [];
    const cache = new Cache<string, number>(null, { ttl: "5s", now: clock.now, onFree: (key) => gone.push(key) });
    cache.set("a", 1);
    clock.ms += 4999;
    expect(cache.get("a")).toBe(1);
    clock.ms += 1;
    expect(cache.has("a")).toBe(false);
    expect(gone).toEqual(["a"]);
  });

  it("refuses a size that is none", () => {
    expect(() => new Cache(null, { size: 0 })).toThrow("size is 0");
  });
});

describe("Quota", () => {
  it("comes back in whole intervals, never beyond what it was", () => {
    const clock = new Clock();
    const quota = new Quota(10, { produce: 4, per: "1s", now: clock.now });
    expect(quota.consume(7)).toBe(7);
    expect(quota.consume(7)).toBe(3);
    expect(quota.waitMs(1)).toBe(1000);
    expect(quota.waitMs(5)).toBe(2000);
    expect(quota.waitMs(11)).toBe(Infinity);
    clock.ms += 999;
    expect([quota.current, quota.waitMs(1)]).toEqual([0, 1]);
    clock.ms += 1;
    expect(quota.current).toBe(4);
    clock.ms += 60_000;
    expect(quota.current).toBe(10);
  });

  it("is taken whole or not at all", () => {
    const quota = new Quota(3);
    expect([quota.take(2), quota.take(2), quota.take(1), quota.waitMs(1)]).toEqual([true, false, true, Infinity]);
  });

  it("wakes who waits, once for each return", () => {
    const quota = new Quota(1);
    let woken = 0;
    quota.take(1);
    const stop = quota.onProduce(() => woken++);
    quota.produce(1);
    quota.reset();
    stop();
    quota.produce(1);
    expect([woken, quota.current]).toEqual([2, 2]);
  });

  it.each([0, -1, Number.NaN])("%d is no quota", (initial) => {
    expect(() => new Quota(initial)).toThrow("initial quota");
  });
});

describe("ResourcePool", () => {
  it("gives out again what came back, for the same tag", () => {
    let made = 0;
    const discarded: string[] = [];
    const pool = new ResourcePool((tag: string) => `${tag}${++made}`, {
      idleMax: 1,
      onDiscard: (one) => discarded.push(one),
    });
    const [a, other, b] = [pool.allocate("a"), pool.allocate("a"), pool.allocate("b")];
    expect(pool.allocated).toBe(3);
    pool.free(a);
    pool.free(other);
    expect(discarded).toEqual([other]);
    expect(pool.allocate("b")).not.toBe(a);
    expect(pool.allocate("a")).toBe(a);
    pool.free(b);
    expect(() => pool.free(b)).toThrow("given out");
  });
});

describe("Percentage", () => {
  it("gives each its share, by lot and by key", () => {
    const percentage = new Percentage({ stable: 9, canary: 1, never: 0 });
    const keyed = Array.from({ length: 10_000 }, (_, i) => percentage.next(`user ${i}`));
    const canaries = keyed.filter((name) => name === "canary").length;
    expect(canaries).toBeGreaterThan(850);
    expect(canaries).toBeLessThan(1150);
    expect(keyed).not.toContain("never");
    expect(Array.from({ length: 10_000 }, (_, i) => percentage.next(`user ${i}`))).toEqual(keyed);
    const draws = [0, 0.899, 0.9, 0.999];
    const drawn = new Percentage({ stable: 9, canary: 1 }, () => draws.shift() ?? 0);
    expect([drawn.next(), drawn.next(), drawn.next(), drawn.next()]).toEqual(["stable", "stable", "canary", "canary"]);
  });

  it.each<Record<string, number>>([{}, { a: 0 }, { a: -1, b: 2 }, { a: Number.NaN }])("%o are no shares", (shares) => {
    expect(() => new Percentage(shares)).toThrow("shares");
  });
});

describe("Netmask", () => {
  it("knows its own", () => {
    const block = new Netmask("10.1.0.0/16");
    expect([block.version, block.bitmask, block.size, block.base, block.last, block.mask, String(block)]).toEqual([
      4,
      16,
      65536n,
      "10.1.0.0",
      "10.1.255.255",
      "255.255.0.0",
      "10.1.0.0/16",
    ]);
    const wide = new Netmask("2001:db8::/32");
    expect([wide.version, wide.mask, wide.last]).toEqual([6, "ffff:ffff::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"]);
  });

  it.each([
    ["10.0.0.0/8", "10.255.0.1", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::ffff:10.0.0.1", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["::/0", "10.0.0.1", false],
    ["2001:db8::/32", "2001:db8:1::1", true],
    ["10.0.0.1", "10.0.0.1", true],
    ["10.0.0.0/8", "ten", false],
    ["10.0.0.0/8", "", false],
  ])("%s contains %s: %s", (cidr, address, expected) => {
    expect(new Netmask(cidr).contains(address)).toBe(expected);
  });

  it("gives out its addresses, and no more", () => {
    const block = new Netmask("192.0.2.8/30");
    const given = Array.from({ length: 5 }, () => block.next());
    expect(given).toEqual(["192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11", undefined]);
    expect(block.at(3)).toBe("192.0.2.11");
    expect(() => block.at(4)).toThrow("4 addresses");
    expect(() => block.at(-1)).toThrow("no -1");
  });

  it("an address is its bytes", () => {
    expect(new IP("192.0.2.1").toBytes()).toEqual([192, 0, 2, 1]);
    expect(new IP("2001:db8::1").toBytes()).toHaveLength(16);
    expect(new Netmask("192.0.2.0/24").contains(new IP("192.0.2.1"))).toBe(true);
    expect(() => new IP("192.0.2.1/24")).toThrow("IP address");
  });
});

describe("durations", () => {
  it.each([
    [1.5, 1500],
    ["250ms", 250],
    ["1.5s", 1500],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ] as const)("%s", (span, ms) => {
    expect(durationMs("ttl", span)).toBe(ms);
  });

  it.each([0, -1, "5", "s", "5 s", "-5s", Number.NaN, Infinity])("%s is none", (span) => {
    expect(() => durationMs("ttl", span as Duration)).toThrow("ttl");
  });
});
