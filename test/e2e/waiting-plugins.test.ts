/**
 * Plugins that wait for an upstream in every hook, in the whole gateway: uploads that a scanner looks at first, a log and a token that
 * no request waits for, messages, connections and datagrams that are let in by somebody else's word.
 */
import { randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildToFile } from "#sdk/tooling/build-all.ts";
import { startGateway, type Answer, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

/** Tells how each request ended, has a token of its own, and asks when it is asked. */
const KEEPER = `import { Action, facts, fetch, FetchOptions, kept, kv, log, Message, Request, respond, Response, tickEvery } from "penstock/assembly"
export function onConfigure(): bool { tickEvery(100); return true }
export function onTick(): void {
  const answer = fetch("desk", "/token")
  if (answer.ok) kv.put("token", answer.body)
}
export function onRequest(req: Request): Action {
  kept.put(req.path)
  const token = kv.get("token")
  if (token === null) return respond(503, "no token yet\\n")
  req.setHeader("x-token", token)
  return Action.Continue
}
export function onEnd(req: Request): void {
  const options = new FetchOptions()
  options.method = "POST"
  options.body = kept.get() + " " + req.clientAddress
  const answer = fetch("desk", "/ended", options)
  log.info("told " + kept.get() + " " + facts.outcome + " " + facts.status.toString() + " " + answer.status.toString())
}
export function onMessage(message: Message): void {
  const answer = fetch("desk", "/say?" + message.text)
  message.answer(answer.status.toString() + " " + answer.body)
}
`;

/** Lets in who the desk knows, and asks about what is said. */
const DOOR = `import { Action, Data, fetch, FetchOptions, refuse, Stream } from "penstock/assembly"
export function onConnection(stream: Stream): Action {
  return fetch("desk", "/door?" + stream.protocol).ok ? Action.Continue : refuse()
}
export function onData(stream: Stream, data: Data): Action {
  if (!data.fromClient || data.size == 0) return Action.Continue
  const options = new FetchOptions().bodyOf(data)
  options.method = "POST"
  const answer = fetch("desk", "/word", options)
  if (!answer.ok) return refuse()
  data.setText(answer.body)
  return Action.Continue
}
`;

/** Scans that were asked for and not answered. */
const held: { readonly dirty: boolean; answer(): void }[] = [];
let holds = false;
/** Nobody wanted the answer any more. */
let dropped = 0;
const scanner = http.createServer((request, response) => {
  response.on("close", () => (dropped += response.writableFinished ? 0 : 1));
  void bodyOf(request).then((body) => {
    const dirty = body.includes("EICAR");
    const answer = (): void => {
      response.statusCode = dirty ? 406 : 200;
      response.end();
    };
    if (holds) held.push({ dirty, answer });
    else answer();
  });
});

const ended: string[] = [];
let doors = 200;
const desk = http.createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://desk");
  void bodyOf(request).then((body) => {
    const text = body.toString();
    if (url.pathname === "/token") response.end("t0ken");
    else if (url.pathname === "/say") response.end(`said ${url.search.slice(1)}`);
    else if (url.pathname === "/word") response.writeHead(text.startsWith("bad") ? 403 : 200).end(text.toUpperCase());
    else if (url.pathname === "/door") response.writeHead(doors).end();
    else {
      ended.push(text);
      response.writeHead(204).end();
    }
  });
});

let stored = 0;
const files = http.createServer((request, response) => {
  stored++;
  void bodyOf(request).then((body) => response.end(`${request.headers["x-token"] ?? "-"} ${body.toString("base64")}`));
});
const lines = net.createServer((socket) => {
  socket.on("data", (bytes) => socket.write(`line ${bytes.toString()}`));
  socket.on("error", () => undefined);
});
const datagrams = dgram.createSocket("udp4");
datagrams.on("message", (bytes, from) => datagrams.send(`got ${bytes.toString()}`, from.port, from.address));

async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

let [folder, keeper, door] = ["", "", ""];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "penstock-waiting-"));
  const build = async (name: string, source: string): Promise<string> => {
    mkdirSync(join(folder, name, "assembly"), { recursive: true });
    writeFileSync(join(folder, name, "assembly", "index.ts"), source);
    return buildToFile(join(folder, name));
  };
  [keeper, door] = [await build("keeper", KEEPER), await build("door", DOOR)];
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["io_uring", "epoll"])("over %s", (io) => {
  let gateway: Gateway;

  beforeAll(async () => {
    await new Promise<void>((resolve) => {
      if (io === "io_uring") datagrams.bind(0, "127.0.0.1", resolve);
      else resolve();
    });
    const ports = await Promise.all([scanner, desk, files, lines].map(listening));
    const [scans, asks, keeps, speaks] = ports;
    const upstream = (name: string, port: number | undefined): object => ({
      name,
      endpoints: [{ address: `127.0.0.1:${port}` }],
    });
    const plugin = (name: string, file: string): object => ({ name, tenant: "acme", version: "1", file });
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      config: {
        listeners: [
          { name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" },
          { name: "tcp", address: `127.0.0.1:${await freePort()}`, protocol: "tcp" },
          { name: "udp", address: `127.0.0.1:${await freePort()}`, protocol: "udp" },
        ],
        upstreams: [
          upstream("scanner", scans),
          upstream("desk", asks),
          upstream("files", keeps),
          upstream("lines", speaks),
          upstream("datagrams", datagrams.address().port),
        ],
        tenants: [{ name: "acme", hosts: ["*"] }],
        plugins: [
          plugin("upload-scan", await sampleModule("upload-scan")),
          plugin("keeper", keeper),
          plugin("door", door),
        ],
        routes: [
          {
            name: "files",
            tenant: "acme",
            listeners: ["web"],
            match: { path: { prefix: "/files" } },
            filters: [
              {
                plugin: "upload-scan@1",
                config: { upstream: "scanner", bytes: 500_000 },
                limits: { memoryBytes: 4 * 2 ** 20, deadlineMs: 20_000 },
                allow: { upstreams: ["scanner"] },
              },
            ],
            upstream: "files",
          },
          {
            name: "kept",
            tenant: "acme",
            listeners: ["web"],
            match: { path: { prefix: "/kept" } },
            filters: [{ plugin: "keeper@1", allow: { upstreams: ["desk"], keyValue: true } }],
            upstream: "files",
          },
          ...["tcp", "udp"].map((listener) => ({
            name: listener,
            tenant: "acme",
            listeners: [listener],
            filters: [{ plugin: "door@1", allow: { upstreams: ["desk"] } }],
            upstream: listener === "tcp" ? "lines" : "datagrams",
          })),
        ],
        settings: { accessLog: "off" },
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    for (const server of [scanner, desk, files]) server.closeAllConnections();
    for (const server of [scanner, desk, files, lines]) await new Promise((resolve) => server.close(resolve));
    if (io === "epoll") datagrams.close();
  });

  const upload = (body: Uint8Array, path = "/files/a"): Promise<Answer> =>
    gateway.request("web", path, { method: "POST", body, headers: { "content-type": "application/octet-stream" } });

  it("an upload passes as it came once it was looked at, or does not pass at all", async () => {
    const clean = randomBytes(400_000);
    const answer = await upload(clean);
    expect([answer.status, answer.body === `- ${clean.toString("base64")}`]).toEqual([200, true]);
    const before = stored;
    expect(await upload(Buffer.concat([randomBytes(100_000), Buffer.from("EICAR")]))).toMatchObject({
      status: 403,
      body: "the upload was refused\n",
    });
    expect((await upload(randomBytes(500_001))).status).toBe(413);
    const chunked = { method: "POST", body: randomBytes(500_001), headers: { "transfer-encoding": "chunked" } };
    expect((await gateway.request("web", "/files/a", chunked)).status).toBe(413);
    expect(stored).toBe(before);
    expect((await gateway.request("web", "/files/a")).status).toBe(200);
  });

  it("uploads that are looked at side by side get their own verdicts, in any order", async () => {
    holds = true;
    const bodies = Array.from({ length: 20 }, (_, at) => Buffer.from(`${at} ${at % 3 === 0 ? "EICAR" : "fine"}`));
    const answers = bodies.map((body) => upload(body));
    await expect.poll(() => held.length).toBe(bodies.length);
    holds = false;
    for (const one of held.splice(0).toReversed()) one.answer();
    const given = (await Promise.all(answers)).map(({ status, body }) => [status, body]);
    expect(given).toEqual(
      bodies.map((body, at) =>
        at % 3 === 0 ? [403, "the upload was refused\n"] : [200, `- ${body.toString("base64")}`],
      ),
    );
  });

  it("a client that leaves while its upload is looked at leaves nothing behind", async () => {
    const before = stored;
    dropped = 0;
    holds = true;
    const leaving = Array.from({ length: 10 }, () => {
      const socket = net.connect(gateway.port("web"), "127.0.0.1");
      socket.on("error", () => undefined);
      socket.write("POST /files/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nfine");
      return socket;
    });
    await expect.poll(() => held.length).toBe(leaving.length);
    for (const socket of leaving) socket.resetAndDestroy();
    // Their exchanges are over before anybody has an answer, and the scanner is told.
    await expect.poll(() => dropped).toBe(leaving.length);
    await expect
      .poll(async () => (await gateway.admin("GET", "/metrics")).body)
      .toMatch(/^penstock_exchanges_open\{.*\} 0$/m);
    holds = false;
    for (const one of held.splice(0)) one.answer();
    // Who comes later is served, and what was let go meanwhile has reached nobody.
    expect((await upload(Buffer.from("next"))).body).toBe(`- ${Buffer.from("next").toString("base64")}`);
    expect(stored).toBe(before + 1);
  });

  it("an end is told of, by no request's time, and a token is kept fresh", async () => {
    ended.length = 0;
    await expect.poll(async () => (await gateway.request("web", "/kept/a")).body).toBe("t0ken ");
    await expect.poll(() => ended).toContain("/kept/a 127.0.0.1");
    await expect.poll(() => gateway.logs.some((line) => line.includes("told /kept/a ok 200 204"))).toBe(true);
  });

  it("a message is answered when it has been asked about", async () => {
    const path = "/v1/tenants/acme/plugins/keeper/messages";
    const answer = await gateway.admin("POST", path, Buffer.from("hello"), { "content-type": "text/plain" });
    expect(JSON.parse(answer.body).answers).toEqual([
      { worker: expect.any(Number), route: "acme/kept", version: "1", answer: "200 said hello" },
    ]);
  });

  it("a connection and a session are let in by the desk's word, and what is said is its own", async () => {
    const talk = (text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = net.connect(gateway.port("tcp"), "127.0.0.1", () => socket.write(text));
        let all = "";
        socket.on("data", (bytes) => {
          all += bytes.toString();
          socket.end();
        });
        socket.on("error", () => undefined);
        socket.on("close", () => resolve(all));
      });
    expect(await talk("hello")).toBe("line HELLO");
    expect(await talk("bad word")).toBe("");
    const client = dgram.createSocket("udp4");
    const got: string[] = [];
    client.on("message", (bytes) => got.push(bytes.toString()));
    await new Promise<void>((resolve) => void client.connect(gateway.port("udp"), "127.0.0.1", resolve));
    for (const text of ["a", "b", "c"]) client.send(text);
    await expect.poll(() => got).toEqual(["got A", "got B", "got C"]);
    client.close();
    doors = 403;
    expect(await talk("hello")).toBe("");
    doors = 200;
  });
});
