/** plugins/scripts/dns-forwarder in front of a server that answers everything. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { decodeDns, encodeDns, type DnsMessage, type DnsRecord } from "#pipeline/codecs/dns/message.ts";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

let server: Socket;
let client: Socket;
let script: ScriptGateway;
const asked: string[] = [];
const ports = new Set<number>();

beforeAll(async () => {
  server = createSocket("udp4", (bytes, from) => {
    const query = decodeDns(bytes);
    if (typeof query === "string") return;
    const [{ name = "", type = "" } = {}] = query.questions;
    asked.push(`${name} ${type}`);
    ports.add(from.port);
    if (name === "silent.test") return;
    const alias: DnsRecord = { name, type: "CNAME", ttl: 5, data: "x.ads.example" };
    const answers: DnsRecord[] = [
      ...(name === "alias.test" ? [alias] : []),
      { name, type: "A", ttl: 5, data: "198.51.100.7" },
    ];
    server.send(encodeDns({ ...query, response: true, answers }), from.port, from.address);
  });
  await once(server.bind(0, "127.0.0.1"), "listening");
  client = createSocket("udp4");
  await once(client.bind(0, "127.0.0.1"), "listening");
  script = await startScript("dns-forwarder", {
    "127.0.0.1:5353": "127.0.0.1:0",
    "127.0.0.1:53": `127.0.0.1:${server.address().port}`,
  });
}, 90_000);

afterAll(async () => {
  await script.stop();
  for (const socket of [client, server]) await new Promise<void>((resolve) => socket.close(resolve));
});

let last = 0;

/** From one socket, so that the forwarder has one client with many questions. */
async function ask(name: string, type: string): Promise<DnsMessage> {
  const id = ++last;
  const query = encodeDns({ id, response: false, recursionDesired: true, questions: [{ name, type }] });
  client.send(query, script.port(), "127.0.0.1");
  for (;;) {
    const [bytes] = (await once(client, "message")) as [Buffer];
    const answer = decodeDns(bytes);
    if (typeof answer !== "string" && answer.id === id) return answer;
  }
}

it("answers for names of its own, by type, and denies what is blocked", async () => {
  const own = await ask("Printer.home", "A");
  expect(own).toMatchObject({ response: true, authoritative: true, rcode: 0 });
  expect(own.answers?.map(({ name, data }) => [name, data])).toEqual([["Printer.home", "192.0.2.10"]]);
  expect((await ask("printer.home", "AAAA")).answers?.map(({ data }) => data)).toEqual(["2001:db8::10"]);
  expect(await ask("a.b.ads.example", "A")).toMatchObject({ rcode: 3, answers: [] });
  expect(asked).toEqual([]);
});

it("asks the server for the others, each over a socket of its own, and takes out what is blocked", async () => {
  expect((await ask("www.test", "A")).answers?.map(({ data }) => data)).toEqual(["198.51.100.7"]);
  expect((await ask("alias.test", "A")).answers?.map(({ type }) => type)).toEqual(["A"]);
  expect(asked).toEqual(["www.test A", "alias.test A"]);
  expect(ports.size).toBe(2);
});

it("one that is not answered holds up no other, and what is no question is dropped", async () => {
  const query = encodeDns({ id: 999, response: false, questions: [{ name: "silent.test", type: "A" }] });
  client.send(query, script.port(), "127.0.0.1");
  client.send("not DNS", script.port(), "127.0.0.1");
  expect((await ask("after.test", "A")).answers).toHaveLength(1);
});
