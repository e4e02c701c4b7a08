/**
 * In front of an MQTT broker: who may publish and subscribe to what. The broker sees nothing of what is refused.
 *
 *     client ─▶ decode ─▶ rules ─▶ encode ─▶ broker
 *     client ◀─ encode ◀─ rules ◀─ decode ◀─ broker
 *
 * A refusal has to go back to the client in its place among the broker's answers. So the broker is sent a PINGREQ instead, and
 * its PINGRESP is replaced by the refusal: brokers answer pings in order.
 */
import { listen, load, Message, YAML, type MqttPacket } from "penstock";
import { mayPublish, maySubscribe, rightsOf, type Rights, type Rule } from "./rules.ts";

interface Config {
  readonly listen: string;
  readonly broker: string;
  readonly rules: readonly Rule[];
}

interface Client {
  level?: 4 | 5;
  rights?: Rights;
  /** For each PINGREQ that the broker has not answered: what its PINGRESP stands for. */
  pings?: MqttPacket[];
  /** Which of its filters were refused, by SUBSCRIBE. */
  refused?: Map<number, readonly boolean[]>;
  aliases?: Map<number, string>;
}

type Packets = Message<MqttPacket>;

const { listen: address, broker, rules } = YAML.parse(String(load("./config.yaml"))) as Config;
const NOTHING: Rights = { publish: [], subscribe: [] };
const PING = new Message<MqttPacket>({ type: "PINGREQ" });
const NOT_AUTHORISED = 0x87;

/** What the client is told instead of what the broker would have said. */
function refuse(ctx: Client, answer: MqttPacket): Packets {
  ctx.pings?.push(answer);
  return PING;
}

function code(ctx: Client): number {
  return ctx.level === 5 ? NOT_AUTHORISED : 0x80;
}

/** An alias stands for the topic it came with last (MQTT 5.0 §3.3.2.3.4). */
function topicOf({ topic, properties }: Extract<MqttPacket, { type: "PUBLISH" }>, ctx: Client): string {
  const alias = properties?.topicAlias;
  if (alias === undefined) return topic;
  if (topic !== "") ctx.aliases?.set(alias, topic);
  return ctx.aliases?.get(alias) ?? "";
}

function toBroker(msg: Packets, ctx: Client): Packets | undefined {
  const packet = msg.head;
  const rights = ctx.rights ?? NOTHING;
  switch (packet.type) {
    case "CONNECT":
      ctx.level = packet.protocolLevel;
      ctx.rights = rightsOf(rules, packet.username ?? "", packet.clientID);
      ctx.pings = [];
      ctx.refused = new Map();
      ctx.aliases = new Map();
      return msg;
    case "PINGREQ":
      ctx.pings?.push({ type: "PINGRESP" });
      return msg;
    case "PUBLISH": {
      if (mayPublish(rights, topicOf(packet, ctx))) return msg;
      const { packetIdentifier = 0, qos } = packet;
      if (qos === 0) return undefined;
      // 3.1.1 has no word for a refusal: the message is acknowledged, and goes nowhere.
      const reasonCode = ctx.level === 5 ? NOT_AUTHORISED : 0;
      return refuse(ctx, { type: qos === 1 ? "PUBACK" : "PUBREC", packetIdentifier, reasonCode });
    }
    case "SUBSCRIBE": {
      const allowed = packet.subscriptions.map(({ filter }) => maySubscribe(rights, filter));
      if (allowed.every(Boolean)) return msg;
      const { packetIdentifier } = packet;
      if (!allowed.includes(true)) {
        return refuse(ctx, { type: "SUBACK", packetIdentifier, reasonCodes: allowed.map(() => code(ctx)) });
      }
      ctx.refused?.set(packetIdentifier, allowed);
      const subscriptions = packet.subscriptions.filter((_one, i) => allowed[i] === true);
      return new Message({ ...packet, subscriptions });
    }
    default:
      return msg;
  }
}

function toClient(msg: Packets, ctx: Client): Packets {
  const packet = msg.head;
  if (packet.type === "PINGRESP") return new Message(ctx.pings?.shift() ?? packet);
  if (packet.type !== "SUBACK") return msg;
  const allowed = ctx.refused?.get(packet.packetIdentifier);
  if (allowed === undefined) return msg;
  ctx.refused?.delete(packet.packetIdentifier);
  const granted = [...packet.reasonCodes];
  return new Message({
    ...packet,
    reasonCodes: allowed.map((yes) => (yes ? (granted.shift() ?? code(ctx)) : code(ctx))),
  });
}

listen<Client>(address, ($) =>
  $.decodeMQTT()
    .replaceMessage<MqttPacket>(toBroker)
    .encodeMQTT({ protocolLevel: (ctx) => ctx.level })
    .connect(broker)
    .decodeMQTT({ protocolLevel: (ctx) => ctx.level })
    .replaceMessage<MqttPacket>(toClient)
    .encodeMQTT({ protocolLevel: (ctx) => ctx.level }),
);
