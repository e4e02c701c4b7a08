import { describe, expect, it } from "vitest";
import { decodeStun, encodeStun, STUN_SUCCESS, type StunMessage } from "#pipeline/codecs/stun/message.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const ID = "b7e7a701bc34d686fa87dfae";

describe("an answer", () => {
  // The addresses of RFC 5769 sections 2.2 and 2.3, without the attributes that authenticate them.
  it.each([
    [`0101 000c 2112a442 ${ID} 0020 0008 0001 a147 e112a643`, "192.0.2.1"],
    [
      `0101 0018 2112a442 ${ID} 0020 0014 0002 a147 0113a9faa5d3f179bc25f4b5bed2b9d9`,
      "2001:db8:1234:5678:11:2233:4455:6677",
    ],
  ])("%s", (hex, address) => {
    const message = decodeStun(bytes(hex));
    const expected: StunMessage = {
      type: STUN_SUCCESS,
      transactionID: bytes(ID),
      mapped: { address, port: 32853 },
      attributes: [],
    };
    expect(message).toEqual(expected);
    expect(Buffer.from(encodeStun(expected)).toString("hex")).toBe(hex.replaceAll(" ", ""));
  });

  it("of an old server has its address in the open, which the hidden one outweighs", () => {
    const open = `0001 0008 0001 1234 c6336401`;
    expect(decodeStun(bytes(`0101 000c 2112a442 ${ID} ${open}`))).toMatchObject({
      mapped: { address: "198.51.100.1", port: 0x1234 },
    });
    const both = `0101 0018 2112a442 ${ID} ${open} 0020 0008 0001 a147 e112a643`;
    expect(decodeStun(bytes(both))).toMatchObject({ mapped: { address: "192.0.2.1" } });
  });
});

it.each([
  ["short", "0001 0000 2112a442", "header"],
  ["another cookie", `0001 0000 2112a443 ${ID}`, "another protocol"],
  ["other first bits", `8001 0000 2112a442 ${ID}`, "another protocol"],
  ["a length that is not its own", `0001 0004 2112a442 ${ID}`, "length"],
  ["an attribute that is too long", `0001 0004 2112a442 ${ID} 8022 0004`, "longer"],
  ["an address of no family", `0101 000c 2112a442 ${ID} 0020 0008 0003 a147 e112a643`, "family"],
])("%s is refused", (_name, hex, reason) => {
  expect(decodeStun(bytes(hex))).toContain(reason);
});

it("a transaction id of another length is not written", () => {
  expect(() => encodeStun({ type: 1, transactionID: new Uint8Array(11) })).toThrow("12 bytes");
});
