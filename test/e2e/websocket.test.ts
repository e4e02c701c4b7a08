/** WebSocket (RFC 6455) and server-sent events through the gateway, with an independent implementation at both ends. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { sleep } from "#test/support/data-plane.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { noSockmap } from "#test/support/sockmap-rig.ts";

const LARGE_BYTES = 1 << 20;
const AT_ONCE = 20;
const EVENTS = 5;
/** Payloads around every change of a frame's header (RFC 6455 section 5.2), and of a buffer. */
const LENGTHS = [0, 1, 125, 126, 127, 32_767, 32_768, 65_535, 65_536, 200_000];

/** Streams of events that clients have asked for: the test says when the next one is sent. */
const streams: http.ServerResponse[] = [];

/** Echoes messages; `close CODE REASON` closes, `terminate` drops the connection. Other requests: a stream of events. */
const upstream = http.createServer((_, response) => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  response.flushHeaders();
  streams.push(response);
});
const pings: string[] = [];
const closes: string[] = [];
const server = new WebSocketServer({ server: upstream, maxPayload: 4 * LARGE_BYTES, perMessageDeflate: true });
server.on("connection", (socket) => {
  socket.on("message", (data: Buffer, isBinary) => {
    const text = isBinary ? "" : data.toString();
    const [verb, code = "", reason = ""] = text.split(" ");
    if (verb === "close") socket.close(Number(code), reason);
    else if (verb === "terminate") socket.terminate();
    else if (verb === "ping") socket.ping(code);
    else socket.send(data, { binary: isBinary });
  });
  socket.on("ping", (data: Buffer) => pings.push(data.toString()));
  socket.on("close", (code, reason) => closes.push(`${code} ${reason.toString()}`));
});

const without = noSockmap();
if (without !== null) process.stdout.write(`skipped: messages moved by the kernel: ${without}\n`);

describe.each([
  ["io_uring", "auto"],
  ["epoll", "auto"],
  ["io_uring", "sockmap"],
])("over %s, splice: %s", (io, splice) => {
  let gateway: Gateway;

  beforeAll(async () => {
    if (!upstream.listening) await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      config: {
        listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http", splice }],
        upstreams: [{ name: "up", endpoints: [{ address: `127.0.0.1:${(upstream.address() as AddressInfo).port}` }] }],
        tenants: [{ name: "acme", hosts: ["*"] }],
        routes: [{ name: "all", tenant: "acme", match: { path: { prefix: "/" } }, upstream: "up" }],
        settings: { accessLog: "off", drainMs: 1000 },
      },
    });
  });

  afterAll(() => gateway?.stop());

  const open = async (perMessageDeflate = false): Promise<WebSocket> => {
    const options = { maxPayload: 4 * LARGE_BYTES, perMessageDeflate };
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port("web")}/chat`, options);
    await once(socket, "open");
    return socket;
  };
  const answer = async (socket: WebSocket): Promise<[data: Buffer, isBinary: boolean]> =>
    (await once(socket, "message")) as [Buffer, boolean];
  const closed = async (socket: WebSocket): Promise<string> => {
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];
    return `${code} ${reason.toString()}`;
  };

  it("text, binary of a mebibyte, and an empty message", async () => {
    const socket = await open();
    socket.send("grüß dich");
    expect((await answer(socket))[0].toString()).toBe("grüß dich");
    const large = randomBytes(LARGE_BYTES);
    socket.send(large);
    const [echoed, isBinary] = await answer(socket);
    expect([isBinary, echoed.length, digest(echoed)]).toEqual([true, LARGE_BYTES, digest(large)]);
    socket.send("");
    expect((await answer(socket))[0]).toHaveLength(0);
    socket.close();
    await closed(socket);
  });

  it("a message in fragments, with a ping between them", async () => {
    const socket = await open();
    const pong = once(socket, "pong");
    socket.send("one ", { fin: false });
    await sleep(20);
    socket.ping("in between");
    socket.send("two ", { fin: false });
    await sleep(20);
    const answered = answer(socket);
    socket.send("three", { fin: true });
    expect((await answered)[0].toString()).toBe("one two three");
    expect((await pong).toString()).toBe("in between");
    expect(pings).toContain("in between");
    socket.close();
    await closed(socket);
  });

  it.each([
    ["as it is", false],
    ["compressed", true],
  ])("binary of every length of header, whole and in fragments, byte for byte, %s", async (_how, deflate) => {
    const socket = await open(deflate);
    expect(socket.extensions).toBe(deflate ? "permessage-deflate" : "");
    for (const length of LENGTHS) {
      const bytes = randomBytes(length);
      const whole = answer(socket);
      socket.send(bytes);
      expect(digest((await whole)[0])).toBe(digest(bytes));
      const pieces = answer(socket);
      const cut = Math.floor(length / 3);
      socket.send(bytes.subarray(0, cut), { fin: false });
      socket.send(bytes.subarray(cut, 2 * cut), { fin: false });
      socket.send(bytes.subarray(2 * cut), { fin: true });
      const [echoed, isBinary] = await pieces;
      expect([isBinary, echoed.length, digest(echoed)]).toEqual([true, length, digest(bytes)]);
    }
    socket.close();
    await closed(socket);
  });

  it("pings of the upstream, answered by the client", async () => {
    const socket = await open();
    const ping = once(socket, "ping");
    socket.send("ping hello");
    expect((await ping).toString()).toBe("hello");
    socket.close();
    await closed(socket);
  });

  it("close codes and reasons, both ways, and an end without one", async () => {
    const byUpstream = await open();
    byUpstream.send("close 4001 enough");
    expect(await closed(byUpstream)).toBe("4001 enough");
    const byClient = await open();
    byClient.close(4002, "bye");
    expect(await closed(byClient)).toBe("4002 bye");
    await expect.poll(() => closes).toContain("4002 bye");
    // None at all is told as 1005, which is never on the wire (RFC 6455 section 7.4.1).
    const silent = closes.length;
    const without = await open();
    without.close();
    expect(await closed(without)).toBe("1005 ");
    await expect.poll(() => closes.slice(silent)).toContain("1005 ");
    for (const code of [1000, 1001, 1011, 3000, 4999]) {
      const coded = await open();
      coded.send(`close ${code} ${"r".repeat(100)}`);
      expect(await closed(coded)).toBe(`${code} ${"r".repeat(100)}`);
    }
    const dropped = await open();
    dropped.send("terminate");
    expect(await closed(dropped)).toBe("1006 ");
    const before = closes.length;
    const gone = await open();
    gone.terminate();
    await expect.poll(() => closes.slice(before)).toContain("1006 ");
  });

  it(`${AT_ONCE} at once, each its own messages in order`, async () => {
    const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => open()));
    const rounds = sockets.map(async (socket, i) => {
      const received: string[] = [];
      socket.on("message", (data: Buffer) => received.push(data.toString()));
      const sent = Array.from({ length: 50 }, (_, n) => `${i}.${n}.${"x".repeat((n * 997) % 5000)}`);
      for (const text of sent) socket.send(text);
      await expect.poll(() => received.length, { timeout: 5000 }).toBe(sent.length);
      expect(received).toEqual(sent);
      socket.close();
      await closed(socket);
    });
    await Promise.all(rounds);
    await expect
      .poll(async () => (await gateway.admin("GET", "/metrics")).body)
      .toMatch(/^penstock_exchanges_open\{.*\} 0$/m);
  });

  it(
    splice === "sockmap" ? "all that by a program in the kernel, where it can" : "and nothing by a program",
    async () => {
      const { body } = await gateway.admin("GET", "/metrics");
      const moved = /^penstock_kernel_splice_bytes_total\{how="moved"\} (\d+)$/m.exec(body)?.[1] ?? "0";
      expect(Number(moved) > LARGE_BYTES).toBe(splice === "sockmap" && without === null);
    },
  );

  it("events one by one, as they are sent", async () => {
    let text = "";
    const ended = new Promise<void>((resolve, reject) => {
      http
        .get({ host: "127.0.0.1", port: gateway.port("web"), path: "/events", agent: false }, (response) => {
          expect(response.headers["content-type"]).toBe("text/event-stream");
          response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
          response.on("end", resolve);
        })
        .on("error", reject);
    });
    await expect.poll(() => streams.length).toBe(1);
    const stream = streams.pop();
    // The next one is not sent before the one before has arrived: nothing waits for more.
    for (let n = 0; n < EVENTS; n++) {
      const event = `id: ${n}\ndata: event ${n}\n\n`;
      const before = text;
      stream?.write(event);
      await expect.poll(() => text).toBe(before + event);
    }
    stream?.end();
    await ended;
  });
});

afterAll(() => {
  for (const client of server.clients) client.terminate();
  server.close();
  upstream.closeAllConnections();
  upstream.close();
});

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
