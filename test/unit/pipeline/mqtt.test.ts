import { describe, expect, it } from "vitest";
import { decodePacket, type Decoded } from "#pipeline/codecs/mqtt/decode.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { Framer } from "#pipeline/codecs/mqtt/framer.ts";
import { LEVEL_3_1_1, LEVEL_5, type Level, type Packet } from "#pipeline/codecs/mqtt/packets.ts";
import { topicMatches } from "#pipeline/codecs/mqtt/topics.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

/** Of one packet as it stands on the wire. */
function decode(wire: Uint8Array, level: Level): Decoded | string {
  let decoded: Decoded | string = "no packet";
  const malformed = new Framer(1 << 20).push(wire, (first, body) => {
    decoded = decodePacket(first, Uint8Array.from(body), level);
    return true;
  });
  return malformed ?? decoded;
}

/** Bytes written by hand from the standards' own tables. */
type Vector = [name: string, level: Level, wire: string, packet: Packet, payload: string];
const vectors: Vector[] = [
  [
    "CONNECT 3.1.1",
    LEVEL_3_1_1,
    "10 1d 0004 4d515454 04 ce 000a 0001 61 0001 77 0002 6869 0001 75 0004 70617373",
    {
      type: "CONNECT",
      protocolLevel: LEVEL_3_1_1,
      clientID: "a",
      cleanStart: true,
      keepAlive: 10,
      will: { topic: "w", payload: bytes("6869"), qos: 1, retain: false },
      username: "u",
      password: bytes("70617373"),
    },
    "",
  ],
  [
    "CONNECT 5.0",
    LEVEL_5,
    "10 13 0004 4d515454 05 02 003c 05 11 00000e10 0001 61",
    {
      type: "CONNECT",
      protocolLevel: LEVEL_5,
      clientID: "a",
      cleanStart: true,
      keepAlive: 60,
      properties: { sessionExpiryInterval: 3600 },
    },
    "",
  ],
  ["CONNACK 3.1.1", LEVEL_3_1_1, "20 02 01 00", { type: "CONNACK", sessionPresent: true, reasonCode: 0 }, ""],
  [
    "CONNACK 5.0",
    LEVEL_5,
    "20 06 00 87 03 21 0014",
    { type: "CONNACK", sessionPresent: false, reasonCode: 0x87, properties: { receiveMaximum: 20 } },
    "",
  ],
  [
    "PUBLISH QoS 0",
    LEVEL_3_1_1,
    "31 07 0003 612f62 6869",
    { type: "PUBLISH", topic: "a/b", qos: 0, dup: false, retain: true },
    "6869",
  ],
  [
    "PUBLISH QoS 2 5.0",
    LEVEL_5,
    "3c 0e 0001 74 0007 07 26 0001 6b 0001 76 78",
    {
      type: "PUBLISH",
      topic: "t",
      qos: 2,
      dup: true,
      retain: false,
      packetIdentifier: 7,
      properties: { userProperty: [["k", "v"]] },
    },
    "78",
  ],
  ["PUBACK 3.1.1", LEVEL_3_1_1, "40 02 1234", { type: "PUBACK", packetIdentifier: 0x1234, reasonCode: 0 }, ""],
  ["PUBREC 5.0", LEVEL_5, "50 03 0001 10", { type: "PUBREC", packetIdentifier: 1, reasonCode: 0x10 }, ""],
  ["PUBREL", LEVEL_5, "62 02 0001", { type: "PUBREL", packetIdentifier: 1, reasonCode: 0 }, ""],
  [
    "SUBSCRIBE 5.0",
    LEVEL_5,
    "82 0a 000a 00 0004 612f2f23 2d",
    {
      type: "SUBSCRIBE",
      packetIdentifier: 10,
      subscriptions: [{ filter: "a//#", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 }],
    },
    "",
  ],
  [
    "SUBSCRIBE 3.1.1",
    LEVEL_3_1_1,
    "82 0a 000a 0001 61 01 0001 2b 02",
    {
      type: "SUBSCRIBE",
      packetIdentifier: 10,
      subscriptions: [
        { filter: "a", qos: 1 },
        { filter: "+", qos: 2 },
      ],
    },
    "",
  ],
  ["SUBACK", LEVEL_3_1_1, "90 04 000a 01 80", { type: "SUBACK", packetIdentifier: 10, reasonCodes: [1, 0x80] }, ""],
  ["UNSUBSCRIBE", LEVEL_3_1_1, "a2 05 000a 0001 61", { type: "UNSUBSCRIBE", packetIdentifier: 10, filters: ["a"] }, ""],
  ["UNSUBACK 3.1.1", LEVEL_3_1_1, "b0 02 000a", { type: "UNSUBACK", packetIdentifier: 10, reasonCodes: [] }, ""],
  ["UNSUBACK 5.0", LEVEL_5, "b0 04 000a 00 11", { type: "UNSUBACK", packetIdentifier: 10, reasonCodes: [0x11] }, ""],
  ["PINGREQ", LEVEL_3_1_1, "c0 00", { type: "PINGREQ" }, ""],
  ["PINGRESP", LEVEL_5, "d0 00", { type: "PINGRESP" }, ""],
  ["DISCONNECT 3.1.1", LEVEL_3_1_1, "e0 00", { type: "DISCONNECT", reasonCode: 0 }, ""],
  [
    "DISCONNECT 5.0",
    LEVEL_5,
    "e0 06 8e 04 1f 0001 78",
    { type: "DISCONNECT", reasonCode: 0x8e, properties: { reasonString: "x" } },
    "",
  ],
  [
    "AUTH",
    LEVEL_5,
    "f0 06 18 04 15 0001 6d",
    { type: "AUTH", reasonCode: 0x18, properties: { authenticationMethod: "m" } },
    "",
  ],
];

describe("packets", () => {
  it.each(vectors)("%s", (_name, level, hex, packet, payload) => {
    const wire = bytes(hex);
    const decoded = decode(wire, level);
    expect(decoded).toEqual({ packet, payload: bytes(payload) });
    expect(Buffer.from(encodePacket(packet, level, bytes(payload))).toString("hex")).toBe(
      Buffer.from(wire).toString("hex"),
    );
  });

  it.each(vectors)("%s, cut off anywhere, is refused", (_name, level, hex) => {
    const wire = bytes(hex);
    const first = wire[0] as number;
    const body = wire.subarray(2);
    for (let length = 0; length < body.length; length++) {
      const decoded = decodePacket(first, body.subarray(0, length), level);
      // What may be left out from behind, and a payload, are shorter packets in their own right.
      if (typeof decoded === "string") continue;
      const again = encodePacket(decoded.packet, level, decoded.payload);
      expect(again.subarray(2)).toEqual(Buffer.from(body.subarray(0, length)));
    }
  });
});

describe("malformed", () => {
  it.each([
    ["type 0", LEVEL_5, "00 00", "type 0"],
    ["reserved flags", LEVEL_5, "c1 00", "reserved flags"],
    ["flags that SUBSCRIBE must have", LEVEL_5, "80 07 0001 00 0001 61 00", "reserved flags"],
    ["a length of five bytes", LEVEL_5, "30 ff ff ff ff 01", "four bytes"],
    ["more than it says", LEVEL_5, "c0 01 00", "longer than"],
    ["QoS 3", LEVEL_3_1_1, "36 05 0001 61 0001", "QoS 3"],
    ["sent again without QoS", LEVEL_3_1_1, "38 03 0001 61", "without QoS"],
    ["packet identifier 0", LEVEL_3_1_1, "32 05 0001 61 0000", "identifier 0"],
    ["a topic with wildcards", LEVEL_3_1_1, "30 03 0001 2b", "wildcards"],
    ["no topic", LEVEL_3_1_1, "30 02 0000", "no topic"],
    ["no topic and no alias", LEVEL_5, "30 03 0000 00", "no topic"],
    ["text that is not UTF-8", LEVEL_3_1_1, "30 03 0001 ff", "UTF-8"],
    ["text with a zero", LEVEL_3_1_1, "30 03 0001 00", "zero"],
    ["another protocol", LEVEL_3_1_1, "10 0d 0004 4d514949 03 02 000a 0001 61", "level 3"],
    ["a will's flags without a will", LEVEL_3_1_1, "10 0d 0004 4d515454 04 08 000a 0001 61", "will"],
    ["a password without a user", LEVEL_3_1_1, "10 10 0004 4d515454 04 40 000a 0001 61 0001 70", "user name"],
    ["no subscriptions", LEVEL_3_1_1, "82 02 0001", "ends in the middle"],
    ["a filter that is none", LEVEL_3_1_1, "82 07 0001 0002 612b 00", "topic filter"],
    ["reserved options", LEVEL_3_1_1, "82 06 0001 0001 61 04", "options"],
    ["retain handling 3", LEVEL_5, "82 07 0001 00 0001 61 30", "options"],
    ["an unknown property", LEVEL_5, "20 05 00 00 02 7f 00", "unknown"],
    ["a property in the wrong place", LEVEL_5, "20 06 00 00 03 23 0001", "no place"],
    ["a property twice", LEVEL_5, "20 09 00 00 06 21 0001 21 0001", "twice"],
    ["a property that is 0", LEVEL_5, "20 06 00 00 03 21 0000", "is 0"],
    ["properties longer than the packet", LEVEL_5, "20 03 00 00 09", "longer than the packet"],
    ["a length written too long", LEVEL_5, "20 04 00 00 80 00", "longer than it must"],
    ["AUTH of 3.1.1", LEVEL_3_1_1, "f0 00", "5.0"],
  ] as const)("%s", (_name, level, hex, reason) => {
    expect(decode(bytes(hex), level)).toContain(reason);
  });

  it("is not written either", () => {
    const publish = { type: "PUBLISH", topic: "a", qos: 0, dup: false, retain: false } as const;
    expect(() => encodePacket({ ...publish, topic: "#" }, LEVEL_5)).toThrow("PUBLISH: a topic with wildcards");
    expect(() => encodePacket({ ...publish, qos: 1 }, LEVEL_5)).toThrow("identifier");
    expect(() => encodePacket({ ...publish, topic: "" }, LEVEL_5)).toThrow("no topic");
    expect(() => encodePacket({ ...publish, properties: { serverKeepAlive: 1 } }, LEVEL_5)).toThrow("no place");
    expect(() => encodePacket({ ...publish, topic: "x".repeat(65_536) }, LEVEL_5)).toThrow("65535");
    expect(() => encodePacket({ type: "AUTH", reasonCode: 0 }, LEVEL_3_1_1)).toThrow("5.0");
    expect(() => encodePacket({ type: "SUBSCRIBE", packetIdentifier: 1, subscriptions: [] }, LEVEL_5)).toThrow(
      "no subs",
    );
    expect(() => encodePacket({ type: "HELLO" } as unknown as Packet, LEVEL_5)).toThrow("HELLO");
  });
});

describe("a stream of packets", () => {
  it("ends at a packet that is too long, before it has come", () => {
    for (const cut of [1, 2, 3, 5]) {
      const framer = new Framer(100);
      const wire = bytes("30 80 80 01 00 00");
      const answers = [framer.push(wire.subarray(0, cut), () => true), framer.push(wire.subarray(cut), () => true)];
      expect(answers.join("")).toContain("100 are taken");
    }
  });

  it("stops when no more is wanted", () => {
    let taken = 0;
    new Framer(100).push(bytes("c000 c000 c000"), () => ++taken < 2);
    expect(taken).toBe(2);
  });
});

describe("topic filters", () => {
  it.each([
    ["a/b", "a/b", true],
    ["a/b", "a/b/c", false],
    ["a/+", "a/b", true],
    ["a/+", "a", false],
    ["a/+", "a/", true],
    ["+/b", "/b", true],
    ["a/#", "a", true],
    ["a/#", "a/b/c", true],
    ["#", "a/b", true],
    ["#", "$SYS/x", false],
    ["+/x", "$SYS/x", false],
    ["$SYS/#", "$SYS/x", true],
    ["a/b/+", "a/b", false],
  ] as const)("%s %s: %s", (filter, name, expected) => {
    expect(topicMatches(filter, name)).toBe(expected);
  });
});
