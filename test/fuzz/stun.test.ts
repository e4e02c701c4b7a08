/** STUN messages: come back as they were made; damaged or cut off, they are refused, or can be written as they were read. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeStun, encodeStun, type StunMessage } from "#pipeline/codecs/stun/message.ts";
import { finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

/** Not those of addresses, which are read as such. */
const attribute = fc.record({ type: fc.integer({ min: 0x21, max: 0xffff }), value: fc.uint8Array({ maxLength: 20 }) });
const message: fc.Arbitrary<StunMessage> = fc.record(
  {
    type: fc.nat(0x3fff),
    transactionID: fc.uint8Array({ minLength: 12, maxLength: 12 }),
    mapped: fc.record({ address: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::1", "::")), port: fc.nat(0xffff) }),
    attributes: fc.array(attribute, { maxLength: 4 }),
  },
  { requiredKeys: ["type", "transactionID", "attributes"] },
);
const SPLICES = [
  "00",
  "01",
  "02",
  "04",
  "08",
  "20",
  "ff",
  "0001",
  "0020",
  "0004",
  "2112a442",
  "0001 0008",
  "00010000",
].map((hex) => Buffer.from(hex.replace(" ", ""), "hex"));
const damaged = message.chain((one) => mutatedBytes([encodeStun(one)], SPLICES, 3));

type Decode = typeof decodeStun;

function comesBack(decode: Decode, one: StunMessage): void {
  expect(decode(encodeStun(one))).toEqual(one);
}

/** Its length stands in it: no beginning is a message, and nothing may follow. */
function holds(decode: Decode, bytes: Uint8Array): void {
  const found = decode(bytes);
  if (typeof found === "string") return;
  expect(decodeStun(encodeStun(found))).toEqual(found);
  for (let end = 0; end < bytes.length; end++) expect(decode(bytes.subarray(0, end))).toBeTypeOf("string");
  expect(decode(Buffer.concat([bytes, Buffer.alloc(4)]))).toBeTypeOf("string");
}

describe("a STUN message", () => {
  it("comes back as it was made", () => {
    fc.assert(
      fc.property(message, (one) => comesBack(decodeStun, one)),
      { numRuns: runs(2000) },
    );
  });

  it("is refused when it is damaged, or can be written as it was read", () => {
    fc.assert(
      fc.property(damaged, (bytes) => holds(decodeStun, bytes)),
      { numRuns: runs(2000) },
    );
  });
});

describe("canaries: the harness catches a reader that", () => {
  it("takes an address as it lies there", () => {
    const plain: Decode = (bytes) => {
      const found = decodeStun(bytes);
      if (typeof found === "string" || found.mapped === undefined) return found;
      return { ...found, mapped: { ...found.mapped, port: found.mapped.port ^ 0x2112 } };
    };
    expect(finds(message, (one) => comesBack(plain, one))).toBe(true);
  });

  it("believes that what has come is all", () => {
    const believing: Decode = (bytes) => {
      const copy = Buffer.from(bytes);
      if (copy.length >= 20) copy.writeUInt16BE(copy.length - 20, 2);
      return decodeStun(copy);
    };
    expect(finds(damaged, (bytes) => holds(believing, bytes))).toBe(true);
  });
});
