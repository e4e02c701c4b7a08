/** How connections end, and what must not be lost or kept when they do: half-close, slow readers, deadlines, floods. */
import { testRoute } from "#test/support/snapshot.ts";
import { describe, expect, it } from "vitest";
import { Engine } from "#proxy/engine.ts";
import { sleep } from "#test/support/data-plane.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { requests, talk } from "#test/support/raw-http.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const { upstream, plane } = closedAfterEach();

describe.each(["io_uring", "epoll"] as const)("endings over %s", (io) => {
  it("answers a client that has sent FIN right behind its request, by a reply of its own too", async () => {
    const up = await upstream((socket) => socket.write(OK));
    const gateway = await plane(io, { endpoints: [up.address] });
    const none = await plane(io, { endpoints: [], routes: [] });
    for (let i = 0; i < 20; i++) {
      expect(await new RawClient(gateway.port).send(GET).end().untilEnd()).toContain("200 OK");
      const client = new RawClient(none.port).send(GET + GET).end();
      expect((await client.untilEnd()).match(/HTTP\/1\.1 404/g)).toHaveLength(2);
    }
    await gateway.settled();
    await none.settled();
  });

  it("delivers a streamed response whole to a client that sent FIN in the middle of it", async () => {
    const up = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2000005\r\n\r\nfirst");
      setTimeout(() => socket.write("x".repeat(2_000_000)), 60);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port).send(GET);
    await client.until((one) => one.received.endsWith("first"));
    client.end();
    const all = await client.untilEnd();
    expect(all.length - all.indexOf("first")).toBe(2_000_005);
    await gateway.settled();
  });

  it("does not cut a reader that is slow but moves, when its connection is to close", async () => {
    // The response ends as soon as the kernel holds all it can and some of it waits in the gateway.
    let rest = (): number => 0;
    let bytes = 0;
    const up = await upstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      const more = setInterval(() => {
        if (rest() > 2) {
          clearInterval(more);
          socket.write("0\r\n\r\n");
          return;
        }
        bytes += 65_536;
        socket.write(`10000\r\n${"y".repeat(65_536)}\r\n`);
      }, 1);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port).send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await client.until((one) => one.received.length > 0);
    client.socket.pause();
    const free = (): number => gateway.plane.counters()["buffers_free"] as number;
    const resting = free();
    rest = () => resting - free();
    while (gateway.plane.counters()["exchanges_open"] !== 0) await sleep(20);
    // Longer than a lingering close waits for a client that has been sent everything.
    await sleep(2600);
    client.socket.resume();
    const all = await client.untilEnd(10_000);
    expect(all.replaceAll(/[^y]/g, "").length).toBe(bytes);
    client.end();
    await gateway.settled();
  });

  it("a gentle drain waits for the request behind a response that has promised to take it", async () => {
    let rest = (): unknown => 0;
    const up = await upstream((socket, request) => {
      if (request.includes("/next")) socket.write(OK);
      else {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
        rest = () => socket.write("half");
      }
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port).send(GET);
    await client.until((one) => one.received.endsWith("half"));
    expect(client.received).not.toMatch(/connection: close/i);
    gateway.plane.drain(true);
    rest();
    await client.until((one) => one.received.endsWith("halfhalf"));
    const next = await client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").untilEnd();
    expect(next).toMatch(/halfhalfHTTP\/1\.1 200 OK[^]*connection: close[^]*ok$/i);
    await gateway.settled();
  });

  it("keeps the connection after a request with Content-Length 0, on both sides", async () => {
    const up = await upstream((socket) => socket.write(OK));
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port);
    for (let i = 1; i <= 3; i++) {
      client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
      await client.until((one) => one.received.length === i * OK.length);
    }
    expect(client.received).toBe(OK.repeat(3));
    expect(up.connections()).toBe(1);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("passes trailers of a response that is the last on its connection", async () => {
    const up = await upstream((socket) => {
      socket.write(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n",
      );
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const answer = await talk(gateway.port, GET, (all) => all.includes("0\r\n"));
    expect(answer).toContain("2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n");
    await gateway.settled();
  });

  it("closes behind a final answer to a client that expects 100 and may keep its body back", async () => {
    const up = await upstream((socket) => socket.write("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"));
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n");
    await client.until((one) => one.received.includes("401"));
    client.send("DELETE /everything HTTP/1.1\r\nHost: a\r\n\r\n");
    const all = await client.untilEnd();
    expect(all).toContain("connection: close");
    expect(all.match(/HTTP\/1\.1/g)).toHaveLength(1);
    client.end();
    await gateway.settled();
  });

  it("bounds what pipelined requests of a client that does not read can take", async () => {
    const gateway = await plane(io, { endpoints: [], routes: [] });
    const client = new RawClient(gateway.port);
    client.socket.pause();
    let written = 0;
    const request = `GET /${"p".repeat(40)} HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(200);
    const resting = gateway.plane.counters()["buffers_free"] as number;
    for (let i = 0; i < 600 && !client.socket.writableNeedDrain; i++) {
      client.send(request);
      written += 200;
      if (i % 5 === 0) await sleep(1);
    }
    await sleep(300);
    const held = resting - (gateway.plane.counters()["buffers_free"] as number);
    expect(held).toBeLessThan(600);
    client.socket.resume();
    client.end();
    const all = await client.untilEnd(20_000);
    expect(all.match(/HTTP\/1\.1 404/g)).toHaveLength(written);
    await gateway.settled();
  });

  it("keeps to the shortest deadline in every phase of a kept connection", async () => {
    const up = await upstream((socket, all) => {
      if (requests(all) === 1) socket.write(OK);
    });
    const gateway = await plane(io, {
      endpoints: [up.address],
      settings: { headTimeoutMs: 20_000, idleTimeoutMs: 30_000, bodyIdleTimeoutMs: 400 },
    });
    const client = new RawClient(gateway.port).send(GET);
    await client.until((one) => one.received === OK);
    // Before the other time-outs, which are of 20 s and more.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    await client.until((one) => one.received.includes("408"));
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it.each([
    ["was late itself", 300, /^HTTP\/1\.1 408 [^]*connection: close/i],
    ["was answered early", 20_000, /^HTTP\/1\.1 200 /],
  ])(
    "does not wait for ever for a body that comes a byte at a time, when its request %s",
    async (_what, requestMs, answer) => {
      // The upstream answers an early one before the body is whole; a late one never.
      const up = await upstream((socket) => {
        if (requestMs > 1000) socket.write(OK);
      });
      const gateway = await plane(io, {
        endpoints: [up.address],
        settings: { headTimeoutMs: 20_000, idleTimeoutMs: 20_000, bodyIdleTimeoutMs: 400 },
        routes: [testRoute({ requestTimeoutMs: requestMs })],
      });
      const client = new RawClient(gateway.port).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n");
      const dripping = setInterval(() => client.send("x"), 20);
      try {
        await client.until(({ closed }) => closed);
      } finally {
        clearInterval(dripping);
      }
      expect(client.received).toMatch(answer);
      await gateway.settled();
    },
  );

  it("does not count the time against a client that is not being read from", async () => {
    // The upstream reads nothing for a while: the body's time-out is the client's, not its.
    const up = await upstream(() => {});
    const gateway = await plane(io, {
      endpoints: [up.address],
      settings: { headTimeoutMs: 300, idleTimeoutMs: 300, bodyIdleTimeoutMs: 300 },
    });
    const client = new RawClient(gateway.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000000\r\n\r\n");
    while (up.sockets.size === 0) await sleep(5);
    for (const socket of up.sockets) socket.pause();
    client.socket.write(Buffer.alloc(40_000_000, 0x7a));
    await sleep(900);
    expect(client.received).toBe("");
    for (const socket of up.sockets) socket.resume();
    while ((up.received[0] ?? "").length < 40_000_000) await sleep(20);
    for (const socket of up.sockets) socket.write(OK);
    await client.until((one) => one.received === OK);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("does not count the time of a slow client against the upstream", async () => {
    const up = await upstream((socket, all) => {
      if (all.endsWith("end")) socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address], timeouts: { requestMs: 300 } });
    const client = new RawClient(gateway.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    await sleep(900);
    client.send("end");
    await client.until((one) => one.received.length >= OK.length);
    expect(client.received).toBe(OK);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("serves what is coming in on a listener that goes with the engine it knows, which goes after it, once", async () => {
    const up = await upstream((socket) => socket.write(OK));
    const gateway = await plane(io, { endpoints: [up.address] });
    const { plane: data, port } = gateway;
    const { snapshot } = data.engine as Engine;
    const kernel = { originalOf: () => null, leadsTo: () => true, banned: () => false };
    const released: string[] = [];
    const engine = (name: string): Engine =>
      new Engine(snapshot, [[]], data.context.endpoints, () => released.push(name));
    data.commit(
      engine("first"),
      [{ index: 0, name: "web", address: `127.0.0.1:${port}`, fdTag: 1 }],
      new Map(),
      kernel,
    );
    const client = new RawClient(port).send(GET.slice(0, 20));
    while (data.connections === 0) await sleep(5);
    await sleep(30);
    data.commit(engine("second"), [], new Map(), kernel);
    await sleep(30);
    expect([released, data.connections]).toEqual([[], 1]);
    client.send(GET.slice(20));
    expect(await client.untilEnd()).toContain("200 OK");
    client.end();
    await gateway.settled();
    expect(released).toEqual(["first"]);
  });
});
