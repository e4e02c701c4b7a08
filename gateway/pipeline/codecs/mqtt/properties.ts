/** Properties of MQTT 5.0 (§2.2.2): a table of names, types, and the packets in which they may stand. */
import type { Cursor, Writer } from "./cursor.ts";
import { Writer as PartWriter } from "./cursor.ts";

type Type = "byte" | "u16" | "u32" | "varint" | "text" | "binary" | "pair";

export interface Properties {
  readonly payloadFormatIndicator?: number;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly subscriptionIdentifier?: readonly number[];
  readonly sessionExpiryInterval?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
  readonly requestProblemInformation?: number;
  readonly willDelayInterval?: number;
  readonly requestResponseInformation?: number;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQoS?: number;
  readonly retainAvailable?: number;
  /** Names may repeat, and their order is kept. */
  readonly userProperty?: readonly (readonly [string, string])[];
  readonly maximumPacketSize?: number;
  readonly wildcardSubscriptionAvailable?: number;
  readonly subscriptionIdentifierAvailable?: number;
  readonly sharedSubscriptionAvailable?: number;
}

/** Where properties stand: a packet, or the will within CONNECT. */
export type Place =
  | "CONNECT"
  | "WILL"
  | "CONNACK"
  | "PUBLISH"
  | "PUBACK"
  | "PUBREC"
  | "PUBREL"
  | "PUBCOMP"
  | "SUBSCRIBE"
  | "SUBACK"
  | "UNSUBSCRIBE"
  | "UNSUBACK"
  | "DISCONNECT"
  | "AUTH";

interface Property {
  readonly id: number;
  readonly name: keyof Properties;
  readonly type: Type;
  readonly places: readonly Place[];
}

const ANSWERS = ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK"] as const;
const EVERYWHERE = [
  "CONNECT",
  "WILL",
  "CONNACK",
  "PUBLISH",
  ...ANSWERS,
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "DISCONNECT",
  "AUTH",
] as const;

const TABLE: readonly Property[] = [
  { id: 1, name: "payloadFormatIndicator", type: "byte", places: ["PUBLISH", "WILL"] },
  { id: 2, name: "messageExpiryInterval", type: "u32", places: ["PUBLISH", "WILL"] },
  { id: 3, name: "contentType", type: "text", places: ["PUBLISH", "WILL"] },
  { id: 8, name: "responseTopic", type: "text", places: ["PUBLISH", "WILL"] },
  { id: 9, name: "correlationData", type: "binary", places: ["PUBLISH", "WILL"] },
  { id: 11, name: "subscriptionIdentifier", type: "varint", places: ["PUBLISH", "SUBSCRIBE"] },
  { id: 17, name: "sessionExpiryInterval", type: "u32", places: ["CONNECT", "CONNACK", "DISCONNECT"] },
  { id: 18, name: "assignedClientIdentifier", type: "text", places: ["CONNACK"] },
  { id: 19, name: "serverKeepAlive", type: "u16", places: ["CONNACK"] },
  { id: 21, name: "authenticationMethod", type: "text", places: ["CONNECT", "CONNACK", "AUTH"] },
  { id: 22, name: "authenticationData", type: "binary", places: ["CONNECT", "CONNACK", "AUTH"] },
  { id: 23, name: "requestProblemInformation", type: "byte", places: ["CONNECT"] },
  { id: 24, name: "willDelayInterval", type: "u32", places: ["WILL"] },
  { id: 25, name: "requestResponseInformation", type: "byte", places: ["CONNECT"] },
  { id: 26, name: "responseInformation", type: "text", places: ["CONNACK"] },
  { id: 28, name: "serverReference", type: "text", places: ["CONNACK", "DISCONNECT"] },
  { id: 31, name: "reasonString", type: "text", places: ["CONNACK", ...ANSWERS, "DISCONNECT", "AUTH"] },
  { id: 33, name: "receiveMaximum", type: "u16", places: ["CONNECT", "CONNACK"] },
  { id: 34, name: "topicAliasMaximum", type: "u16", places: ["CONNECT", "CONNACK"] },
  { id: 35, name: "topicAlias", type: "u16", places: ["PUBLISH"] },
  { id: 36, name: "maximumQoS", type: "byte", places: ["CONNACK"] },
  { id: 37, name: "retainAvailable", type: "byte", places: ["CONNACK"] },
  { id: 38, name: "userProperty", type: "pair", places: EVERYWHERE },
  { id: 39, name: "maximumPacketSize", type: "u32", places: ["CONNECT", "CONNACK"] },
  { id: 40, name: "wildcardSubscriptionAvailable", type: "byte", places: ["CONNACK"] },
  { id: 41, name: "subscriptionIdentifierAvailable", type: "byte", places: ["CONNACK"] },
  { id: 42, name: "sharedSubscriptionAvailable", type: "byte", places: ["CONNACK"] },
];

const BY_ID = new Map(TABLE.map((property) => [property.id, property]));
/** Those whose value 0 is a protocol error. */
const NOT_ZERO: ReadonlySet<keyof Properties> = new Set([
  "subscriptionIdentifier",
  "receiveMaximum",
  "topicAlias",
  "maximumPacketSize",
]);

/** The properties at the cursor; undefined when there are none. */
export function readProperties(cursor: Cursor, place: Place): Properties | undefined {
  const found = new Map<keyof Properties, unknown>();
  cursor.within(cursor.varint(), () => {
    while (cursor.left > 0 && cursor.failure === null) readOne(cursor, place, found);
  });
  return found.size === 0 ? undefined : (Object.fromEntries(found) as Properties);
}

function readOne(cursor: Cursor, place: Place, found: Map<keyof Properties, unknown>): void {
  const id = cursor.varint();
  const property = BY_ID.get(id);
  if (property === undefined) return cursor.fail(`property ${id} is unknown`);
  const { name, type, places } = property;
  if (!places.includes(place)) return cursor.fail(`${name} has no place in ${place}`);
  const value = readValue(cursor, type);
  if (value === 0 && NOT_ZERO.has(name)) return cursor.fail(`${name} is 0`);
  if (type === "byte" && value !== 0 && value !== 1) return cursor.fail(`${name} is neither 0 nor 1`);
  const before = found.get(name);
  if (name === "userProperty" || (name === "subscriptionIdentifier" && place === "PUBLISH")) {
    found.set(name, [...((before as unknown[] | undefined) ?? []), value]);
  } else if (before !== undefined) {
    cursor.fail(`${name} stands there twice`);
  } else {
    found.set(name, name === "subscriptionIdentifier" ? [value] : value);
  }
}

function readValue(cursor: Cursor, type: Type): unknown {
  switch (type) {
    case "byte":
      return cursor.u8();
    case "u16":
      return cursor.u16();
    case "u32":
      return cursor.u32();
    case "varint":
      return cursor.varint();
    case "text":
      return cursor.text();
    case "binary":
      return cursor.binary();
    case "pair":
      return [cursor.text(), cursor.text()];
  }
}

/** Throws RangeError for a property that has no place there, or can't be written. */
export function writeProperties(writer: Writer, properties: Properties | undefined, place: Place): void {
  const part = new PartWriter();
  const known = new Set<string>(TABLE.map(({ name }) => name));
  for (const name of Object.keys(properties ?? {})) {
    if (!known.has(name)) throw new RangeError(`${name} is no property of MQTT`);
  }
  for (const { id, name, type, places } of TABLE) {
    const value = properties?.[name];
    if (value === undefined) continue;
    if (!places.includes(place)) throw new RangeError(`${name} has no place in ${place}`);
    const repeated = name === "userProperty" || name === "subscriptionIdentifier";
    for (const one of repeated ? (value as readonly unknown[]) : [value]) writeValue(part.varint(id), type, one);
  }
  writer.varint(part.length).append(part);
}

function writeValue(writer: Writer, type: Type, value: unknown): void {
  if (type === "byte") writer.u8(value as number);
  else if (type === "u16") writer.u16(value as number);
  else if (type === "u32") writer.u32(value as number);
  else if (type === "varint") writer.varint(value as number);
  else if (type === "text") writer.text(value as string);
  else if (type === "binary") writer.binary(value as Uint8Array);
  else for (const text of value as readonly [string, string]) writer.text(text);
}
