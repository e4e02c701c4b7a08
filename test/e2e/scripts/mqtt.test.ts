/** plugins/scripts/mqtt-rules in front of a broker that keeps what it is sent and answers as brokers do. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodePacket } from "#pipeline/codecs/mqtt/decode.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { Framer } from "#pipeline/codecs/mqtt/framer.ts";
import { LEVEL_3_1_1, LEVEL_5, type Level, type Packet } from "#pipeline/codecs/mqtt/packets.ts";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

/** Packets that come over a socket; `level` may be learnt on the way. */
function packets(socket: Socket, level: () => Level, take: (packet: Packet, payload: string) => void): void {
  const framer = new Framer(1 << 20);
  socket.on("error", () => socket.destroy());
  socket.on("data", (bytes: Buffer) => {
    framer.push(bytes, (first, body) => {
      const decoded = decodePacket(first, body, level());
      if (typeof decoded === "string") throw new Error(decoded);
      take(decoded.packet, Buffer.from(decoded.payload).toString());
      return true;
    });
  });
}

let broker: Server;
let script: ScriptGateway;
const seen: string[] = [];

function answer(packet: Packet): Packet | null {
  switch (packet.type) {
    case "CONNECT":
      return { type: "CONNACK", sessionPresent: false, reasonCode: 0 };
    case "PINGREQ":
      return { type: "PINGRESP" };
    case "PUBLISH":
      return packet.qos === 1
        ? { type: "PUBACK", packetIdentifier: packet.packetIdentifier ?? 0, reasonCode: 0 }
        : null;
    case "SUBSCRIBE":
      return {
        type: "SUBACK",
        packetIdentifier: packet.packetIdentifier,
        reasonCodes: packet.subscriptions.map(({ qos }) => qos),
      };
    default:
      return null;
  }
}

beforeAll(async () => {
  broker = createServer((socket) => {
    let level: Level = LEVEL_3_1_1;
    packets(
      socket,
      () => level,
      (packet, payload) => {
        if (packet.type === "CONNECT") level = packet.protocolLevel;
        else if (packet.type === "PUBLISH")
          seen.push(`${packet.topic || `alias ${packet.properties?.topicAlias}`} ${payload}`);
        else if (packet.type === "SUBSCRIBE") seen.push(packet.subscriptions.map(({ filter }) => filter).join(" "));
        const reply = answer(packet);
        if (reply !== null) socket.write(encodePacket(reply, level));
      },
    );
  });
  await once(broker.listen(0, "127.0.0.1"), "listening");
  const { port } = broker.address() as AddressInfo;
  script = await startScript("mqtt-rules", { "127.0.0.1:1883": "127.0.0.1:0", "127.0.0.1:1884": `127.0.0.1:${port}` });
}, 90_000);

afterAll(async () => {
  await script.stop();
  await new Promise((resolve) => broker.close(resolve));
});

/** A client that sends all at once, and what it got until as many packets had come. */
async function talk(
  level: Level,
  username: string,
  sends: readonly (readonly [Packet, string?])[],
  answers: number,
): Promise<Packet[]> {
  const socket = connect(script.port(), "127.0.0.1");
  const got: Packet[] = [];
  const all = new Promise<void>((resolve, reject) => {
    packets(
      socket,
      () => level,
      (packet) => {
        got.push(packet);
        if (got.length === answers) resolve();
      },
    );
    socket.on("close", () => reject(new Error(`closed after ${JSON.stringify(got)}`)));
  });
  const hello: Packet = {
    type: "CONNECT",
    protocolLevel: level,
    clientID: "s1",
    cleanStart: true,
    keepAlive: 30,
    username,
  };
  const wire = [[hello] as const, ...sends].map(([packet, payload = ""]) =>
    encodePacket(packet, level, Buffer.from(payload)),
  );
  socket.write(Buffer.concat(wire));
  await all;
  socket.removeAllListeners("close").destroy();
  return got;
}

const publish = (topic: string, packetIdentifier: number): Packet => ({
  type: "PUBLISH",
  topic,
  qos: 1,
  dup: false,
  retain: false,
  packetIdentifier,
});

describe.each([LEVEL_3_1_1, LEVEL_5] as const)("rules of topics, level %d", (level) => {
  const refusal = level === LEVEL_5 ? 0x87 : 0x80;

  it("let pass what is allowed, and refuse the rest in its place", async () => {
    seen.length = 0;
    const got = await talk(
      level,
      "kim",
      [
        [publish("sensors/s1/t", 1), "21"],
        [publish("sensors/s2/t", 2), "forged"],
        [{ type: "PINGREQ" }],
        [{ type: "PUBLISH", topic: "other", qos: 0, dup: false, retain: false }, "lost"],
        [publish("sensors/s1/u", 3), "22"],
      ],
      5,
    );
    expect(got).toEqual([
      { type: "CONNACK", sessionPresent: false, reasonCode: 0 },
      { type: "PUBACK", packetIdentifier: 1, reasonCode: 0 },
      { type: "PUBACK", packetIdentifier: 2, reasonCode: level === LEVEL_5 ? 0x87 : 0 },
      { type: "PINGRESP" },
      { type: "PUBACK", packetIdentifier: 3, reasonCode: 0 },
    ]);
    expect(seen).toEqual(["sensors/s1/t 21", "sensors/s1/u 22"]);
  });

  it("ask the broker for the filters that are allowed, and answer for the others", async () => {
    seen.length = 0;
    const subscribe = (packetIdentifier: number, ...filters: string[]): [Packet] => [
      { type: "SUBSCRIBE", packetIdentifier, subscriptions: filters.map((filter) => ({ filter, qos: 1 as const })) },
    ];
    const got = await talk(
      level,
      "kim",
      [subscribe(1, "commands/s1", "#", "news/+/x"), subscribe(2, "commands/+"), subscribe(3, "news/#")],
      4,
    );
    expect(got.slice(1)).toEqual([
      { type: "SUBACK", packetIdentifier: 1, reasonCodes: [1, refusal, 1] },
      { type: "SUBACK", packetIdentifier: 2, reasonCodes: [refusal] },
      { type: "SUBACK", packetIdentifier: 3, reasonCodes: [1] },
    ]);
    expect(seen).toEqual(["commands/s1 news/+/x", "news/#"]);
  });

  it("give an administrator everything", async () => {
    seen.length = 0;
    await talk(
      level,
      "admin",
      [
        [publish("any/thing", 1), "x"],
        [{ type: "SUBSCRIBE", packetIdentifier: 2, subscriptions: [{ filter: "$SYS/#", qos: 0 }] }],
      ],
      3,
    );
    expect(seen).toEqual(["any/thing x", "$SYS/#"]);
  });
});

it("an alias is as good as the topic it came with", async () => {
  seen.length = 0;
  const aliased = (topic: string, topicAlias: number, packetIdentifier: number): Packet =>
    ({ ...publish(topic, packetIdentifier), properties: { topicAlias } }) as Packet;
  const got = await talk(
    LEVEL_5,
    "kim",
    [
      [aliased("sensors/s1/t", 1, 1), "a"],
      [aliased("sensors/s2/t", 2, 2), "b"],
      [aliased("", 1, 3), "c"],
      [aliased("", 2, 4), "d"],
    ],
    5,
  );
  expect(got.slice(1).map((packet) => (packet as { reasonCode: number }).reasonCode)).toEqual([0, 0x87, 0, 0x87]);
  expect(seen).toEqual(["sensors/s1/t a", "alias 1 c"]);
});

it("what is no MQTT never reaches the broker", async () => {
  seen.length = 0;
  const socket = connect(script.port(), "127.0.0.1");
  socket.on("error", () => {});
  // Its first bytes could be a packet of 69: what follows them shows that they are none.
  socket.write(`GET / HTTP/1.1\r\nhost: ${"x".repeat(80)}\r\n\r\n`);
  await new Promise((resolve) => socket.once("close", resolve));
  expect(seen).toEqual([]);
});
