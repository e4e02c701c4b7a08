/**
 * The sample plugins in the whole gateway, as a tenant would run them: requests with bodies, responses, sub-requests, routes, a shared map, and
 * an MQTT connection over a TCP listener.
 */
import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildToFile } from "#sdk/tooling/build-all.ts";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock } from "#test/support/penstock.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

const NAMES = [
  "jwt",
  "rate-limit",
  "json-rewrite",
  "ab-router",
  "redactor",
  "checksum",
  "auth-request",
  "mqtt-guard",
  "graphql-guard",
];

/** Bans who asks for it, and tells how many have. */
const GUARD = `import { Request, Action, Message, banClientFromTenant, respond } from "penstock/assembly"
let banned = 0
export function onRequest(req: Request): Action {
  if (!req.hasHeader("x-ban")) return Action.Continue
  banned++
  return respond(200, banClientFromTenant(60) ? "banned\\n" : "not banned\\n")
}
export function onMessage(message: Message): void { message.answer(message.text + " " + banned.toString()) }
`;

/** Talks to an upstream over a connection of its own, walks over a map, keeps entries, and tells how requests ended. */
const PROBE = `import { Request, Action, connect, facts, kept, kv, log, maps, respond, SharedMap, tickEvery } from "penstock/assembly"
let rates: SharedMap | null = null
let ticks = 0
export function onConfigure(): bool { rates = maps.open("rates"); tickEvery(100); return rates !== null }
export function onTick(): void { ticks++ }
export function onRequest(req: Request): Action {
  kept.put(req.path)
  if (req.path == "/probe/line") {
    const connection = connect("line", 5000)
    if (connection === null) return respond(502, "no connection\\n")
    connection.send("PING " + req.query + "\\n")
    let answer = ""
    for (let piece = connection.receive(5000); piece !== null && piece.length > 0; piece = connection.receive(5000)) answer += piece
    connection.close()
    return respond(200, answer)
  }
  if (req.path == "/probe/nobody") return respond(200, connect("green") === null ? "denied\\n" : "connected\\n")
  if (req.path == "/probe/map") {
    const map = rates!
    map.increment("a"); map.increment("b", 5)
    let sum: i64 = 0
    for (let at = map.first(); at; at = map.next()) if (map.walked == "a" || map.walked == "b") sum += map.walkedCount
    return respond(200, sum.toString())
  }
  if (req.path == "/probe/kv") return respond(200, kv.increment("visits").toString() + " " + facts.route + " " + facts.tenant)
  if (req.path == "/probe/ticks") return respond(200, ticks.toString())
  return Action.Continue
}
export function onEnd(req: Request): void {
  log.info("ended " + kept.get() + " " + facts.outcome + " " + facts.status.toString() + " " + (facts.bytesSent > 0 ? "some" : "none"))
}
`;

/** In TypeScript: asks an upstream and waits for it, changes responses, and misbehaves when it is told to. */
const SESSION = `import { Action, type Body, config, fetch, kept, type Request, Response, respond, type Trailers } from "penstock/plugin"
export function onConfigure(): boolean { return config().get("upstream") !== null }
export function onRequest(req: Request): Action {
  if (req.query === "loop") for (;;) kept.put("again")
  if (req.query === "throw") throw new RangeError("on purpose")
  const answer = fetch(config().get("upstream") as string, "/check", { headers: { authorization: req.header("authorization") ?? "" } })
  if (!answer.ok) return respond(answer.status === 0 ? 502 : 401, JSON.stringify({ error: answer.error, status: answer.status }))
  req.setHeader("x-user", answer.header("x-user") ?? "-")
  kept.put(req.path)
  return Action.Continue
}
export function onRequestBody(req: Request, body: Body): Action {
  if (req.query !== "scan") return Action.Continue
  if (!body.isLast) return Action.Pause
  const answer = fetch(config().get("upstream") as string, "/scan", { method: "POST", body: body.bytes })
  if (!answer.ok) return respond(403, answer.body)
  return Action.Continue
}
export function onResponse(req: Request, res: Response): Action {
  res.setHeader("x-path", kept.get())
  if (req.query === "trailers") res.addHeader("trailer", "x-behind")
  return req.query === "sum" || req.query === "cut" ? Action.Pause : Action.Continue
}
export function onResponseBody(req: Request, body: Body): Action {
  if (req.query === "cut") throw new Error("while the head waits")
  if (req.query !== "sum") return Action.Continue
  if (!body.isLast) return Action.Pause
  const response = new Response()
  response.setHeader("x-was", response.status + " " + body.size)
  response.setStatus(203)
  return Action.Continue
}
export function onResponseEnd(req: Request, trailers: Trailers): void {
  if (req.query === "trailers") trailers.addHeader("x-behind", trailers.headerCount + " " + trailers.setHeader("set-cookie", "a=b"))
}
`;

/** In TypeScript, over streams: changes datagrams, keeps some back, and refuses by the name that a TLS client asks for. */
const WIRE = `import { Action, type Data, facts, log, refuse, type Stream } from "penstock/plugin"
export function onConnection(stream: Stream): Action {
  log.info("opens " + stream.protocol + " " + stream.clientAddress + " " + (stream.serverName || "no name"))
  return stream.serverName === "no.acme.example" ? refuse() : Action.Continue
}
export function onData(stream: Stream, data: Data): Action {
  if (stream.protocol === "udp" && data.fromClient) {
    const { text } = data
    if (text === "stop") return refuse()
    if (text === "nothing") data.clear()
    else data.setText(text.toUpperCase())
  }
  return Action.Continue
}
export function onEnd(): void { log.info("ends " + facts.protocol + " " + facts.outcome + " " + facts.bytesSent) }
`;

/** Answers with its name, what it was told, and what it was sent. */
function echo(name: string): http.Server {
  return http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.setHeader("content-type", "text/plain");
      const { "x-user": user = "-", "x-variant": variant = "-" } = request.headers;
      response.end(`${name} ${user} ${variant} ${Buffer.concat(chunks).toString()} the secret\n`);
    });
  });
}

const auth = http.createServer((request, response) => {
  if (request.url === "/scan") {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      response.writeHead(text.includes("bad") ? 406 : 200).end(`scanned ${text}`);
    });
    return;
  }
  const known = request.headers.authorization === "Basic eA==" && request.url === "/check";
  response.writeHead(known ? 200 : 403, { "x-user": "kim" });
  response.end(known ? "" : `not ${request.headers["x-original-path"]}\n`);
});
/** What the broker has got. */
let received: Uint8Array = Buffer.alloc(0);
const broker = net.createServer((socket) => {
  socket.on("data", (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    socket.write(Buffer.from([0x20, 2, 0, 0]));
  });
  socket.on("error", () => undefined);
});
/** Answers a line in two pieces, and ends. */
const line = net.createServer((socket) => {
  socket.on("data", (bytes: Buffer) => {
    socket.write("PONG");
    setTimeout(() => socket.end(bytes.subarray(4)), 20);
  });
  socket.on("error", () => undefined);
});
const [green, blue] = [echo("green"), echo("blue")];
const authority = new TestAuthority();
const issued = authority.issue();
const secure = tls.createServer({ cert: issued.certificate, key: issued.key }, (socket) => socket.end("secret\n"));
secure.on("tlsClientError", () => undefined);
const servers = [green, blue, auth, broker, line, secure];
const datagrams = dgram.createSocket("udp4");
datagrams.on("message", (bytes, from) => datagrams.send(`got ${bytes.toString()}`, from.port, from.address));
let gateway: Gateway;
let folder: string;

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const ports = await Promise.all(servers.map(listening));
  const upstream = (name: string, index: number): object => ({
    name,
    endpoints: [{ address: `127.0.0.1:${ports[index]}` }],
  });
  folder = mkdtempSync(join(tmpdir(), "penstock-guard-"));
  mkdirSync(join(folder, "guard", "assembly"), { recursive: true });
  writeFileSync(join(folder, "guard", "assembly", "index.ts"), GUARD);
  const guard = await buildToFile(join(folder, "guard"));
  mkdirSync(join(folder, "probe", "assembly"), { recursive: true });
  writeFileSync(join(folder, "probe", "assembly", "index.ts"), PROBE);
  const probe = await buildToFile(join(folder, "probe"));
  mkdirSync(join(folder, "session", "src"), { recursive: true });
  writeFileSync(join(folder, "session", "src", "index.ts"), SESSION);
  const session = await buildToFile(join(folder, "session"));
  mkdirSync(join(folder, "wire", "src"), { recursive: true });
  writeFileSync(join(folder, "wire", "src", "index.ts"), WIRE);
  const wire = await buildToFile(join(folder, "wire"));
  await new Promise<void>((resolve) => {
    datagrams.bind(0, "127.0.0.1", resolve);
  });
  const filters: Record<string, object> = {
    session: { config: { upstream: "auth" }, limits: { deadlineMs: 20_000 }, allow: { upstreams: ["auth"] } },
    "graphql-guard": { config: { depth: 2 } },
    token: { config: { token: "s3cret" } },
    guard: { allow: { ban: true } },
    probe: { allow: { upstreams: ["line"], maps: ["rates"], keyValue: true } },
    jwt: { config: { key: "s3cret" }, limits: { fuel: 400_000 } },
    "rate-limit": { config: { limit: 2, seconds: 3600 }, allow: { maps: ["rates"] } },
    "json-rewrite": { config: { set: 'via="penstock"', remove: "password" }, limits: { fuel: 2_000_000 } },
    "ab-router": { config: { upstream: "blue", percent: 100 }, allow: { upstreams: ["blue"] } },
    redactor: { config: { words: "secret" } },
    checksum: {},
    "auth-request": { config: { upstream: "auth", path: "/check" }, allow: { upstreams: ["auth"] } },
  };
  gateway = await startGateway({
    workers: 2,
    timeoutMs: 300_000,
    config: {
      listeners: [
        { name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" },
        { name: "mqtt", address: `127.0.0.1:${await freePort()}`, protocol: "tcp" },
        { name: "udp", address: `127.0.0.1:${await freePort()}`, protocol: "udp", idleTimeoutMs: 1000 },
        { name: "pass", address: `127.0.0.1:${await freePort()}`, protocol: "tls-passthrough" },
      ],
      upstreams: [
        upstream("green", 0),
        upstream("blue", 1),
        upstream("auth", 2),
        upstream("broker", 3),
        upstream("line", 4),
        upstream("secure", 5),
        { name: "datagrams", endpoints: [{ address: `127.0.0.1:${datagrams.address().port}` }] },
      ],
      tenants: [
        { name: "acme", hosts: ["acme.example", "*.acme.example"] },
        { name: "other", hosts: ["other.example"] },
      ],
      plugins: [
        { name: "guard", tenant: "acme", version: "1", file: guard },
        { name: "probe", tenant: "acme", version: "1", file: probe },
        { name: "session", tenant: "acme", version: "1", file: session },
        { name: "wire", tenant: "acme", version: "1", file: wire },
        {
          name: "token",
          tenant: "acme",
          version: "1",
          file: join(import.meta.dirname, "../corpus/component/token.wasm"),
        },
        ...(await Promise.all(
          NAMES.map(async (name) => ({ name, tenant: "acme", version: "1", file: await sampleModule(name) })),
        )),
      ],
      routes: [
        ...Object.entries(filters).map(([name, filter]) => ({
          name,
          tenant: "acme",
          listeners: ["web"],
          match: { path: { prefix: `/${name}` } },
          filters: [{ plugin: `${name}@1`, ...filter }],
          upstream: "green",
        })),
        { name: "udp", tenant: "acme", listeners: ["udp"], filters: [{ plugin: "wire@1" }], upstream: "datagrams" },
        {
          name: "pass",
          tenant: "acme",
          listeners: ["pass"],
          match: { hosts: ["*.acme.example"] },
          filters: [{ plugin: "wire@1" }],
          upstream: "secure",
        },
        { name: "all", tenant: "other", listeners: ["web"], match: { path: { prefix: "/" } }, upstream: "green" },
        {
          name: "mqtt",
          tenant: "acme",
          listeners: ["mqtt"],
          filters: [{ plugin: "mqtt-guard@1", config: { publish: "sensors/+" } }],
          upstream: "broker",
        },
      ],
      kernel: {
        maps: [{ name: "rates", type: "lru-hash", key: "bytes", keyBytes: 64, value: "counter", maxEntries: 1000 }],
      },
    },
  });
}, 600_000);
afterAll(async () => {
  expect(await gateway?.stop()).toBe(0);
  green.closeAllConnections();
  blue.closeAllConnections();
  auth.closeAllConnections();
  for (const server of servers) server.close();
  datagrams.close();
  authority.dispose();
  rmSync(folder, { recursive: true });
});

const ask = (path: string, more: Record<string, string> = {}, body?: string) => {
  const headers = { host: "acme.example", ...more };
  return gateway.request("web", path, body === undefined ? { headers } : { method: "POST", headers, body });
};

it("jwt", async () => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ sub: "kim", exp: Date.now() / 1000 + 60 })}`;
  const token = `${signed}.${createHmac("sha256", "s3cret").update(signed).digest("base64url")}`;
  expect(await ask("/jwt", { authorization: `Bearer ${token}` })).toMatchObject({
    status: 200,
    body: "green kim -  the secret\n",
  });
  const refused = await ask("/jwt", { authorization: `Bearer ${token}x` });
  expect(refused).toMatchObject({ status: 401, body: "the token is not valid\n" });
  expect(refused.headers["www-authenticate"]).toBe('Bearer error="invalid_token"');
});

it("rate-limit, counted by all workers together", async () => {
  const statuses: number[] = [];
  for (let count = 0; count < 6; count++) statuses.push((await ask("/rate-limit")).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(2);
  expect(statuses.filter((status) => status === 429)).toHaveLength(4);
});

it("json-rewrite, also of a body that comes in pieces", async () => {
  const padding = "x".repeat(20_000);
  const body = JSON.stringify({ padding, password: "p" });
  const answer = await ask("/json-rewrite", { "content-type": "application/json" }, body);
  expect(answer.body).toBe(`green - - ${JSON.stringify({ via: "penstock", padding })} the secret\n`);
});

it("ab-router", async () => {
  const fresh = await ask("/ab-router");
  expect(fresh.body).toBe("blue - b  the secret\n");
  expect(fresh.headers["set-cookie"]).toEqual(["ab=b; Path=/; Max-Age=86400; SameSite=Lax"]);
  expect((await ask("/ab-router", { cookie: "ab=a" })).body).toBe("green - a  the secret\n");
});

it("redactor", async () => {
  expect((await ask("/redactor", {}, "a secret of mine")).body).toBe("green - - a ****** of mine the ******\n");
});

it("checksum: a response that came with its length goes on in chunks, and its digest behind it", async () => {
  const plain = await ask("/checksum", {}, "123");
  expect(plain.body).toBe("green - - 123 the secret\n");
  expect(plain.headers).toMatchObject({ trailer: "content-digest", "transfer-encoding": "chunked" });
  expect(plain.trailers).toEqual({ "content-digest": `crc32c=:${crc32c(Buffer.from(plain.body))}:` });
  const long = await ask("/checksum", {}, "x".repeat(300_000));
  expect(long.trailers).toEqual({ "content-digest": `crc32c=:${crc32c(Buffer.from(long.body))}:` });
});

/** CRC-32C in base64, bit by bit. */
function crc32c(bytes: Uint8Array): string {
  let sum = 0xffffffff;
  for (const octet of bytes) {
    sum ^= octet;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
  }
  const out = Buffer.alloc(4);
  out.writeUInt32BE(~sum >>> 0);
  return out.toString("base64");
}

it("auth-request", async () => {
  expect(await ask("/auth-request", { authorization: "Basic eA==" })).toMatchObject({
    status: 200,
    body: "green kim -  the secret\n",
  });
  expect(await ask("/auth-request/x")).toMatchObject({ status: 403, body: "not /auth-request/x\n" });
});

it("graphql-guard, a component in TypeScript", async () => {
  const query = (text: string) => ask("/graphql-guard", {}, JSON.stringify({ query: text }));
  expect((await query("{ me { name } }")).body).toBe('green - - {"query":"{ me { name } }"} the secret\n');
  const refused = await query("{ me { friends { name } } }");
  expect(refused).toMatchObject({ status: 400, headers: { "content-type": "application/json" } });
  expect(refused.body).toBe('{"errors":[{"message":"fields are nested 3 deep, more than 2"}]}');
});

it("a component in TypeScript waits for an upstream, with others of its kind, and faults alone", async () => {
  const known = (query: string) => ask(`/session${query}`, { authorization: "Basic eA==" });
  const answers = await Promise.all(Array.from({ length: 16 }, () => known("")));
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: "green kim -  the secret\n" });
  expect(answers[0]?.headers["x-path"]).toBe("/session");
  expect(await ask("/session")).toMatchObject({ status: 401, body: '{"error":"","status":403}' });
  expect(await known("?sum"), "a head that waits for its body").toMatchObject({
    status: 203,
    headers: { "x-was": "200 24" },
    body: "green kim -  the secret\n",
  });
  expect(await known("?trailers"), "fields behind the body").toMatchObject({
    headers: { trailer: "x-behind", "transfer-encoding": "chunked" },
    body: "green kim -  the secret\n",
    trailers: { "x-behind": "0 false" },
  });
  const scanned = (text: string) => ask("/session?scan", { authorization: "Basic eA==" }, text);
  const [fine, bad, other] = await Promise.all([scanned("fine"), scanned("bad"), scanned("other")]);
  expect([fine.body, other.body], "a body that waits").toEqual([
    "green kim - fine the secret\n",
    "green kim - other the secret\n",
  ]);
  expect(bad.status).toBe(403);
  expect(bad.body).toContain("scanned bad");
  expect((await known("?cut")).status).toBe(503);
  const [looped, beside, thrown] = await Promise.all([known("?loop"), known(""), known("?throw")]);
  expect([looped.status, beside.status, thrown.status]).toEqual([503, 200, 503]);
  const told = (): boolean => gateway.logs.some((text) => /on purpose.*\/src\/index\.ts:5:/.test(text));
  await expect.poll(told, { timeout: 20_000 }).toBe(true);
});

it("a component in C", async () => {
  expect(await ask("/token")).toMatchObject({ status: 401, body: "no token\n" });
  expect((await ask("/token", { "x-token": "s3cret" })).status).toBe(200);
});

it("mqtt-guard, over a TCP listener", async () => {
  const publish = (topic: string): Buffer =>
    Buffer.concat([Buffer.from([0x30, topic.length + 3, 0, topic.length]), Buffer.from(`${topic}1`)]);
  const socket = net.connect(gateway.port("mqtt"), "127.0.0.1");
  const ended = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("error", () => undefined);
  });
  const answered = new Promise<void>((resolve) => {
    socket.once("data", () => resolve());
  });
  const good = publish("sensors/7");
  socket.write(good.subarray(0, 5));
  socket.write(good.subarray(5));
  await answered;
  expect(Buffer.from(received)).toEqual(good);
  socket.write(publish("doors/1"));
  await ended;
  expect(Buffer.from(received), "nothing of what is not allowed has passed").toEqual(good);
});

const logged = (words: RegExp): Promise<void> =>
  expect.poll(() => gateway.logs.some((text) => words.test(text)), { timeout: 20_000 }).toBe(true);

it("over UDP a plugin changes datagrams, keeps them back, and ends a session", async () => {
  const client = dgram.createSocket("udp4");
  const answers: string[] = [];
  client.on("message", (bytes) => answers.push(bytes.toString()));
  const send = (text: string) => client.send(text, gateway.port("udp"), "127.0.0.1");
  send("hello");
  await expect.poll(() => answers, { timeout: 20_000 }).toEqual(["got HELLO"]);
  send("nothing");
  send("again");
  await expect.poll(() => answers.at(-1), { timeout: 20_000 }).toBe("got AGAIN");
  expect(answers).not.toContain("got NOTHING");
  send("stop");
  await logged(/ends udp /);
  await logged(/opens udp 127\.0\.0\.1 no name/);
  client.close();
});

it("over passed-through TLS a plugin sees the name that is asked for, and refuses by it", async () => {
  const told = (servername: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = tls.connect({
        port: gateway.port("pass"),
        host: "127.0.0.1",
        servername,
        rejectUnauthorized: false,
      });
      let text = "";
      socket.on("data", (bytes: Buffer) => (text += bytes.toString()));
      socket.on("end", () => resolve(text));
      socket.on("error", () => resolve("refused"));
    });
  expect(await told("yes.acme.example")).toBe("secret\n");
  await logged(/opens tls 127\.0\.0\.1 yes\.acme\.example/);
  expect(await told("no.acme.example")).toBe("refused");
});

it("a connection of the plugin's own: what comes in pieces, until the peer ends", async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, (_, count) => ask(`/probe/line?${count}`)));
  expect(answers.map(({ body }) => body)).toEqual(Array.from({ length: 8 }, (_, count) => `PONG ${count}\n`));
  expect((await ask("/probe/nobody")).body).toBe("denied\n");
});

it("a map is walked over, entries are counted by all workers together, and ticks come", async () => {
  expect((await ask("/probe/map")).body).toBe("6");
  for (let count = 1; count <= 4; count++) expect((await ask("/probe/kv")).body).toBe(`${count} probe acme`);
  const until = Date.now() + 20_000;
  let ticks = 0;
  while (ticks < 2 && Date.now() < until) {
    ticks = Number((await ask("/probe/ticks")).body);
    await sleep(50);
  }
  expect(ticks).toBeGreaterThan(1);
});

it("the end of an exchange is told with what came of it", async () => {
  expect((await ask("/probe/through")).status).toBe(200);
  const until = Date.now() + 20_000;
  const told = (): boolean => gateway.logs.some((text) => text.includes("ended /probe/through ok 200 some"));
  while (!told() && Date.now() < until) await sleep(20);
  expect(told()).toBe(true);
});

it("a message of the admin API reaches every worker's guest, and each answers", async () => {
  const path = "/v1/tenants/acme/plugins/guard/messages";
  const told = await gateway.admin("POST", path, Buffer.from("hello"), { "content-type": "text/plain" });
  expect(told.status).toBe(200);
  const { answers } = JSON.parse(told.body) as { answers: { worker: number; answer: string }[] };
  expect(answers.map(({ worker }) => worker).toSorted()).toEqual([0, 1]);
  expect(answers.map(({ answer }) => answer)).toEqual(["hello 0", "hello 0"]);
  const nobody = await gateway.admin("POST", "/v1/tenants/acme/plugins/nobody/messages", Buffer.from("x"), {
    "content-type": "text/plain",
  });
  expect(nobody.status).toBe(404);
});

it("a message of the command line does too, from standard input as well", async () => {
  const where = { cwd: folder, env: { PENSTOCK_SERVER: gateway.adminSocket } };
  const typed = await penstock(where, "plugin", "message", "acme/guard", "hello there");
  expect(typed).toMatchObject({ code: 0, err: "" });
  expect(typed.out.trimEnd().split("\n").toSorted()).toEqual(
    [0, 1].map((worker) => `worker ${worker} acme/guard guard@1: hello there 0`),
  );
  const piped = await penstock({ ...where, stdin: "from a pipe\n" }, "plugin", "message", "acme/guard", "--json");
  const { answers } = JSON.parse(piped.out) as { answers: { answer: string }[] };
  expect(answers.map(({ answer }) => answer)).toEqual(["from a pipe 0", "from a pipe 0"]);
});

it("a ban holds on every route of the tenant, in every worker, and on nobody else's", async () => {
  expect((await ask("/guard", { "x-ban": "1" })).body).toBe("banned\n");
  const until = Date.now() + 20_000;
  const refused = async (): Promise<boolean> => {
    const statuses = await Promise.all(Array.from({ length: 8 }, () => ask("/redactor").then(({ status }) => status)));
    return statuses.every((status) => status === 403);
  };
  while (!(await refused()) && Date.now() < until) await sleep(20);
  expect(await refused()).toBe(true);
  expect((await ask("/", { host: "other.example" })).status).toBe(200);
  const socket = net.connect(gateway.port("mqtt"), "127.0.0.1");
  socket.on("error", () => undefined);
  await new Promise((resolve) => {
    socket.on("close", resolve);
  });
});
