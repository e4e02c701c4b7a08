import { describe, expect, it } from "vitest";
import { closePayload, encodeFrame, CLOSE, PING, TEXT } from "#http/websocket/frames.ts";
import { encodeDns } from "#pipeline/codecs/dns/message.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { LEVEL_3_1_1, LEVEL_5, type Level, type Packet } from "#pipeline/codecs/mqtt/packets.ts";
import { Data } from "#pipeline/events/data.ts";
import { rig } from "#test/support/pipeline-rig.ts";

const connect = (protocolLevel: Level): Packet => ({
  type: "CONNECT",
  protocolLevel,
  clientID: "sensor",
  cleanStart: true,
  keepAlive: 30,
});
const publish: Packet = { type: "PUBLISH", topic: "a/b", qos: 0, dup: false, retain: false };
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** Feeds in pieces of a size, and answers what came out. */
function fed(bytes: Uint8Array, size: number, line: ReturnType<typeof rig>): string {
  for (let at = 0; at < bytes.length; at += size) line.data(bytes.subarray(at, at + size));
  return line.out.text;
}

describe.each([1, 3, 1000])("MQTT, %d bytes at a time", (size) => {
  const wire = Buffer.concat([
    encodePacket(connect(LEVEL_5), LEVEL_5),
    encodePacket({ ...publish, properties: { contentType: "text/plain" } }, LEVEL_5, Buffer.from("hello")),
    encodePacket({ type: "PINGREQ" }, LEVEL_5),
  ]);

  it("packets are messages", () => {
    const line = rig(($) => $.decodeMQTT());
    const [first, second, ...rest] = fed(wire, size, line).split("\n");
    expect(first).toBe(`<${JSON.stringify(connect(LEVEL_5))}>`);
    expect(second).toBe("</>");
    expect(rest.slice(1)).toEqual(["hello", "</>", '<{"type":"PINGREQ"}>', "</>"]);
    expect(JSON.parse((rest[0] ?? "").slice(1, -1))).toEqual({ ...publish, properties: { contentType: "text/plain" } });
    line.check();
  });

  it("come out as they came in", () => {
    const line = rig(($) => $.decodeMQTT().encodeMQTT());
    expect(fed(wire, size, line)).toBe(latin1(wire));
    line.check();
  });

  it("what is malformed ends the stream", () => {
    const line = rig(($) => $.decodeMQTT());
    const bad = Buffer.concat([encodePacket({ type: "PINGREQ" }, LEVEL_5), Buffer.from([0xc1, 0, 0xc0, 0])]);
    expect(fed(bad, size, line)).toBe('<{"type":"PINGREQ"}>\n</>\nEND malformed');
    expect(line.runtime.logged).toEqual(["MQTT: PINGREQ with reserved flags"]);
    line.check();
  });
});

describe("MQTT", () => {
  it("a script says the level where no CONNECT does", () => {
    const ack = encodePacket({ type: "CONNACK", sessionPresent: false, reasonCode: 0 }, LEVEL_5);
    const line = rig<{ level?: Level }>(($) =>
      $.onStart((context) => void (context.level = LEVEL_5)).decodeMQTT({ protocolLevel: ({ level }) => level }),
    );
    line.data(ack);
    expect(line.out.lines[0]).toContain("CONNACK");
    line.check();
    const unaware = rig(($) => $.decodeMQTT());
    unaware.data(ack);
    expect(unaware.out.text).toBe("END malformed");
    unaware.check();
  });

  it("what can't be written is the script's failure, and names the packet", () => {
    const line = rig(($) => $.encodeMQTT());
    line.start({ ...publish, topic: "a/#" });
    line.end();
    expect(line.out.text).toBe("END script");
    expect(String(line.runtime.reported[0])).toContain("PUBLISH: a topic with wildcards");
    line.check();
  });

  it("has a bound both ways", () => {
    const line = rig(($) => $.decodeMQTT({ bytesMax: 16 }));
    line.data(encodePacket(publish, LEVEL_3_1_1, Buffer.alloc(100)).subarray(0, 4));
    expect(line.out.text).toBe("END malformed");
    line.check();
    const out = rig(($) => $.encodeMQTT({ bytesMax: 16 }));
    out.start(publish);
    out.data("x".repeat(17));
    expect(out.out.text).toBe("END too-large");
    out.check();
  });
});

describe.each([1, 1000])("WebSocket, %d bytes at a time", (size) => {
  const mask = Buffer.from("mask");

  it("messages come and go", () => {
    const line = rig(($) => $.decodeWebSocket().encodeWebSocket());
    const wire = [encodeFrame(TEXT, Buffer.from("hello"), mask), encodeFrame(PING, Buffer.alloc(0), mask)];
    const plain = [encodeFrame(TEXT, Buffer.from("hello"), null), encodeFrame(PING, Buffer.alloc(0), null)];
    expect(fed(Buffer.concat(wire), size, line)).toBe(latin1(Buffer.concat(plain)));
    line.close();
    expect(line.out.lines.at(-1)).toBe("END");
    line.check();
  });

  it("whoever breaks the rules is told, and no more is read", () => {
    const line = rig(($) => $.decodeWebSocket().encodeWebSocket());
    const wire = Buffer.concat([encodeFrame(TEXT, Buffer.from("no mask"), null), encodeFrame(TEXT, mask, mask)]);
    expect(fed(wire, size, line)).toBe(`${latin1(encodeFrame(CLOSE, closePayload(1002), null))}\nEND`);
    line.check();
  });

  it("a message that is too long is told so", () => {
    const line = rig(($) => $.decodeWebSocket({ bytesMax: 5 }).encodeWebSocket());
    expect(fed(encodeFrame(TEXT, Buffer.from("longer"), mask), size, line)).toContain(latin1(closePayload(1009)));
    line.check();
  });
});

it("WebSocket frames towards a server are masked", () => {
  const line = rig(($) => $.encodeWebSocket({ masked: true }).decodeWebSocket());
  line.start({ opcode: TEXT });
  line.data("hello");
  line.end();
  expect(line.out.text).toBe('<{"opcode":1}>\nhello\n</>');
  line.check();
});

describe("DNS", () => {
  const query = encodeDns({ id: 7, response: false, questions: [{ name: "a.test", type: "A" }] });

  it("datagrams are messages whose head says it", () => {
    const line = rig(($) => $.decodeDNS().encodeDNS());
    line.start({});
    line.data(query);
    line.end();
    expect(line.out.text).toBe(`<{}>\n${latin1(query)}\n</>`);
    line.check();
  });

  it("what is none is dropped, and the next one is not", () => {
    const line = rig(($) => $.decodeDNS());
    for (const datagram of ["short", query]) {
      line.start({});
      line.data(datagram);
      line.end();
    }
    expect(line.out.lines).toHaveLength(2);
    expect(line.out.lines[0]).toContain("a.test");
    expect(line.runtime.logged).toEqual(["DNS: shorter than a header"]);
    line.check();
  });
});

describe.each([1, 1000])("SOCKS, %d bytes at a time", (size) => {
  const ask = Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, 6]), Buffer.from("a.test"), Buffer.from([0, 80])]);

  it("a stream goes on where the client wanted to", () => {
    const line = rig<{ target?: string }>(($) =>
      $.acceptSOCKS(({ host, port }, context) => {
        context.target = `${host}:${port}`;
        return true;
      }).to(($) => $.replaceData((data, { target }) => new Data(`${target} ${data};`))),
    );
    line.data(ask.subarray(0, 3));
    fed(Buffer.concat([ask.subarray(3), Buffer.from("hi")]), size, line);
    line.close();
    const granted = "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    const expected = size === 1 ? "a.test:80 h;a.test:80 i;" : "a.test:80 hi;";
    expect(line.out.lines).toEqual([granted + expected, "END"]);
    line.check();
  });

  it("who may not is told", () => {
    const line = rig(($) => $.acceptSOCKS(() => false).to(($) => $));
    fed(ask, size, line);
    expect(line.out.lines).toEqual(["\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", "END"]);
    line.check();
  });

  it("a promise may decide", async () => {
    const line = rig(($) => $.acceptSOCKS(() => Promise.resolve(true)).to(($) => $));
    fed(Buffer.concat([ask, Buffer.from("later")]), size, line);
    await new Promise(setImmediate);
    expect(line.out.text.endsWith("later")).toBe(true);
    line.check();
  });

  it("another protocol is broken off", () => {
    const line = rig(($) => $.acceptSOCKS(() => true).to(($) => $));
    fed(Buffer.from("GET / HTTP/1.1\r\n\r\n"), size, line);
    expect(line.out.text).toBe("END malformed");
    line.check();
  });

  it("client and server understand each other", () => {
    const line = rig<{ where?: string }>(($) =>
      $.connectSOCKS({ host: "a.test", port: 443, credentials: { user: "kim", password: "pw" } }).to(($) =>
        $.acceptSOCKS(
          ({ host, port, user }, context) => {
            context.where = `${user}@${host}:${port}`;
            return true;
          },
          { authenticate: (user, password) => user === "kim" && password === "pw" },
        ).to(($) => $.handleData(() => {})),
      ),
    );
    fed(Buffer.from("hello"), size, line);
    line.close();
    expect(line.out.lines).toEqual(["hello", "END"]);
    expect(line.instance.context.where).toBe("kim@a.test:443");
    line.check();
  });

  it("a server's no ends the stream", () => {
    const line = rig(($) => $.connectSOCKS("a.test:443").to(($) => $.acceptSOCKS(() => false).to(($) => $)));
    fed(Buffer.from("hello"), size, line);
    expect(line.out.text).toBe("END connect-failed");
    expect(line.runtime.logged).toEqual(["SOCKS: not allowed"]);
    line.check();
  });

  it("nowhere to go is no target", () => {
    const line = rig(($) => $.connectSOCKS(() => undefined).to(($) => $));
    fed(Buffer.from("hello"), size, line);
    expect(line.out.text).toBe("END no-target");
    line.check();
  });
});
