/** Upstream connections: reuse, dead idle ones, what is tried again and what is not, balance over endpoints and splits. */
import type net from "node:net";
import { describe, expect, it } from "vitest";
import { sleep } from "#test/support/data-plane.ts";
import { testRoute } from "#test/support/snapshot.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { requests, talk, type RawUpstream } from "#test/support/raw-http.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const { upstream, plane } = closedAfterEach();

const ok = (port: number): Promise<string> => talk(port, GET, (all) => all.endsWith("ok") || all.includes("}"));

describe.each(["io_uring", "epoll"] as const)("upstream connections over %s", (io) => {
  it("notices that an idle connection has been closed, and uses it no more", async () => {
    const up = await upstream((socket) => {
      socket.write(OK);
      setTimeout(() => socket.end(), 20);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    for (let i = 0; i < 4; i++) {
      // Neither may be sent twice: a dead connection would show.
      const answer = await talk(gateway.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", (all) =>
        all.endsWith("ok"),
      );
      expect(answer).toBe(OK);
      await sleep(60);
    }
    expect(gateway.plane.counters()["upstream_retries"]).toBe(0);
    expect(up.connections()).toBe(4);
    await gateway.settled();
  });

  it.each([
    ["GET", "", true],
    ["HEAD", "", true],
    ["DELETE", "", true],
    ["PUT", "x", false],
    ["POST", "", false],
    ["PATCH", "", false],
    ["PURGE", "", false],
  ] as const)(
    "a %s on an idle connection that turns out dead (body %j) is tried again: %s",
    async (method, body, again) => {
      const up = await upstream((socket, all, index) => {
        if (index === 0 && requests(all) > 1) socket.resetAndDestroy();
        else socket.write(method === "HEAD" && all.startsWith("HEAD") ? OK.slice(0, -2) : OK);
      });
      const gateway = await plane(io, { endpoints: [up.address] });
      expect(await ok(gateway.port)).toBe(OK);
      const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
      const client = new RawClient(gateway.port).send(`${method} / HTTP/1.1\r\nHost: a\r\n${length}\r\n${body}`);
      await client.until(({ received }) => received.includes("\r\n\r\n"));
      expect(client.received.slice(9, 12)).toBe(again ? "200" : "502");
      expect(up.connections()).toBe(again ? 2 : 1);
      client.end();
      await client.untilEnd();
      await gateway.settled();
    },
  );

  it("does not try again on a connection that was new", async () => {
    const up = await upstream((socket) => socket.resetAndDestroy());
    const gateway = await plane(io, { endpoints: [up.address] });
    expect((await ok(gateway.port)).slice(9, 12)).toBe("502");
    expect(up.connections()).toBe(1);
    await gateway.settled();
  });

  it("says all it was told about the client the second time too", async () => {
    const up = await upstream((socket, all, index) => {
      if (index === 0 && requests(all) > 1) socket.resetAndDestroy();
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address], settings: { trustedProxies: ["127.0.0.0/8"] } });
    const request =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.2\r\n\r\n";
    for (let i = 0; i < 2; i++) await talk(gateway.port, request, (all) => all.endsWith("ok"));
    const lists = up.received
      .join("")
      .match(/x-forwarded-for: .*(?=\r\n)/gi)
      ?.map((line) => line.toLowerCase());
    const whole = "x-forwarded-for: 203.0.113.9, 198.51.100.2, 127.0.0.1";
    expect(lists).toEqual([whole, whole, whole]);
    await gateway.settled();
  });

  it("keeps no more idle connections than it may, and none with idleMax 0", async () => {
    for (const idleConnectionsMax of [0, 3]) {
      const waiting: net.Socket[] = [];
      const up = await upstream((socket) => waiting.push(socket));
      const gateway = await plane(io, { endpoints: [up.address], idleConnectionsMax });
      const clients = Array.from({ length: 8 }, () => new RawClient(gateway.port).send(GET));
      while (waiting.length < 8) await sleep(5);
      for (const socket of waiting) socket.write(OK);
      for (const client of clients) await client.until(({ received }) => received === OK);
      await sleep(50);
      expect(up.sockets.size).toBe(idleConnectionsMax);
      for (const client of clients) client.end();
      await gateway.settled();
    }
  });

  it("does not take what stands behind a response for the answer to the next request", async () => {
    const up = await upstream((socket, all, index) => {
      // A HEAD whose answer carries a body, as if the method were GET: well-known among broken servers.
      if (index === 0 && requests(all) === 1)
        socket.write(`${OK.slice(0, -2)}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong`);
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const client = new RawClient(gateway.port).send(`HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
    await client.until(({ received }) => received.endsWith("ok") || received.endsWith("wrong"));
    expect(client.received).toBe(OK.slice(0, -2) + OK);
    expect(up.connections()).toBe(2);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("turns round by weight, exactly, and never to an endpoint without one", async () => {
    const counts = [0, 0, 0, 0];
    const ups: RawUpstream[] = [];
    for (let i = 0; i < 4; i++) {
      ups.push(
        await upstream((socket) => {
          counts[i] = (counts[i] ?? 0) + 1;
          socket.write(OK);
        }),
      );
    }
    const gateway = await plane(io, { endpoints: ups.map((one) => one.address), weights: [5, 0, 2, 3] });
    const client = new RawClient(gateway.port);
    for (let i = 1; i <= 40; i++) {
      client.send(GET);
      await client.until(({ received }) => received.length === i * OK.length);
    }
    expect(counts).toEqual([20, 0, 8, 12]);
    // When one fails, the next in turn is one with a weight.
    await (ups[0] as RawUpstream).close();
    await sleep(50);
    for (let i = 41; i <= 60; i++) {
      client.send(GET);
      await client.until(({ received }) => received.length === i * OK.length);
    }
    expect(counts[1]).toBe(0);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it("splits a route between upstreams roughly by weight", async () => {
    const counts = [0, 0];
    const [first, second] = [
      await upstream((socket) => {
        counts[0] = (counts[0] ?? 0) + 1;
        socket.write(OK);
      }),
      await upstream((socket) => {
        counts[1] = (counts[1] ?? 0) + 1;
        socket.write(OK);
      }),
    ];
    const timeouts = { connectMs: 1000, requestMs: 30_000, idleMs: 60_000 };
    const gateway = await plane(io, {
      endpoints: [first.address],
      others: [
        { name: "canary", endpoints: [{ address: second.address, weight: 1 }], timeouts, idleConnectionsMax: 8 },
      ],
      routes: [
        testRoute({
          action: {
            kind: "upstream",
            split: [
              { upstream: 0, weight: 3 },
              { upstream: 1, weight: 1 },
            ],
          },
        }),
      ],
    });
    const client = new RawClient(gateway.port).send(GET.repeat(800));
    await client.until(({ received }) => received.length === 800 * OK.length, 10_000);
    // 800 draws of one in four: 200, with a standard deviation of 12.
    expect(counts[1]).toBeGreaterThan(130);
    expect(counts[1]).toBeLessThan(270);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });
});
