/** What bounds a request, a client and the process: each with an answer of its own, and life afterwards. */
import type net from "node:net";
import { describe, expect, it } from "vitest";
import { sleep } from "#test/support/data-plane.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { talk } from "#test/support/raw-http.ts";
import { testRoute } from "#test/support/snapshot.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const { upstream, plane } = closedAfterEach();

const status = (answer: string): string => answer.slice(9, 12);
const answered = (all: string): boolean => all.endsWith("ok") || all.includes("}");

describe.each(["io_uring", "epoll"] as const)("bounds over %s", (io) => {
  it("answers 413 to a body that is announced too large, without a byte to the upstream", async () => {
    const up = await upstream((socket) => socket.write(OK));
    const gateway = await plane(io, { endpoints: [up.address], routes: [testRoute({ bodyBytesMax: 10 })] });
    const post = (bytes: number): string =>
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(bytes)}`;
    expect(await talk(gateway.port, post(10), answered)).toBe(OK);
    const answer = await talk(gateway.port, post(11), answered);
    expect(status(answer)).toBe("413");
    expect(answer).toContain('"body-too-large"');
    expect(up.connections()).toBe(1);
    await gateway.settled();
  });

  it("answers 413 to a body in chunks when it passes the bound, and breaks the request off", async () => {
    const up = await upstream(() => {});
    const gateway = await plane(io, { endpoints: [up.address], routes: [testRoute({ bodyBytesMax: 10 })] });
    const client = new RawClient(gateway.port).send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n",
    );
    await sleep(50);
    expect(client.received).toBe("");
    client.send("1\r\nx\r\n");
    await client.until(({ received }) => status(received) === "413");
    await expect.poll(() => up.sockets.size).toBe(0);
    // What is left of the body is read and thrown away; the next request is another matter.
    client.send("0\r\n\r\nGET /none HTTP/2.0\r\n\r\n");
    await client.untilEnd();
    expect(client.received).toContain("HTTP/1.1 505");
    expect(up.received.join("")).not.toContain("0\r\n\r\n");
    client.end();
    await gateway.settled();
  });

  it("ends a request that takes too long: 504 for the upstream's fault, 408 for the client's, a cut in the middle", async () => {
    const up = await upstream((socket, all) => {
      if (all.includes("/begun")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun");
    });
    const gateway = await plane(io, { endpoints: [up.address], routes: [testRoute({ requestTimeoutMs: 200 })] });
    const late = await talk(gateway.port, GET, answered);
    expect([status(late), late.includes('"request-timeout"')]).toEqual(["504", true]);
    const slow = await talk(gateway.port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", answered);
    expect([status(slow), slow.includes('"request-timeout"')]).toEqual(["408", true]);
    const cut = await talk(gateway.port, "GET /begun HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(cut).toMatch(/begun$/);
    expect(gateway.plane.counters()).toMatchObject({ outcome_request_timeout: 3 });
    await gateway.settled();
  });

  it("refuses connections past the caps, and takes others when some have gone", async () => {
    const up = await upstream((socket) => socket.write(OK));
    for (const settings of [{ connectionsMax: 3 }, { connectionsPerClientMax: 3 }]) {
      const gateway = await plane(io, { endpoints: [up.address], settings });
      const clients = Array.from({ length: 3 }, () => new RawClient(gateway.port).send(GET));
      for (const client of clients) await client.until(({ received }) => received === OK);
      const refused = new RawClient(gateway.port).send(GET);
      await refused.until(({ closed }) => closed);
      expect(refused.received).toBe("");
      clients[0]?.end();
      await clients[0]?.untilEnd();
      await sleep(50);
      expect(await talk(gateway.port, GET, answered)).toBe(OK);
      for (const client of clients) client.end();
      await gateway.settled();
      expect(gateway.plane.context.clients.all).toBe(0);
      expect(gateway.plane.counters()["connections_refused"]).toBe(1);
    }
  });

  it("sheds load before its buffers are out, ends what is under way, and serves again", async () => {
    const waiting: net.Socket[] = [];
    const up = await upstream((socket, all) => {
      if (all.lastIndexOf("/later") > all.lastIndexOf("GET / ")) waiting.push(socket);
      else socket.write(OK);
    });
    const gateway = await plane(io, { endpoints: [up.address] });
    const { buffers } = gateway.plane.context;
    const underWay = new RawClient(gateway.port).send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    while (waiting.length === 0) await sleep(5);
    const kept = new RawClient(gateway.port).send(GET);
    await kept.until(({ received }) => received === OK);
    const taken: number[] = [];
    while (buffers.free > 8) taken.push(buffers.allocate());
    const shed = await talk(gateway.port, GET, answered);
    expect([status(shed), shed.includes('"overloaded"')]).toEqual(["503", true]);
    waiting[0]?.write(OK);
    await underWay.until(({ received }) => received === OK);
    // None left at all: connections may break, the process and what it knows may not.
    while (buffers.free > 0) taken.push(buffers.allocate());
    const starved = Array.from({ length: 20 }, () => new RawClient(gateway.port).send(GET));
    await sleep(200);
    for (const buffer of taken) buffers.release(buffer);
    // Buffers come back within turns, but for these: the next connection makes one.
    expect(await talk(gateway.port, GET, answered)).toBe(OK);
    for (const client of starved) {
      await client.until(({ received, closed, ended }) => received !== "" || closed || ended);
    }
    for (const client of [underWay, kept, ...starved]) client.socket.destroy();
    await gateway.settled();
  });
});
