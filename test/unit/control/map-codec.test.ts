import { describe, expect, it } from "vitest";
import { bootTimeNs, decodeValue, encodeValue } from "#control/map-codec.ts";

const trie = { key: "ip-prefix", keyBytes: 20, value: "expiry", valueBytes: 8 } as const;
const hash = { key: "ip", keyBytes: 16, value: "counter", valueBytes: 8 } as const;
const raw = { key: "bytes", keyBytes: 2, value: "bytes", valueBytes: 3 } as const;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("values", () => {
  it("of an expiry are boot time, and void entries have no time left", () => {
    const before = bootTimeNs();
    const value = encodeValue(trie, { ttlSeconds: 60 });
    const at = new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
    expect(at - before).toBeGreaterThanOrEqual(60_000_000_000n);
    expect(at - bootTimeNs()).toBeLessThanOrEqual(60_000_000_000n);
    const left = Number(decodeValue(trie, value)["ttlSeconds"]);
    expect(left).toBeLessThanOrEqual(60);
    expect(left).toBeGreaterThanOrEqual(Number(at - bootTimeNs()) / 1e9 - 0.001);
    expect(hex(encodeValue(trie, { ttlSeconds: null }))).toBe("0000000000000000");
    expect(decodeValue(trie, new Uint8Array(8))).toEqual({ ttlSeconds: null });
    expect(decodeValue(trie, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))).toEqual({ ttlSeconds: 0 });
  });

  it("of counters and bytes are what was written", () => {
    expect(hex(encodeValue(hash, { value: 258 }))).toBe("0201000000000000");
    expect(decodeValue(hash, encodeValue(hash, { value: 258 }))).toEqual({ value: 258 });
    expect(decodeValue(raw, encodeValue(raw, { hex: "0a0b0c" }))).toEqual({ hex: "0a0b0c" });
  });

  it.each([
    [trie, { value: 1 }],
    [trie, { ttlSeconds: -1 }],
    [trie, { ttlSeconds: 1.5 }],
    [trie, []],
    [hash, {}],
    [hash, { value: "1" }],
    [raw, { hex: "0a0b" }],
  ] as const)("are refused when they don't fit: %s %j", (map, body) => {
    expect(() => encodeValue(map, body)).toThrow(expect.objectContaining({ code: "PENSTOCK_CONTROL_MAP" }));
  });
});
