/**
 * Control packets of MQTT 3.1.1 (OASIS Standard, 2014) and 5.0 (OASIS Standard, 2019), as objects: `type` and what else the
 * packet says. The payload of a PUBLISH is not among it: it travels beside.
 */
import type { Properties } from "./properties.ts";

/** Protocol levels, as they stand in CONNECT. */
export const LEVEL_3_1_1 = 4;
export const LEVEL_5 = 5;
export type Level = 4 | 5;

export type QoS = 0 | 1 | 2;

/** Of the fixed header's upper four bits; the place is the number (5.0 §2.1.2). */
export const PACKET_TYPES = [
  "",
  "CONNECT",
  "CONNACK",
  "PUBLISH",
  "PUBACK",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
  "SUBSCRIBE",
  "SUBACK",
  "UNSUBSCRIBE",
  "UNSUBACK",
  "PINGREQ",
  "PINGRESP",
  "DISCONNECT",
  "AUTH",
] as const;

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties?: Properties;
}

export interface Connect {
  readonly type: "CONNECT";
  readonly protocolLevel: Level;
  readonly clientID: string;
  /** Clean Session in 3.1.1. */
  readonly cleanStart: boolean;
  /** Seconds; 0: none. */
  readonly keepAlive: number;
  readonly will?: Will;
  readonly username?: string;
  readonly password?: Uint8Array;
  readonly properties?: Properties;
}

export interface ConnAck {
  readonly type: "CONNACK";
  readonly sessionPresent: boolean;
  /** 0: accepted. A return code of 3.1.1 or a reason code of 5.0. */
  readonly reasonCode: number;
  readonly properties?: Properties;
}

export interface Publish {
  readonly type: "PUBLISH";
  readonly topic: string;
  readonly qos: QoS;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Absent with QoS 0. */
  readonly packetIdentifier?: number;
  readonly properties?: Properties;
}

/** The answers to a PUBLISH and to each other. */
export interface PublishAnswer {
  readonly type: "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP";
  readonly packetIdentifier: number;
  /** 0 in 3.1.1. */
  readonly reasonCode: number;
  readonly properties?: Properties;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: QoS;
  /** The last three are of 5.0, and absent in 3.1.1. */
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly retainHandling?: 0 | 1 | 2;
}

export interface Subscribe {
  readonly type: "SUBSCRIBE";
  readonly packetIdentifier: number;
  readonly subscriptions: readonly Subscription[];
  readonly properties?: Properties;
}

export interface Unsubscribe {
  readonly type: "UNSUBSCRIBE";
  readonly packetIdentifier: number;
  readonly filters: readonly string[];
  readonly properties?: Properties;
}

export interface SubscriptionAnswer {
  readonly type: "SUBACK" | "UNSUBACK";
  readonly packetIdentifier: number;
  /** One for each filter that was asked for; an UNSUBACK of 3.1.1 has none. */
  readonly reasonCodes: readonly number[];
  readonly properties?: Properties;
}

export interface Ping {
  readonly type: "PINGREQ" | "PINGRESP";
}

export interface Farewell {
  /** AUTH is of 5.0 alone. */
  readonly type: "DISCONNECT" | "AUTH";
  readonly reasonCode: number;
  readonly properties?: Properties;
}

export type Packet =
  | Connect
  | ConnAck
  | Publish
  | PublishAnswer
  | Subscribe
  | Unsubscribe
  | SubscriptionAnswer
  | Ping
  | Farewell;

/** The flags that a packet must have, where they say nothing (5.0 §2.1.3). */
export function fixedFlags(type: Exclude<Packet["type"], "PUBLISH">): number {
  return type === "PUBREL" || type === "SUBSCRIBE" || type === "UNSUBSCRIBE" ? 0b0010 : 0;
}
