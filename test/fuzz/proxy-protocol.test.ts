/** PROXY headers with bytes changed, cut and repeated: always an outcome, the same for every way the bytes arrive. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import { decodeProxyHeader } from "#net/proxy-protocol/decode.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import { runs } from "#test/support/fuzzing.ts";
import { HEADER_BYTES_MAX, type Decoded } from "#net/proxy-protocol/header.ts";

const SEEDS = [
  encodeProxyHeader("v1", parseAddress("192.0.2.1:1"), parseAddress("192.0.2.2:65535")),
  encodeProxyHeader("v2", parseAddress("192.0.2.1:1"), parseAddress("192.0.2.2:65535")),
  encodeProxyHeader("v2", parseAddress("[2001:db8::1]:1"), parseAddress("[2001:db8::2]:2")),
  Buffer.from("0d0a0d0a000d0a515549540a21110013c0000201c6336402dc0401bb03000400000000", "hex"),
];

const mutated = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), fc.nat(80))
  .map(([seed, edits, length]) => {
    const bytes = Buffer.concat([seed, Buffer.alloc(40, "ab")]).subarray(0, length);
    for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

type Decode = (bytes: Uint8Array, start: number, end: number) => Decoded;

/** Once there is an outcome, more bytes do not change it; a header lies within what has come and within the bound. */
function holds(decode: Decode, bytes: Uint8Array): void {
  let settled: Decoded | null = null;
  for (let end = 0; end <= bytes.length; end++) {
    const decoded = decode(bytes, 0, end);
    if (settled !== null) expect(decoded).toEqual(settled);
    if (decoded.kind === "header") {
      expect(decoded.bytes).toBeGreaterThan(0);
      expect(decoded.bytes).toBeLessThanOrEqual(Math.min(end, HEADER_BYTES_MAX));
    }
    if (decoded.kind !== "more") settled = decoded;
  }
}

test("every mutation has one outcome, whatever the pieces", () => {
  fc.assert(
    fc.property(mutated, (bytes) => holds(decodeProxyHeader, bytes)),
    { numRuns: runs(700) },
  );
});

test("canary: a decoder that looks past the end is found", () => {
  const careless: Decode = (bytes, start, end) =>
    end - start >= 12
      ? { kind: "header", bytes: end - start + 1, header: { version: 2, source: null, destination: null } }
      : { kind: "more" };
  expect(() => fc.assert(fc.property(mutated, (bytes) => holds(careless, bytes)))).toThrow();
});
