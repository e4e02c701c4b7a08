/** One control packet as bytes. Throws RangeError, which names the packet, for what the protocol can't say. */
import { Writer } from "./cursor.ts";
import { isFilter } from "./decode.ts";
import { fixedFlags, LEVEL_3_1_1, LEVEL_5, PACKET_TYPES, type Connect, type Level, type Packet } from "./packets.ts";
import { writeProperties, type Place, type Properties } from "./properties.ts";

const NO_BYTES = new Uint8Array(0);

/** `payload` is a PUBLISH's. */
export function encodePacket(packet: Packet, level: Level, payload: Uint8Array = NO_BYTES): Uint8Array {
  const number = (PACKET_TYPES as readonly string[]).indexOf(packet.type);
  if (number <= 0) throw new RangeError(`${JSON.stringify(packet.type)} is no packet of MQTT`);
  const body = new Writer();
  try {
    write(packet, body, packet.type === "CONNECT" ? packet.protocolLevel : level);
    if (packet.type === "PUBLISH") body.raw(payload);
    return new Writer()
      .u8((number << 4) | flagsOf(packet))
      .varint(body.length)
      .append(body)
      .bytes();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(`${packet.type}: ${error.message}`, { cause: error });
  }
}

function flagsOf(packet: Packet): number {
  if (packet.type !== "PUBLISH") return fixedFlags(packet.type);
  return (packet.dup ? 8 : 0) | (packet.qos << 1) | (packet.retain ? 1 : 0);
}

function write(packet: Packet, body: Writer, level: Level): void {
  switch (packet.type) {
    case "CONNECT":
      return writeConnect(packet, body);
    case "CONNACK":
      body.u8(packet.sessionPresent ? 1 : 0).u8(packet.reasonCode);
      return more(body, packet.properties, packet.type, level);
    case "PUBLISH":
      if (/[+#]/.test(packet.topic)) throw new RangeError("a topic with wildcards");
      if (packet.topic === "" && packet.properties?.topicAlias === undefined) throw new RangeError("no topic");
      body.text(packet.topic);
      if (packet.qos > 0) body.u16(identified(packet.packetIdentifier));
      return more(body, packet.properties, packet.type, level);
    case "PUBACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      body.u16(identified(packet.packetIdentifier));
      return optionalReason(body, packet.reasonCode, packet.properties, packet.type, level);
    case "SUBSCRIBE":
      body.u16(identified(packet.packetIdentifier));
      more(body, packet.properties, packet.type, level);
      if (packet.subscriptions.length === 0) throw new RangeError("no subscriptions");
      for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of packet.subscriptions) {
        const five = (noLocal === true ? 4 : 0) | (retainAsPublished === true ? 8 : 0) | ((retainHandling ?? 0) << 4);
        body.text(filtered(filter)).u8(qos | (level === LEVEL_5 ? five : 0));
      }
      return;
    case "UNSUBSCRIBE":
      body.u16(identified(packet.packetIdentifier));
      more(body, packet.properties, packet.type, level);
      if (packet.filters.length === 0) throw new RangeError("no filters");
      for (const filter of packet.filters) body.text(filtered(filter));
      return;
    case "SUBACK":
    case "UNSUBACK":
      body.u16(identified(packet.packetIdentifier));
      more(body, packet.properties, packet.type, level);
      if (packet.type === "UNSUBACK" && level === LEVEL_3_1_1) return;
      for (const code of packet.reasonCodes) body.u8(code);
      return;
    case "PINGREQ":
    case "PINGRESP":
      return;
    case "DISCONNECT":
    case "AUTH":
      if (packet.type === "AUTH" && level !== LEVEL_5) throw new RangeError("it is of MQTT 5.0");
      return optionalReason(body, packet.reasonCode, packet.properties, packet.type, level);
  }
}

function writeConnect(packet: Connect, body: Writer): void {
  const { protocolLevel: level, will, username, password } = packet;
  if (level === LEVEL_3_1_1 && password !== undefined && username === undefined) {
    throw new RangeError("a password without a user name");
  }
  const flags =
    (packet.cleanStart ? 2 : 0) |
    (will === undefined ? 0 : 4 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80);
  body.text("MQTT").u8(level).u8(flags).u16(packet.keepAlive);
  more(body, packet.properties, "CONNECT", level);
  body.text(packet.clientID);
  if (will !== undefined) {
    more(body, will.properties, "WILL", level);
    body.text(will.topic).binary(will.payload);
  }
  if (username !== undefined) body.text(username);
  if (password !== undefined) body.binary(password);
}

function optionalReason(
  body: Writer,
  code: number,
  properties: Properties | undefined,
  place: Place,
  level: Level,
): void {
  if (level === LEVEL_3_1_1 || (code === 0 && properties === undefined)) return;
  body.u8(code);
  if (properties !== undefined) more(body, properties, place, level);
}

function more(body: Writer, properties: Properties | undefined, place: Place, level: Level): void {
  if (level === LEVEL_5) writeProperties(body, properties, place);
}

function identified(packetIdentifier: number | undefined): number {
  if (packetIdentifier === undefined || packetIdentifier === 0) throw new RangeError("no packet identifier");
  return packetIdentifier;
}

function filtered(filter: string): string {
  if (!isFilter(filter)) throw new RangeError(`${JSON.stringify(filter)} is no topic filter`);
  return filter;
}
