/**
 * One control packet, read whole. What the standards call malformed, or a protocol error that shows in the packet alone, is
 * refused with the reason: nothing half understood reaches a script, nor a broker behind it.
 */
import { Cursor } from "./cursor.ts";
import {
  fixedFlags,
  LEVEL_3_1_1,
  LEVEL_5,
  PACKET_TYPES,
  type Connect,
  type Level,
  type Packet,
  type QoS,
  type Subscription,
  type Will,
} from "./packets.ts";
import { readProperties, type Place, type Properties } from "./properties.ts";

export interface Decoded {
  readonly packet: Packet;
  /** Of a PUBLISH, as it lies in what was given; empty for others. */
  readonly payload: Uint8Array;
}

type Type = Packet["type"];

/** `first`: the packet's first byte; `body`: what stands behind its length. Text: why it is malformed. */
export function decodePacket(first: number, body: Uint8Array, level: Level): Decoded | string {
  const type = PACKET_TYPES[first >> 4] as Type | "";
  if (type === "") return "a packet of type 0";
  const flags = first & 0x0f;
  if (type !== "PUBLISH" && flags !== fixedFlags(type)) return `${type} with reserved flags`;
  const cursor = new Cursor(body);
  const packet = read(type, flags, cursor, level);
  const payload = type === "PUBLISH" ? cursor.rest() : new Uint8Array(0);
  if (cursor.failure === null && cursor.left > 0) cursor.fail("the packet is longer than what it says");
  return cursor.failure === null ? { packet, payload } : `${type}: ${cursor.failure}`;
}

function read(type: Type, flags: number, cursor: Cursor, level: Level): Packet {
  switch (type) {
    case "CONNECT":
      return readConnect(cursor);
    case "CONNACK": {
      const acknowledge = cursor.u8();
      if (acknowledge > 1) cursor.fail("reserved flags");
      const reasonCode = cursor.u8();
      return { type, sessionPresent: acknowledge === 1, reasonCode, ...properties(cursor, type, level) };
    }
    case "PUBLISH":
      return readPublish(flags, cursor, level);
    case "PUBACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      return { type, packetIdentifier: identifier(cursor), ...optionalReason(cursor, type, level) };
    case "SUBSCRIBE": {
      const packetIdentifier = identifier(cursor);
      const more = properties(cursor, type, level);
      return { type, packetIdentifier, subscriptions: list(cursor, () => subscription(cursor, level)), ...more };
    }
    case "UNSUBSCRIBE": {
      const packetIdentifier = identifier(cursor);
      const more = properties(cursor, type, level);
      return { type, packetIdentifier, filters: list(cursor, () => filter(cursor)), ...more };
    }
    case "SUBACK":
    case "UNSUBACK": {
      const packetIdentifier = identifier(cursor);
      const more = properties(cursor, type, level);
      const none = type === "UNSUBACK" && level === LEVEL_3_1_1;
      return { type, packetIdentifier, reasonCodes: none ? [] : list(cursor, () => cursor.u8()), ...more };
    }
    case "PINGREQ":
    case "PINGRESP":
      return { type };
    case "DISCONNECT":
    case "AUTH":
      if (type === "AUTH" && level !== LEVEL_5) cursor.fail("it is of MQTT 5.0");
      return { type, ...optionalReason(cursor, type, level) };
  }
}

/** 3.1.1 and 5.0 §3.1. */
function readConnect(cursor: Cursor): Connect {
  const protocol = cursor.text();
  const level = cursor.u8();
  if (protocol !== "MQTT" || (level !== LEVEL_3_1_1 && level !== LEVEL_5)) {
    cursor.fail(`protocol ${JSON.stringify(protocol)} of level ${level}: MQTT of level 4 or 5 is spoken here`);
  }
  const protocolLevel = level === LEVEL_5 ? LEVEL_5 : LEVEL_3_1_1;
  const flags = cursor.u8();
  if ((flags & 1) !== 0) cursor.fail("reserved flags");
  const hasWill = (flags & 4) !== 0;
  if (!hasWill && (flags & 0x38) !== 0) cursor.fail("flags of a will without a will");
  const [hasPassword, hasUsername] = [(flags & 0x40) !== 0, (flags & 0x80) !== 0];
  if (protocolLevel === LEVEL_3_1_1 && hasPassword && !hasUsername) cursor.fail("a password without a user name");
  const keepAlive = cursor.u16();
  const more = properties(cursor, "CONNECT", protocolLevel);
  const clientID = cursor.text();
  const will = hasWill ? { will: readWill(flags, cursor, protocolLevel) } : undefined;
  return {
    type: "CONNECT",
    protocolLevel,
    clientID,
    cleanStart: (flags & 2) !== 0,
    keepAlive,
    ...will,
    ...(hasUsername ? { username: cursor.text() } : undefined),
    ...(hasPassword ? { password: cursor.binary() } : undefined),
    ...more,
  };
}

function readWill(flags: number, cursor: Cursor, level: Level): Will {
  const more = properties(cursor, "WILL", level);
  const topic = topicName(cursor);
  return {
    topic,
    payload: cursor.binary(),
    qos: quality((flags >> 3) & 3, cursor),
    retain: (flags & 0x20) !== 0,
    ...more,
  };
}

function readPublish(flags: number, cursor: Cursor, level: Level): Packet {
  const qos = quality((flags >> 1) & 3, cursor);
  const dup = (flags & 8) !== 0;
  if (dup && qos === 0) cursor.fail("sent again without QoS");
  const topic = topicName(cursor);
  const more = qos === 0 ? undefined : { packetIdentifier: identifier(cursor) };
  const found = properties(cursor, "PUBLISH", level);
  // The topic may be left out where an alias stands for it (5.0 §3.3.2.1).
  if (topic === "" && found?.properties?.topicAlias === undefined) cursor.fail("no topic");
  return { type: "PUBLISH", topic, qos, dup, retain: (flags & 1) !== 0, ...more, ...found };
}

function subscription(cursor: Cursor, level: Level): Subscription {
  const name = filter(cursor);
  const options = cursor.u8();
  const qos = quality(options & 3, cursor);
  const retainHandling = (options >> 4) & 3;
  const reserved = level === LEVEL_5 ? options & 0xc0 : options & 0xfc;
  if (reserved !== 0 || retainHandling === 3) cursor.fail("reserved options");
  if (level === LEVEL_3_1_1) return { filter: name, qos };
  return {
    filter: name,
    qos,
    noLocal: (options & 4) !== 0,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

/** A reason and properties that may be left out from behind (5.0 §3.4.2.1). */
function optionalReason(
  cursor: Cursor,
  place: Place,
  level: Level,
): { readonly reasonCode: number; readonly properties?: Properties } {
  if (level === LEVEL_3_1_1 || cursor.left === 0) return { reasonCode: 0 };
  const reasonCode = cursor.u8();
  return cursor.left === 0 ? { reasonCode } : { reasonCode, ...properties(cursor, place, level) };
}

function properties(cursor: Cursor, place: Place, level: Level): { readonly properties?: Properties } | undefined {
  const found = level === LEVEL_5 ? readProperties(cursor, place) : undefined;
  return found === undefined ? undefined : { properties: found };
}

function list<T>(cursor: Cursor, readOne: () => T): T[] {
  const all = [readOne()];
  while (cursor.left > 0 && cursor.failure === null) all.push(readOne());
  return all;
}

function identifier(cursor: Cursor): number {
  const number = cursor.u16();
  if (number === 0) cursor.fail("packet identifier 0");
  return number;
}

function quality(bits: number, cursor: Cursor): QoS {
  if (bits === 0 || bits === 1 || bits === 2) return bits;
  cursor.fail("QoS 3");
  return 0;
}

function topicName(cursor: Cursor): string {
  const topic = cursor.text();
  if (topic.includes("+") || topic.includes("#")) cursor.fail("a topic with wildcards");
  return topic;
}

function filter(cursor: Cursor): string {
  const text = cursor.text();
  if (!isFilter(text)) cursor.fail(`${JSON.stringify(text)} is no topic filter`);
  return text;
}

/** 5.0 §4.7.1: `+` is a whole level, `#` the whole last one. */
export function isFilter(text: string): boolean {
  const levels = text.split("/");
  return (
    text !== "" && levels.every((one, i) => one === "+" || (one === "#" ? i === levels.length - 1 : !/[+#]/.test(one)))
  );
}
