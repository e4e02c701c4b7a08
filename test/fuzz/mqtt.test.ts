/**
 * MQTT, both versions: packets of every type come back as they were made, and a stream of them, whole or damaged, has the same
 * packets and the same end wherever it is cut. Nothing holds more than its bound.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePacket } from "#pipeline/codecs/mqtt/decode.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { Framer } from "#pipeline/codecs/mqtt/framer.ts";
import { LEVEL_3_1_1, LEVEL_5, type Level, type Packet, type QoS } from "#pipeline/codecs/mqtt/packets.ts";
import type { Properties } from "#pipeline/codecs/mqtt/properties.ts";
import { expectAlikeHoweverCut, finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const BYTES_MAX = 300;

const text = fc.string({ unit: "grapheme", maxLength: 12 }).filter((one) => !one.includes("\0"));
const topic = text.filter((one) => one !== "" && !/[+#]/.test(one));
const filter = fc.oneof(topic, fc.constantFrom("#", "+/a", "a/+/b", "a/#"));
const binary = fc.uint8Array({ maxLength: 20 });
/** Some so long that the length before it takes two bytes. */
const content = fc.oneof({ weight: 9, arbitrary: binary }, fc.uint8Array({ minLength: 100, maxLength: 250 }));
const qos = fc.constantFrom<QoS>(0, 1, 2);
const u16 = fc.nat(0xffff);
const identifier = fc.integer({ min: 1, max: 0xffff });
const code = fc.nat(0xff);

/** Of 5.0, those that a kind of packet may have; never an empty set, which is none. */
function properties(
  of: Partial<Record<keyof Properties, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<{ properties?: Properties }> {
  const all = { userProperty: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 2 }), ...of };
  return fc
    .record(all, { requiredKeys: [] })
    .map((found) => (Object.keys(found).length === 0 ? {} : { properties: found as Properties }));
}

function packets(level: Level): fc.Arbitrary<Packet> {
  const five = level === LEVEL_5;
  const more = (of: Parameters<typeof properties>[0] = {}): ReturnType<typeof properties> =>
    five ? properties(of) : fc.constant({});
  const merged = <T extends object>(base: fc.Arbitrary<T>, rest: ReturnType<typeof properties>): fc.Arbitrary<T> =>
    fc.tuple(base, rest).map(([one, other]) => ({ ...one, ...other }));
  const type = <T extends string>(...names: T[]): fc.Arbitrary<T> => fc.constantFrom(...names);
  const will = merged(
    fc.record({ topic, payload: binary, qos, retain: fc.boolean() }),
    more({ willDelayInterval: fc.nat(), contentType: text }),
  );
  const connect = merged(
    fc.record(
      {
        type: type("CONNECT"),
        protocolLevel: fc.constant(level),
        clientID: text,
        cleanStart: fc.boolean(),
        keepAlive: u16,
        will,
        username: text,
        password: binary,
      },
      { requiredKeys: ["type", "protocolLevel", "clientID", "cleanStart", "keepAlive", "username"] },
    ),
    more({ sessionExpiryInterval: fc.nat(), receiveMaximum: identifier, authenticationData: binary }),
  );
  const publish = fc
    .tuple(
      fc.record({ type: type("PUBLISH"), topic, dup: fc.boolean(), retain: fc.boolean() }),
      qos,
      identifier,
      more({
        topicAlias: identifier,
        subscriptionIdentifier: fc.array(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 2 }),
      }),
    )
    .map(([one, quality, packetIdentifier, rest]) =>
      quality === 0
        ? { ...one, qos: quality, dup: false, ...rest }
        : { ...one, qos: quality, packetIdentifier, ...rest },
    );
  const reason = five ? code : fc.constant(0);
  const subscription = five
    ? fc.record({
        filter,
        qos,
        noLocal: fc.boolean(),
        retainAsPublished: fc.boolean(),
        retainHandling: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      })
    : fc.record({ filter, qos });
  const some = { minLength: 1, maxLength: 3 };
  const unsubscribed = five ? fc.array(code, some) : fc.constant([]);
  return fc.oneof<fc.Arbitrary<Packet>[]>(
    connect,
    publish,
    merged(
      fc.record({ type: type("CONNACK"), sessionPresent: fc.boolean(), reasonCode: code }),
      more({ maximumQoS: fc.nat(1), serverReference: text }),
    ),
    merged(
      fc.record({
        type: type("PUBACK", "PUBREC", "PUBREL", "PUBCOMP"),
        packetIdentifier: identifier,
        reasonCode: reason,
      }),
      more({ reasonString: text }),
    ),
    merged(
      fc.record({ type: type("SUBSCRIBE"), packetIdentifier: identifier, subscriptions: fc.array(subscription, some) }),
      more(),
    ),
    merged(
      fc.record({ type: type("UNSUBSCRIBE"), packetIdentifier: identifier, filters: fc.array(filter, some) }),
      more(),
    ),
    merged(
      fc.record({ type: type("SUBACK"), packetIdentifier: identifier, reasonCodes: fc.array(code, some) }),
      more({ reasonString: text }),
    ),
    merged(fc.record({ type: type("UNSUBACK"), packetIdentifier: identifier, reasonCodes: unsubscribed }), more()),
    fc.record({ type: type("PINGREQ", "PINGRESP") }),
    merged(
      fc.record({ type: five ? type("DISCONNECT", "AUTH") : type("DISCONNECT"), reasonCode: reason }),
      more({ reasonString: text }),
    ),
  );
}

type Decode = typeof decodePacket;

interface Made {
  readonly level: Level;
  readonly packet: Packet;
  readonly payload: Uint8Array;
}

const made: fc.Arbitrary<Made> = fc.constantFrom<Level>(LEVEL_3_1_1, LEVEL_5).chain((level) =>
  fc.record({ level: fc.constant(level), packet: packets(level), payload: content }).map((one) => ({
    ...one,
    payload: one.packet.type === "PUBLISH" ? one.payload : new Uint8Array(0),
  })),
);

function comesBack(decode: Decode, { level, packet, payload }: Made): void {
  const taken: unknown[] = [];
  const wire = encodePacket(packet, level, payload);
  const malformed = new Framer(wire.length).push(wire, (first, body) => taken.push(decode(first, body, level)) > 0);
  expect(malformed).toBeNull();
  expect(taken).toEqual([
    { packet, payload: expect.toSatisfy((one: Uint8Array) => Buffer.compare(one, payload) === 0) },
  ]);
}

const stream = fc
  .tuple(fc.constantFrom<Level>(LEVEL_3_1_1, LEVEL_5), fc.integer({ min: 1, max: 4 }))
  .chain(([level, count]) =>
    fc.array(fc.tuple(packets(level), content), { minLength: count, maxLength: count }).map((all) => ({
      level,
      wire: Buffer.concat(all.map(([packet, payload]) => encodePacket(packet, level, payload))),
    })),
  );
const SPLICES = [
  "00",
  "01",
  "02",
  "04",
  "05",
  "10",
  "30",
  "3d",
  "62",
  "7f",
  "80",
  "8080",
  "ff",
  "ffffff7f",
  "c000",
  "0004",
  "c3a4",
  "26",
].map((hex) => Buffer.from(hex, "hex"));
const damaged = stream.chain(({ level, wire }) =>
  mutatedBytes([wire], SPLICES, 4).map((bytes) => ({ level, wire: bytes })),
);

/** Packets and why they end. */
function reading(level: Level, framer: Pick<Framer, "push" | "held">, pieces: readonly Uint8Array[]): unknown {
  const found: unknown[] = [];
  let malformed: string | null = null;
  for (const piece of pieces) {
    malformed = framer.push(piece, (first, body) => {
      if (body.length > BYTES_MAX) throw new Error(`${body.length} bytes`);
      const decoded = decodePacket(first, body, level);
      // A copy: what is given lies in the piece.
      found.push(typeof decoded === "string" ? decoded : { ...decoded, payload: Uint8Array.from(decoded.payload) });
      return typeof decoded !== "string";
    });
    if (framer.held > BYTES_MAX) throw new Error(`${framer.held} bytes are held`);
    if (malformed !== null || typeof found.at(-1) === "string") break;
  }
  return { found, malformed };
}

/** What is read of damaged packets is as well formed as what is made: it can be written, and means the same. */
function canBeWritten({ level, wire }: { readonly level: Level; readonly wire: Buffer }): void {
  new Framer(BYTES_MAX).push(wire, (first, body) => {
    const decoded = decodePacket(first, body, level);
    if (typeof decoded === "string") return false;
    const { packet, payload } = decoded;
    comesBack(decodePacket, { level, packet, payload: Uint8Array.from(payload) });
    return true;
  });
}

describe("MQTT packets", () => {
  it("come back as they were made", () => {
    fc.assert(
      fc.property(made, (one) => comesBack(decodePacket, one)),
      { numRuns: runs(3000) },
    );
  });

  it("that were damaged are refused, or can be written as they were read", () => {
    fc.assert(fc.property(damaged, canBeWritten), { numRuns: runs(2000) });
  });

  it("of a stream are the same however it is cut", () => {
    fc.assert(
      fc.property(fc.oneof(stream, damaged), ({ level, wire }) =>
        expectAlikeHoweverCut((pieces) => reading(level, new Framer(BYTES_MAX), pieces), wire),
      ),
      { numRuns: runs(300) },
    );
  });
});

describe("canaries: the harness catches", () => {
  it.each<[string, Decode]>([
    ["a decoder that ignores a flag", (first, body, level) => decodePacket(first & 0xf7, body, level)],
    ["one that takes every packet for one of 3.1.1", (first, body) => decodePacket(first, body, LEVEL_3_1_1)],
    ["one that loses the last byte", (first, body, level) => decodePacket(first, body.subarray(0, -1), level)],
  ])("%s", (_name, decode) => {
    expect(finds(made, (one) => comesBack(decode, one))).toBe(true);
  });

  it("a framer that forgets the header it has seen half of", () => {
    const forgetful = (): Pick<Framer, "push" | "held"> => {
      let framer = new Framer(BYTES_MAX);
      return {
        held: 0,
        push: (bytes, take) => {
          if (framer.held === 1) framer = new Framer(BYTES_MAX);
          return framer.push(bytes, take);
        },
      };
    };
    expect(
      finds(stream, ({ level, wire }) => expectAlikeHoweverCut((pieces) => reading(level, forgetful(), pieces), wire)),
    ).toBe(true);
  });
});
