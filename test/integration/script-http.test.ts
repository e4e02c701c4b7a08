/** Scripts that speak HTTP, over real sockets: the talk's router, and what Pipy is weak at. */
import http from "node:http";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { Layout } from "#pipeline/layout/layout.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { requests, startUpstream, talk, type RawUpstream } from "#test/support/raw-http.ts";
import { startScript, type ScriptPlane } from "#test/support/script-plane.ts";

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function script<C extends object>(build: ($: Layout<C>) => Layout<C>): Promise<ScriptPlane> {
  const plane = await startScript(build);
  open.unshift(() => plane.stop());
  return plane;
}

async function upstream(answer: (socket: net.Socket, all: string, index: number) => void): Promise<RawUpstream> {
  const one = await startUpstream(answer);
  open.push(() => one.close());
  return one;
}

/** Answers each request with the path it asked for. */
function echoPaths(socket: net.Socket, all: string): void {
  const asked = all.split("\r\n\r\n").slice(0, -1);
  const done = (socket as net.Socket & { answered?: number }).answered ?? 0;
  (socket as net.Socket & { answered?: number }).answered = asked.length;
  for (const one of asked.slice(done)) {
    const body = one.split(" ")[1] ?? "";
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  }
}

interface Routed {
  target?: string;
}

/** The talk's router, with a table for its URLRouter. */
function router(table: Readonly<Record<string, string>>): ($: Layout<Routed>) => Layout<Routed> {
  return ($) =>
    $.demuxHTTP().to(($) =>
      $.handleMessageStart((msg, ctx) => {
        const target = table[msg.head.headers["host"] ?? ""];
        if (target !== undefined) ctx.target = target;
      })
        .muxHTTP((ctx) => ctx.target)
        .to(($) => $.connect((ctx) => ctx.target)),
    );
}

const get = (path: string, host = "a", more = ""): string => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${more}\r\n`;

describe("the talk's router", () => {
  test("routes by host, reuses connections, keeps the order of pipelined answers", async () => {
    const [a, b] = [await upstream(echoPaths), await upstream(echoPaths)];
    const plane = await script(router({ a: a.address, b: b.address }));
    const all = get("/1") + get("/2", "b") + get("/3") + get("/4", "b") + get("/5", "a", "connection: close\r\n");
    const received = await talk(plane.port, all);
    expect(received.match(/(?<=\r\n\r\n)\/\d/g)).toEqual(["/1", "/2", "/3", "/4", "/5"]);
    expect([a.connections(), b.connections()]).toEqual([1, 1]);
    expect(requests(a.received.join(""))).toBe(3);
    await plane.settled();
  });

  test("no match is 404, malformed is 400 and closed, a dead target is 502, and the connection goes on where it can", async () => {
    const dead = await upstream(() => {});
    await dead.close();
    const plane = await script(router({ a: dead.address }));
    const received = await talk(plane.port, get("/", "nobody") + get("/") + "GET / HTTP/1.1\r\nbad header\r\n\r\n");
    expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 404", "HTTP/1.1 502", "HTTP/1.1 400"]);
    expect(received).toContain('"code":"no-target"');
    await plane.settled();
  });

  test("bodies both ways, chunked and with a length, cut anywhere", async () => {
    const server = http.createServer((request, response) => {
      request.on("data", (piece: Buffer) => response.write(piece.toString().toUpperCase()));
      request.on("end", () => response.end("!"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push(() => new Promise((resolve) => void server.close(() => resolve())));
    server.on("connection", (socket) => open.push(async () => void socket.destroy()));
    const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    const plane = await script(router({ a: address }));
    const sized = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabcdef";
    const chunked =
      "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nxyz\r\n0\r\n\r\n";
    for (const pieces of [[sized + chunked], [...(sized + chunked)]]) {
      const received = await talk(plane.port, pieces);
      const chunks = received.split("\r\n").filter((line) => /^[A-Z!]+$/.test(line));
      expect(chunks.join("")).toBe("ABCDEF!XYZ!");
    }
    await plane.settled();
  });

  test("connections are shared by the key's value; without a key each client has its own", async () => {
    const one = await upstream(echoPaths);
    for (const [key, connections] of [
      [() => ({ to: one.address }), 1],
      [undefined, 2],
    ] as const) {
      const plane = await script(($) => $.demuxHTTP().to(($) => $.muxHTTP(key).to(($) => $.connect(one.address))));
      const before = one.connections();
      for (let i = 0; i < 2; i++) {
        const client = new RawClient(plane.port);
        for (const path of ["/1", "/2"]) {
          client.send(get(path));
          await client.until(({ received }) => received.endsWith(path));
        }
        client.end();
      }
      expect(one.connections() - before).toBe(connections);
      await plane.settled();
    }
  });

  test("a connection that was idle and has died is noticed or replaced", async () => {
    const one = await upstream((socket, all) => {
      echoPaths(socket, all);
      setTimeout(() => socket.destroy(), 5);
    });
    const plane = await script(router({ a: one.address }));
    const client = new RawClient(plane.port);
    for (let i = 1; i <= 5; i++) {
      client.send(get(`/${i}`));
      await client.until(({ received }) => received.endsWith(`/${i}`));
    }
    expect(client.received.match(/HTTP\/1.1 200/g)).toHaveLength(5);
    client.end();
    await plane.settled();
  });
});

describe("scripts that fail", () => {
  test("one request's 500, with its place in the log; the next request is served", async () => {
    const a = await upstream(echoPaths);
    const plane = await script<Routed>(($) =>
      $.demuxHTTP().to(($) =>
        $.handleMessageStart((msg) => {
          if (msg.head.path === "/boom") throw new TypeError("boom");
        })
          .muxHTTP(() => a.address)
          .to(($) => $.connect(a.address)),
      ),
    );
    const received = await talk(plane.port, get("/boom") + get("/fine", "a", "connection: close\r\n"));
    expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 500", "HTTP/1.1 200"]);
    expect(received).not.toContain("boom");
    expect(plane.log.join("\n")).toContain("TypeError: boom");
    await plane.settled();
  });

  test("a promise pauses its request, and no other", async () => {
    const a = await upstream(echoPaths);
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const plane = await script<Routed>(($) =>
      $.demuxHTTP().to(($) =>
        $.handleMessageStart(async (msg) => {
          if (msg.head.path === "/slow") await gate;
          msg.head.headers["x-by"] = "script";
        })
          .muxHTTP(() => a.address)
          .to(($) => $.connect(a.address)),
      ),
    );
    const slow = new RawClient(plane.port).send(get("/slow"));
    const fast = new RawClient(plane.port).send(get("/fast"));
    await fast.until(({ received }) => received.endsWith("/fast"));
    expect(slow.received).toBe("");
    release();
    await slow.until(({ received }) => received.endsWith("/slow"));
    expect(a.received.join("").match(/x-by: script/g)).toHaveLength(2);
    slow.end();
    fast.end();
    await plane.settled();
  });
});
