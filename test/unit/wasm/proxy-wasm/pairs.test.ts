/** Serialised maps: the specification's example, the way there and back, and bytes that are none. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { decodePairs, encodePairs, type Pair } from "#wasm/proxy-wasm/pairs.ts";

const EXAMPLE = Uint8Array.from([
  2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0x61, 0, 0x31, 0, 0x62, 0, 0x32, 0x32, 0,
]);

it("writes and reads the specification's example", () => {
  const pairs: Pair[] = [
    ["a", "1"],
    ["b", "22"],
  ];
  expect(new Uint8Array(encodePairs(pairs))).toEqual(EXAMPLE);
  expect(decodePairs(EXAMPLE)).toEqual(pairs);
});

it("takes three forms of the empty map, and writes one", () => {
  for (const bytes of [[], [0], [0, 0, 0, 0]]) expect(decodePairs(Uint8Array.from(bytes))).toEqual([]);
  expect(encodePairs([])).toHaveLength(0);
});

const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

it("reads what it has written", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 20 }), (pairs) => {
      expect(decodePairs(encodePairs(pairs))).toEqual(pairs);
    }),
  );
});

it("refuses every beginning of a map, and whatever follows one", () => {
  for (let length = 2; length < EXAMPLE.length; length++) expect(decodePairs(EXAMPLE.subarray(0, length))).toBeNull();
  expect(decodePairs(Uint8Array.from([...EXAMPLE, 0]))).toBeNull();
});

it.each([
  ["a text without its NUL", 21, 1],
  ["a name that is longer than there are bytes", 4, 200],
  ["a length of four gigabytes", 11, 255],
  ["more pairs than there are bytes", 0, 100],
  ["as many pairs as a word can hold", 3, 255],
])("refuses %s", (_, at, value) => {
  const bytes = Uint8Array.from(EXAMPLE);
  bytes[at] = value;
  expect(decodePairs(bytes)).toBeNull();
});

it("never reads outside of what it is given", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const pairs = decodePairs(bytes);
      if (pairs !== null) expect(pairs.length).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
