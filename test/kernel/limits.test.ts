import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { makeValue, parseKey } from "#core/map-codec.ts";
import { boottimeNs } from "#sys/clock.ts";
import type { MapDeclaration } from "#bpf/manager/declarations.ts";
import { SharedKernelMap } from "#bpf/manager/shared-maps.ts";
import { Firewall } from "#bpf/programs/firewall/firewall.ts";
import type { LimitDeclaration } from "#bpf/programs/firewall/limits.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { frame } from "#test/support/packets.ts";

const XDP_DROP = 1;
const XDP_PASS = 2;

const PREFIXES: MapDeclaration = {
  name: "prefixes",
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  valueBytes: 8,
  maxEntries: 16_384,
};

const limit = (
  prefix: string,
  packetsPerSecond: number,
  burst: number,
  each: LimitDeclaration["each"] = "prefix",
): LimitDeclaration => ({ prefix, packetsPerSecond, burst, each });

describeKernel("firewall limits, test-run", () => {
  let deny: SharedKernelMap;
  let allow: SharedKernelMap;
  let firewall: Firewall;

  function make(limits: readonly LimitDeclaration[]): void {
    deny = new SharedKernelMap({ ...PREFIXES, name: "deny" });
    allow = new SharedKernelMap({ ...PREFIXES, name: "allow" });
    firewall = new Firewall({ deny: deny.map, allow: allow.map }, { limits, synsPerSecond: 0 }, null);
  }

  afterEach(() => {
    firewall.close();
    deny.close();
    allow.close();
  });

  /** How many of so many packets, one right after the other, pass. */
  function passed(source: string, packets: number): number {
    let count = 0;
    for (let i = 0; i < packets; i++) if (firewall.program.testRun(frame(source)).returned === XDP_PASS) count++;
    return count;
  }

  it("lets a burst pass, then the rate, for a whole prefix", async () => {
    make([limit("203.0.113.0/24", 10, 5)]);
    const begun = performance.now();
    /** What the bucket has been given since `from`. */
    const given = (from: number): number => Math.floor((performance.now() - from) / 100);
    const burst = passed("203.0.113.1", 4) + passed("203.0.113.2", 20);
    expect(burst).toBeGreaterThanOrEqual(5);
    expect(burst).toBeLessThanOrEqual(5 + given(begun));
    const empty = performance.now();
    await sleep(320);
    // A busy machine sleeps longer, and then more pass: as many as the time says, and no more than the bucket holds.
    const atLeast = Math.min(5, given(empty));
    const later = passed("203.0.113.3", 20);
    expect(later).toBeGreaterThanOrEqual(atLeast);
    expect(burst + later).toBeLessThanOrEqual(5 + given(begun));
    expect(passed("198.51.100.1", 20)).toBe(20);
    expect(firewall.counters()).toMatchObject({ passed: burst + later + 20, limited: 44 - burst - later });
  });

  it("gives each source a bucket of its own: an IPv4 address, an IPv6 /64", () => {
    make([limit("default", 1, 3, "source")]);
    expect(passed("203.0.113.1", 10)).toBe(3);
    expect(passed("203.0.113.2", 10)).toBe(3);
    expect(passed("2001:db8:0:1::1", 10)).toBe(3);
    expect(passed("2001:db8:0:1::2", 10)).toBe(0);
    expect(passed("2001:db8:0:2::1", 10)).toBe(3);
  });

  it("asks the longest prefix alone", () => {
    make([limit("default", 1, 2), limit("203.0.113.0/24", 1, 4), limit("203.0.113.128/25", 1, 1)]);
    expect(passed("203.0.113.200", 10)).toBe(1);
    expect(passed("203.0.113.1", 10)).toBe(4);
    expect(passed("198.51.100.1", 10)).toBe(2);
    // The default is one bucket, for both families.
    expect(passed("2001:db8::1", 10)).toBe(0);
  });

  it("charges nobody whom the allow list holds, until the entry is void", () => {
    make([limit("default", 1, 1)]);
    const allowed = (fromNs: bigint): void =>
      allow.map.update(parseKey(PREFIXES, "203.0.113.0/24"), makeValue(PREFIXES, { ttlSeconds: 60 }, fromNs));
    allowed(boottimeNs());
    expect(passed("203.0.113.1", 10)).toBe(10);
    allowed(boottimeNs() - 60_000_000_001n);
    expect(passed("203.0.113.1", 10)).toBe(1);
    expect(firewall.counters()).toMatchObject({ allowed: 10, limited: 9 });
  });

  it("holds the rate, however fast packets come", () => {
    // A bucket that holds more than the kernel's pauses between test runs (tens of milliseconds) bring.
    make([limit("203.0.113.0/24", 1000, 200)]);
    const packet = frame("203.0.113.1");
    const begun = performance.now();
    // What runs over while nothing comes, where a busy machine keeps this from going on for longer than the bucket lasts.
    let lost = 0;
    for (let last = begun, now = begun; now - begun < 500; last = now) {
      firewall.program.testRun(packet, { repeat: 1000 });
      now = performance.now();
      lost += Math.max(0, now - last - 200);
    }
    const seconds = (performance.now() - begun) / 1000;
    const through = firewall.counters().passed;
    expect(through).toBeGreaterThan(1000 * seconds - lost);
    expect(through).toBeLessThanOrEqual(1000 * seconds + 201);
  });

  it("judges alike over 10 000 denied prefixes, an allow list and limits, and says what a packet takes", () => {
    make([limit("default", 10_000_000, 10_000_000, "source"), limit("203.0.113.0/24", 10_000_000, 10_000_000)]);
    const never = makeValue(PREFIXES, {}, 0n);
    for (let i = 0; i < 10_000; i++) {
      const prefix = i % 2 === 0 ? `10.${i >> 8}.${i & 255}.0/24` : `2001:db8:${i.toString(16)}::/48`;
      deny.map.update(parseKey(PREFIXES, prefix), never);
    }
    for (const [what, source, expected] of [
      ["denied IPv4", "10.4.4.9", XDP_DROP],
      ["denied IPv6", "2001:db8:65::9", XDP_DROP],
      ["limited by prefix", "203.0.113.1", XDP_PASS],
      ["limited by source", "192.0.2.1", XDP_PASS],
    ] as const) {
      const packet = frame(source);
      expect(firewall.program.testRun(packet).returned).toBe(expected);
      const rounds = [1, 2, 3, 4, 5].map(() => firewall.program.testRun(packet, { repeat: 200_000 }).durationNs);
      process.stdout.write(`firewall with everything, ${what}: ${Math.min(...rounds)} ns a packet\n`);
    }
  });

  it("refuses two limits of one prefix", () => {
    make([]);
    const maps = { deny: deny.map, allow: null };
    const twice = [limit("10.0.0.0/8", 1, 1), limit("10.0.0.0/8", 2, 1)];
    expect(() => new Firewall(maps, { limits: twice, synsPerSecond: 0 }, null)).toThrow(/two limits of 10\.0\.0\.0/);
  });
});
