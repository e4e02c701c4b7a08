/** One suite over both kinds of shared map: what a plugin sees must not depend on where the map lives. */
import { afterEach, describe, expect, it } from "vitest";
import { SharedKernelMap } from "#bpf/manager/shared-maps.ts";
import { requireKernel } from "#bpf/manager/probe.ts";
import { makeValue, parseKey, prefixKeyOf } from "#core/map-codec.ts";
import { parseIp } from "#core/address.ts";
import type { SharedMap } from "#pipeline/filter.ts";
import { MapBuckets } from "#plugins/map-buckets.ts";
import { boottimeNs } from "#sys/clock.ts";
import { KernelMap } from "#worker/maps/kernel-map.ts";
import { UserMap } from "#worker/maps/user-map.ts";
import type { SharedMapSpec } from "#worker/maps/spec.ts";

interface Subject {
  readonly map: SharedMap;
  close(): void;
}

const subjects: readonly {
  readonly kind: string;
  readonly missing: string | null;
  make(spec: SharedMapSpec): Subject;
}[] = [
  {
    kind: "kernel",
    missing: reasonAgainstKernel(),
    make(spec) {
      const shared = new SharedKernelMap(spec);
      return { map: new KernelMap(spec, shared.map.fd), close: () => shared.close() };
    },
  },
  { kind: "user", missing: null, make: (spec) => ({ map: new UserMap(spec, () => {}), close: () => {} }) },
];

function reasonAgainstKernel(): string | null {
  try {
    requireKernel();
    return null;
  } catch (error) {
    const reason = String(error);
    process.stdout.write(`skipped: shared maps in the kernel: ${reason}\n`);
    return reason;
  }
}

const HASH: SharedMapSpec = {
  name: "h",
  type: "hash",
  key: "bytes",
  keyBytes: 4,
  value: "bytes",
  valueBytes: 8,
  maxEntries: 4,
};
const COUNTERS: SharedMapSpec = { ...HASH, key: "ip", keyBytes: 16, value: "counter" };
const BANS: SharedMapSpec = {
  ...HASH,
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  maxEntries: 16,
};

const key = (n: number): Uint8Array => Uint8Array.of(n, 0, 0, 0);
const value = (n: number): Uint8Array => new Uint8Array(8).fill(n);

for (const { kind, missing, make } of subjects) {
  describe.skipIf(missing !== null)(`shared map, ${kind}`, () => {
    let subject: Subject;
    afterEach(() => subject.close());
    const open = (spec: SharedMapSpec): SharedMap => (subject = make(spec)).map;

    it("holds the buckets of a limit: a burst, what comes slowly enough, by client, IPv6 by /64", () => {
      const map = open({ ...COUNTERS, type: "lru-hash", maxEntries: 1024 });
      const buckets = new MapBuckets(() => map, 2, 3);
      const takes = (ip: string, nowMs: number, times = 1): number[] =>
        Array.from({ length: times }, () => buckets.take(Uint8Array.from(parseIp(ip)), nowMs));
      expect(takes("203.0.113.7", 1000, 4)).toEqual([0, 0, 0, 500]);
      expect(takes("203.0.113.8", 1000)).toEqual([0]);
      expect(takes("203.0.113.7", 1400)).toEqual([100]);
      expect(takes("203.0.113.7", 1500, 2)).toEqual([0, 500]);
      expect(takes("203.0.113.7", 3_600_000, 4)).toEqual([0, 0, 0, 500]);
      expect([takes("2001:db8::1", 1000, 3), takes("2001:db8::2", 1000)]).toEqual([[0, 0, 0], [500]]);
      expect(takes("2001:db8:0:1::1", 1000)).toEqual([0]);
    });

    it("holds them for two workers, as one", () => {
      const map = open({ ...COUNTERS, type: "lru-hash", maxEntries: 1024 });
      const [one, other] = [new MapBuckets(() => map, 1, 4), new MapBuckets(() => map, 1, 4)];
      const ip = Uint8Array.from(parseIp("203.0.113.7"));
      const taken = [one, other, one, other, one, other].map((buckets) => buckets.take(ip, 5000));
      expect(taken).toEqual([0, 0, 0, 0, 1000, 1000]);
    });

    it("gets what was put, until it is deleted", () => {
      const map = open(HASH);
      expect(map.get(key(1))).toBeNull();
      expect(map.put(key(1), value(7))).toBe(true);
      expect(Uint8Array.from(map.get(key(1)) ?? [])).toEqual(value(7));
      expect(map.put(key(1), value(8))).toBe(true);
      expect(Uint8Array.from(map.get(key(1)) ?? [])).toEqual(value(8));
      expect([map.delete(key(1)), map.delete(key(1))]).toEqual([true, false]);
      expect(map.get(key(1))).toBeNull();
    });

    it("keeps what it was given, not the caller's bytes", () => {
      const map = open(HASH);
      const [k, v] = [key(1), value(1)];
      map.put(k, v);
      k.fill(9);
      v.fill(9);
      expect(Uint8Array.from(map.get(key(1)) ?? [])).toEqual(value(1));
      map.get(key(1))?.fill(5);
      expect(Uint8Array.from(map.get(key(1)) ?? [])).toEqual(value(1));
    });

    it("is full at its bound, and takes changes of what is there all the same", () => {
      const map = open(HASH);
      for (let i = 0; i < 4; i++) expect(map.put(key(i), value(i))).toBe(true);
      expect(map.put(key(9), value(9))).toBe(false);
      expect(map.put(key(0), value(5))).toBe(true);
      map.delete(key(1));
      expect(map.put(key(9), value(9))).toBe(true);
    });

    it("is walked over, key by key, also from a key that one begins with", () => {
      const map = open(HASH);
      expect(map.next(null)).toBeNull();
      for (let i = 1; i <= 3; i++) map.put(key(i), value(i));
      const walked: Uint8Array[] = [];
      for (let at = map.next(null); at !== null && walked.length < 9; at = map.next(at))
        walked.push(Uint8Array.from(at));
      expect(walked.map(([first]) => first).toSorted()).toEqual([1, 2, 3]);
      // From the middle, though the walk stands at its end.
      const [one = key(0), two = key(0)] = walked;
      expect(Uint8Array.from(map.next(one) ?? [])).toEqual(two);
      expect(map.next(Uint8Array.of(1))).toBeNull();
    });

    it("is never full when it is an LRU", () => {
      const map = open({ ...HASH, type: "lru-hash", maxEntries: 64 });
      for (let i = 0; i < 200; i++) expect(map.put(key(i), value(1))).toBe(true);
      const left = Array.from({ length: 200 }, (_, i) => map.get(key(i)) !== null).filter(Boolean).length;
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThanOrEqual(64);
    });

    it("answers wrong sizes with absence", () => {
      const map = open(HASH);
      expect(map.put(new Uint8Array(3), value(1))).toBe(false);
      expect(map.put(key(1), new Uint8Array(7))).toBe(false);
      expect(map.get(new Uint8Array(5))).toBeNull();
      expect(map.delete(new Uint8Array(0))).toBe(false);
      expect(map.increment(key(1), 1n)).toBe(0n);
    });

    it.each(["hash", "lru-hash"] as const)("counts in a %s", (type) => {
      const map = open({ ...COUNTERS, type, maxEntries: 64 });
      const client = parseIp("203.0.113.7");
      expect([map.increment(client, 1n), map.increment(client, 41n), map.increment(client, -2n)]).toEqual([
        1n,
        42n,
        40n,
      ]);
      expect(map.get(client)).toEqual(Buffer.from(makeValue(COUNTERS, { value: "40" }, 0n)));
      expect(map.increment(client, -41n)).toBe(2n ** 64n - 1n);
      expect(map.increment(client, 1n)).toBe(0n);
    });

    it("forgets what has expired, and keeps what never does", () => {
      const map = open({ ...BANS, type: "hash", key: "ip", keyBytes: 16 });
      const [soon, later, never] = ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map(parseIp) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const now = boottimeNs();
      map.put(soon, makeValue(BANS, { ttlSeconds: 60 }, now));
      map.put(later, makeValue(BANS, { ttlSeconds: 60 }, now));
      map.put(never, makeValue(BANS, {}, now));
      expect([soon, later, never].map((each) => map.get(each) !== null)).toEqual([true, true, true]);
      map.put(soon, makeValue(BANS, { ttlSeconds: 60 }, now - 60_000_000_001n));
      expect([soon, later, never].map((each) => map.get(each) !== null)).toEqual([false, true, true]);
    });

    it("finds the longest prefix, of either family", () => {
      const map = open({ ...BANS, value: "counter" });
      const put = (text: string, number: string): boolean =>
        map.put(parseKey(BANS, text), makeValue({ ...BANS, value: "counter" }, { value: number }, 0n));
      for (const [text, number] of [
        ["10.0.0.0/8", "8"],
        ["10.1.0.0/16", "16"],
        ["10.1.2.3", "32"],
        ["2001:db8::/32", "132"],
        ["2001:db8:1::/48", "148"],
        ["0.0.0.0/0", "1"],
      ] as const) {
        expect(put(text, number)).toBe(true);
      }
      const found = (ip: string): bigint | undefined => {
        const bytes = map.get(prefixKeyOf(parseIp(ip), new Uint8Array(20)));
        return bytes === null ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
      };
      expect(
        [
          "10.9.9.9",
          "10.1.9.9",
          "10.1.2.3",
          "10.1.2.4",
          "192.0.2.1",
          "2001:db8:2::1",
          "2001:db8:1::1",
          "2001:db9::1",
        ].map(found),
      ).toEqual([8n, 16n, 32n, 16n, 1n, 132n, 148n, undefined]);
      expect(map.delete(parseKey(BANS, "10.1.0.0/16"))).toBe(true);
      expect(map.delete(parseKey(BANS, "10.1.0.0/16"))).toBe(false);
      expect([found("10.1.9.9"), found("10.1.2.3")]).toEqual([8n, 32n]);
    });

    it("refuses a prefix longer than the address", () => {
      const map = open(BANS);
      const long = prefixKeyOf(parseIp("10.0.0.1"), new Uint8Array(20));
      long[0] = 129;
      expect(map.put(long, value(0))).toBe(false);
      expect(map.get(long)).toBeNull();
    });

    it("takes the bits behind a prefix for none", () => {
      const map = open(BANS);
      const untidy = prefixKeyOf(parseIp("10.1.2.3"), new Uint8Array(20));
      untidy[0] = 96 + 8;
      expect(map.put(untidy, value(0))).toBe(true);
      expect(map.get(prefixKeyOf(parseIp("10.200.0.1"), new Uint8Array(20)))).not.toBeNull();
      expect(map.delete(parseKey(BANS, "10.0.0.0/8"))).toBe(true);
    });
  });
}
