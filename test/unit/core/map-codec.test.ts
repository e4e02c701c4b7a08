import { expect, it } from "vitest";
import { formatKey, isExpired, makeValue, parseKey, prefixKeyOf, readValue, type MapSchema } from "#core/map-codec.ts";
import { parseIp } from "#core/address.ts";

const IP: MapSchema = { key: "ip", keyBytes: 16, value: "counter", valueBytes: 8 };
const PREFIX: MapSchema = { key: "ip-prefix", keyBytes: 20, value: "expiry", valueBytes: 8 };
const BYTES: MapSchema = { key: "bytes", keyBytes: 3, value: "bytes", valueBytes: 2 };

it.each<[MapSchema, string, string, string]>([
  [IP, "203.0.113.7", "00000000000000000000ffffcb007107", "203.0.113.7"],
  [IP, "2001:db8::1", "20010db8000000000000000000000001", "2001:db8::1"],
  [PREFIX, "203.0.113.0/24", "7800000000000000000000000000ffffcb007100", "203.0.113.0/24"],
  [PREFIX, "203.0.113.7", "8000000000000000000000000000ffffcb007107", "203.0.113.7/32"],
  [PREFIX, "0.0.0.0/0", "6000000000000000000000000000ffff00000000", "0.0.0.0/0"],
  [PREFIX, "2001:db8::/32", "2000000020010db8000000000000000000000000", "2001:db8::/32"],
  [PREFIX, "2000::/3", "0300000020000000000000000000000000000000", "2000::/3"],
  [BYTES, "0aFF00", "0aff00", "0aff00"],
])("key %#: %j of %s", (schema, text, hex, back) => {
  const key = parseKey(schema, text);
  expect(Buffer.from(key).toString("hex")).toBe(hex);
  expect(formatKey(schema, key)).toBe(back);
});

it.each<[MapSchema, string]>([
  [IP, "203.0.113.7/32"],
  [IP, "localhost"],
  [PREFIX, "203.0.113.7/24"],
  [PREFIX, "203.0.113.0/33"],
  [PREFIX, ""],
  // These would hold all of IPv4 as well.
  [PREFIX, "::/0"],
  [PREFIX, "::/80"],
  [PREFIX, "::ffff:0:0/90"],
  [BYTES, "0aff"],
  [BYTES, "0aff0g"],
])("refuses key %#: %s", (schema, text) => {
  expect(() => parseKey(schema, text)).toThrow(/does not fit the map/);
});

it("gives lifetimes in seconds, whatever the clock says", () => {
  const now = 5_000_000_000n;
  const value = makeValue(PREFIX, { ttlSeconds: 1.5 }, now);
  expect(readValue(PREFIX, value, now)).toEqual({ ttlSeconds: 1.5 });
  expect([isExpired(value, now + 1_499_999_999n), isExpired(value, now + 1_500_000_000n)]).toEqual([false, true]);
  expect(readValue(PREFIX, value, now + 2_000_000_000n)).toEqual({ ttlSeconds: 0 });
  const forever = makeValue(PREFIX, {}, now);
  expect([readValue(PREFIX, forever, now), isExpired(forever, 2n ** 63n)]).toEqual([{ ttlSeconds: null }, false]);
});

it("compares all 64 bits of an expiry", () => {
  const numbers = [0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_0001n, 0x2_0000_0000n, 2n ** 63n];
  for (const expiry of numbers) {
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(expiry, 0);
    for (const now of numbers)
      expect(isExpired(value, now), `${expiry} at ${now}`).toBe(expiry !== 0n && expiry <= now);
  }
});

it("gives counters in decimal, and bytes in hexadecimal", () => {
  const most = String(2n ** 64n - 1n);
  expect(readValue(IP, makeValue(IP, { value: most }, 0n), 0n)).toEqual({ value: most });
  expect(readValue(IP, makeValue(IP, {}, 0n), 0n)).toEqual({ value: "0" });
  expect(readValue(BYTES, makeValue(BYTES, { value: "0aff" }, 0n), 0n)).toEqual({ value: "0aff" });
});

it.each<[MapSchema, { ttlSeconds?: number; value?: string }]>([
  [PREFIX, { value: "5" }],
  [PREFIX, { ttlSeconds: 0 }],
  [PREFIX, { ttlSeconds: -1 }],
  [PREFIX, { ttlSeconds: Number.NaN }],
  [PREFIX, { ttlSeconds: 1e12 }],
  [IP, { value: "-1" }],
  [IP, { value: String(2n ** 64n) }],
  [IP, { ttlSeconds: 5 }],
  [BYTES, { value: "0aff00" }],
  [BYTES, {}],
])("refuses value %#: %j", (schema, value) => {
  expect(() => makeValue(schema, value, 0n)).toThrow(/does not fit the map/);
});

it("makes a host's key for a trie in place", () => {
  const into = new Uint8Array(20).fill(9);
  expect(prefixKeyOf(parseIp("203.0.113.7"), into)).toEqual(parseKey(PREFIX, "203.0.113.7/32"));
});
