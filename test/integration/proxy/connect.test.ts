/**
 * CONNECT through routes: ended here, with a connection to the upstream's endpoint, or passed on to an upstream that is a proxy. What is
 * refused is answered before anything is dialled, and what was sent behind it is neither passed on nor read as a request.
 */
import type net from "node:net";
import { describe, expect, it } from "vitest";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Exchange,
  type Filter,
  type Verdict,
} from "#pipeline/filter.ts";
import { fetchUpstream } from "#proxy/fetch.ts";
import type { RouteSpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import { sleep, type PlaneOptions, type TestPlane } from "#test/support/data-plane.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { freePort } from "#test/support/ports.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { requests, talk } from "#test/support/raw-http.ts";
import { testRoute } from "#test/support/snapshot.ts";

const { upstream, plane, after } = closedAfterEach();

const CONNECT = "CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\n";
const ESTABLISHED = /^HTTP\/1\.1 200 OK\r\n(?:date: [^\r]+\r\n)?\r\n/;

function connecting(connect: "tunnel" | "forward", over: Partial<RouteSpec> = {}): RouteSpec {
  return testRoute({ name: "connect", connect, ...over });
}

/** `decide`: in the hook that it has. */
function filter(hooks: number, decide: (exchange: Exchange) => Verdict): Filter {
  const undecided = (): Verdict => CONTINUE;
  return {
    name: "test",
    hooks,
    requestHead: (hooks & HOOK_REQUEST_HEAD) === 0 ? undecided : decide,
    responseHead: (hooks & HOOK_RESPONSE_HEAD) === 0 ? undecided : decide,
    end: () => {},
    dispose: () => {},
  };
}

const SAYS =
  (status: number) =>
  (exchange: Exchange): Verdict => {
    exchange.respond(status, [["x-by", "filter"]], Buffer.from("said"));
    return REPLY;
  };

function echo(): Promise<Awaited<ReturnType<typeof upstream>>> {
  return upstream((socket, all) => void socket.write(all.slice(-1)));
}

function client(gateway: TestPlane): RawClient {
  const made = new RawClient(gateway.port);
  after(async () => void made.socket.destroy());
  return made;
}

async function ended({ socket }: RawClient, gateway: TestPlane): Promise<void> {
  socket.destroy();
  await gateway.settled();
}

describe.each(["io_uring", "epoll"] as const)("a tunnel that begins here, over %s", (io) => {
  const tunnelling = (options: Omit<PlaneOptions, "io" | "routes">, over?: Partial<RouteSpec>) =>
    plane(io, { ...options, routes: [connecting("tunnel", over)] });

  it("answers 200 and nothing else, and lets an endpoint speak first", async () => {
    const up = await upstream(() => {});
    const gateway = await tunnelling({ endpoints: [up.address] });
    const one = client(gateway).send(CONNECT);
    await one.until(({ received }) => ESTABLISHED.test(received));
    for (const socket of up.sockets) socket.write("greetings");
    await one.until(({ received }) => received.endsWith("\r\n\r\ngreetings"));
    one.send("hello");
    while (up.received[0] !== "hello") await sleep(5);
    expect(gateway.plane.connections).toBe(1);
    one.end();
    expect(await one.untilEnd()).toMatch(/\r\n\r\ngreetings$/);
    expect(up.received).toEqual(["hello"]);
    expect(gateway.plane.counters()["outcome_tunnel"]).toBe(1);
    await gateway.settled();
  });

  it.each(["1.0", "1.1"])("the same to a client of HTTP/%s that asks for the connection's end", async (version) => {
    const up = await echo();
    const gateway = await tunnelling({ endpoints: [up.address] });
    const one = client(gateway).send(
      `CONNECT db.test:1 HTTP/${version}\r\nHost: db.test:1\r\nConnection: close\r\n\r\nx`,
    );
    await one.until(({ received }) => received.endsWith("x"));
    expect(one.received.replace(ESTABLISHED, "")).toBe("x");
    await ended(one, gateway);
  });

  it("carries what stood behind the head, in whatever pieces it came", async () => {
    const up = await echo();
    const gateway = await tunnelling({ endpoints: [up.address] });
    const early = "y".repeat(100_000);
    const one = client(gateway);
    for (const piece of [CONNECT.slice(0, 9), CONNECT.slice(9, -1), `${CONNECT.slice(-1)}x${early}`]) {
      one.send(piece);
      await sleep(10);
    }
    while ((up.received[0]?.length ?? 0) < 100_001) await sleep(5);
    expect(up.received[0]).toBe(`x${early}`);
    await ended(one, gateway);
  });

  it("goes to another endpoint when one does not accept", async () => {
    const up = await echo();
    const gateway = await tunnelling({ endpoints: [`127.0.0.1:${await freePort()}`, up.address] });
    for (let i = 0; i < 2; i++) {
      const one = client(gateway).send(`${CONNECT}x`);
      await one.until(({ received }) => received.endsWith("x"));
      one.socket.destroy();
    }
    expect(gateway.plane.counters()["upstream_retries"]).toBeGreaterThan(0);
    await gateway.settled();
  });

  it("says why there is none, and closes", async () => {
    const gateway = await tunnelling({ endpoints: [`127.0.0.1:${await freePort()}`] });
    const answer = await talk(gateway.port, `${CONNECT}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/);
    expect(answer).toContain('"code":"connect-failed"');
    expect(requests(answer)).toBe(1);
    await gateway.settled();
  });

  it("begins with a PROXY header where the upstream wants one", async () => {
    const up = await upstream(() => {});
    const gateway = await tunnelling({ endpoints: [up.address], upstream: { proxyProtocol: "v1" } });
    const one = client(gateway).send(`${CONNECT}x`);
    while (up.received[0]?.endsWith("x") !== true) await sleep(5);
    expect(up.received[0]).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nx$/);
    await ended(one, gateway);
  });

  it("counts to the endpoint's limit for as long as it stands", async () => {
    const up = await echo();
    const limits = { connectionsMax: 1, requestsMax: 0, queueMax: 0, queueMs: 0 };
    const gateway = await tunnelling({ endpoints: [up.address], upstream: { limits } });
    const one = client(gateway).send(`${CONNECT}x`);
    await one.until(({ received }) => received.endsWith("x"));
    expect(await talk(gateway.port, CONNECT)).toContain('"code":"upstream-busy"');
    one.end();
    await one.untilEnd();
    await gateway.settled();
    const other = client(gateway).send(`${CONNECT}y`);
    await other.until(({ received }) => received.endsWith("y"));
    await ended(other, gateway);
  });

  it("is refused by a filter before anything is dialled, and what was sent behind it goes nowhere", async () => {
    const up = await echo();
    const filters = [filter(HOOK_REQUEST_HEAD, SAYS(403))];
    const gateway = await tunnelling({ endpoints: [up.address], filters });
    const answer = await talk(gateway.port, `${CONNECT}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 403 .*\r\nx-by: filter\r\n[^]*connection: close\r\n[^]*\r\nsaid$/);
    expect(requests(answer)).toBe(1);
    expect(up.connections()).toBe(0);
    await gateway.settled();
  });

  it("is no success without a tunnel, whatever a filter says", async () => {
    const up = await echo();
    const gateway = await tunnelling({ endpoints: [up.address], filters: [filter(HOOK_REQUEST_HEAD, SAYS(204))] });
    const answer = await talk(gateway.port, CONNECT);
    expect(answer).toMatch(/^HTTP\/1\.1 500 [^]*"code":"connect-without-tunnel"/);
    expect(up.connections()).toBe(0);
    await gateway.settled();
  });

  it("is refused by a filter that sees the answer, and the connection to the endpoint is closed", async () => {
    const up = await echo();
    const gateway = await tunnelling({ endpoints: [up.address], filters: [filter(HOOK_RESPONSE_HEAD, SAYS(403))] });
    const answer = await talk(gateway.port, `${CONNECT}x`);
    expect(answer).toMatch(/^HTTP\/1\.1 403 [^]*said$/);
    while (up.sockets.size > 0) await sleep(5);
    expect(up.received).toEqual([""]);
    await gateway.settled();
  });

  it("shows filters the answer, to which they may add", async () => {
    const up = await echo();
    const adds = filter(HOOK_RESPONSE_HEAD, ({ response }) => {
      response.addSpelled("x-tunnel", Buffer.from("yes"), 0, 3);
      return CONTINUE;
    });
    const gateway = await tunnelling({ endpoints: [up.address], filters: [adds] });
    const one = client(gateway).send(`${CONNECT}x`);
    await one.until(({ received }) => received.endsWith("x"));
    expect(one.received).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:date: .*\r\n)?x-tunnel: yes\r\n\r\nx$/);
    await ended(one, gateway);
  });

  it("is broken off with its client before the endpoint is there", async () => {
    const up = await echo();
    const waits: (() => void)[] = [];
    const thinking = filter(HOOK_REQUEST_HEAD, (exchange) => {
      waits.push(() => exchange.resume(CONTINUE));
      return SUSPEND;
    });
    const gateway = await tunnelling({ endpoints: [up.address], filters: [thinking] });
    const one = client(gateway).send(`${CONNECT}x`);
    while (waits.length === 0) await sleep(5);
    one.socket.resetAndDestroy();
    await sleep(50);
    for (const go of waits) go();
    await gateway.settled();
    expect(up.received.join("")).toMatch(/^x?$/);
  });
});

describe.each(["io_uring", "epoll"] as const)("a CONNECT that goes on, over %s", (io) => {
  const forwarding = (options: Omit<PlaneOptions, "io" | "routes">) =>
    plane(io, { ...options, routes: [connecting("forward"), testRoute({ name: "plain", order: 1 })] });

  it("is asked in authority form, and begins with the proxy's success, whatever length it tells", async () => {
    const up = await upstream((socket, all) => {
      if (all.endsWith("\r\n\r\n")) {
        socket.write("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
        socket.write(
          "HTTP/1.1 200 Established\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\nhello",
        );
      } else socket.write("more");
    });
    const gateway = await forwarding({ endpoints: [up.address] });
    const sent =
      "CONNECT DB.test:5432 HTTP/1.1\r\nHost: other\r\nContent-Length: 0\r\nProxy-Authorization: Basic x\r\n\r\n";
    const one = client(gateway).send(sent);
    await one.until(({ received }) => received.endsWith("\r\n\r\nhello"));
    expect(one.received).toMatch(
      /^HTTP\/1\.1 103 .*\r\nLink: <x>\r\n\r\nHTTP\/1\.1 200 Established\r\nX: y\r\n\r\nhello$/,
    );
    one.send("early");
    await one.until(({ received }) => received.endsWith("more"));
    const [head = "", rest] = up.received[0]?.split("\r\n\r\n") ?? [];
    const [line, ...fields] = head.split("\r\n");
    expect(line).toBe("CONNECT DB.test:5432 HTTP/1.1");
    expect(fields.filter((field) => /^(?:host|content-length|proxy-auth)/i.test(field)).sort()).toEqual([
      "Proxy-Authorization: Basic x",
      "host: DB.test:5432",
    ]);
    expect(rest).toBe("early");
    await ended(one, gateway);
  });

  it("keeps what was sent behind it until then", async () => {
    let asked: net.Socket | null = null;
    const up = await upstream((socket) => (asked ??= socket));
    const gateway = await forwarding({ endpoints: [up.address] });
    const one = client(gateway).send(`${CONNECT}early`);
    while (asked === null) await sleep(5);
    await sleep(50);
    expect(up.received[0]).toMatch(/\r\n\r\n$/);
    (asked as net.Socket).write("HTTP/1.1 200 OK\r\n\r\n");
    while (up.received[0]?.endsWith("\r\n\r\nearly") !== true) await sleep(5);
    await ended(one, gateway);
  });

  it("gets any other answer as it is, and nothing behind it is read", async () => {
    const up = await upstream((socket) =>
      socket.write("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?"),
    );
    const gateway = await forwarding({ endpoints: [up.address] });
    const answer = await talk(gateway.port, `${CONNECT}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toBe(
      "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\nconnection: close\r\n\r\nwho?",
    );
    expect(requests(up.received.join(""))).toBe(1);
    // The proxy's connection has not become anything else, and serves others.
    await gateway.settled();
    await talk(gateway.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", (all) => all.endsWith("who?"));
    expect(up.connections()).toBe(1);
  });

  it("asks over a connection of its own, and once", async () => {
    const up = await upstream((socket, all, index) => {
      if (index === 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      else if (all !== "") socket.destroy();
    });
    const retry = { attempts: 3, onConnectFailure: true, onReset: true, onTimeout: true, onStatus: [502] } as const;
    const policy = { ...retry, budgetPercent: 100, perTryMs: 0, hedgeAfterMs: 1, bodyBytesMax: 0 };
    const gateway = await forwarding({ endpoints: [up.address], upstream: { retry: policy } });
    await talk(gateway.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", (all) => all.endsWith("\r\n\r\n"));
    const answer = await talk(gateway.port, CONNECT);
    expect(answer).toMatch(/^HTTP\/1\.1 502 [^]*"code":"upstream-(?:closed|reset)"/);
    expect(up.connections()).toBe(2);
    await gateway.settled();
  });

  it("is no upgrade", async () => {
    const up = await upstream((socket) => socket.write("HTTP/1.1 101 Oh\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
    const gateway = await forwarding({ endpoints: [up.address] });
    const asked = CONNECT.replace("\r\n\r\n", "\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    expect(await talk(gateway.port, asked)).toMatch(/^HTTP\/1\.1 502 [^]*"code":"upstream-invalid"/);
    expect(up.received[0]).not.toMatch(/upgrade/i);
    await gateway.settled();
  });

  it("does not make a proxy sick whose clients want what can't be reached", async () => {
    const up = await upstream((socket) => socket.write("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"));
    const outliers: Partial<UpstreamSpec> = {
      outlierDetection: {
        consecutiveErrors: 2,
        baseEjectionMs: 60_000,
        maxEjectionMs: 60_000,
        maxEjectionPercent: 100,
      },
    };
    const gateway = await forwarding({ endpoints: [up.address], upstream: outliers });
    for (let i = 0; i < 4; i++) expect(await talk(gateway.port, CONNECT)).toMatch(/^HTTP\/1\.1 503 No\r\n/);
    await gateway.settled();
  });
});

describe("who is not let through", () => {
  const routes = [
    testRoute({ name: "plain" }),
    connecting("tunnel", { match: { ...testRoute().match, hosts: ["db.test"], ports: [5432] } }),
  ];

  it.each([
    ["another port", CONNECT.replaceAll("5432", "22"), 404, "no-route"],
    ["another host", CONNECT.replaceAll("db.test", "mail.test"), 404, "no-route"],
    ["a host by its field only", CONNECT.replace("CONNECT db.test", "CONNECT mail.test"), 404, "no-route"],
    ["content", CONNECT.replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc"), 400, "content"],
    ["a path", CONNECT.replace("5432 ", "5432/ "), 400, "authority"],
  ])("%s", async (_what, request, status, code) => {
    const up = await echo();
    const gateway = await plane("epoll", { endpoints: [up.address], routes });
    const answer = await talk(gateway.port, `${request}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(`"code":"${code}"`);
    expect(requests(answer)).toBe(1);
    expect(up.connections()).toBe(0);
    await gateway.settled();
  });

  it("anyone, where no route takes CONNECT", async () => {
    const up = await echo();
    const gateway = await plane("epoll", { endpoints: [up.address] });
    const answer = await talk(gateway.port, `${CONNECT}GET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 501 [^]*"code":"method-unsupported"/);
    expect(requests(answer)).toBe(1);
    expect(up.connections()).toBe(0);
  });

  it("other requests, by a route that takes CONNECT", async () => {
    const up = await echo();
    const gateway = await plane("epoll", { endpoints: [up.address], routes: [connecting("tunnel")] });
    const answer = await talk(gateway.port, "GET / HTTP/1.1\r\nHost: db.test:5432\r\nConnection: close\r\n\r\n");
    expect(answer).toContain('"code":"no-route"');
    expect(up.connections()).toBe(0);
  });
});

describe("what a filter fetches", () => {
  const wanted = { path: "/", headers: [], body: new Uint8Array(0), timeoutMs: 5000 };

  it("is no tunnel, neither asked for nor begun by the upstream", async () => {
    const up = await upstream((socket) => socket.write("HTTP/1.1 101 Oh\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
    const gateway = await plane("epoll", { endpoints: [up.address] });
    const { context, engine } = gateway.plane;
    if (engine === null) throw new Error("no engine is in force");
    const connect = await fetchUpstream(context, engine, 0, { ...wanted, method: "CONNECT", path: "db.test:1" });
    expect(connect).toMatchObject({ status: 0, error: "a tunnel can't be fetched" });
    expect(up.connections()).toBe(0);
    const get = await fetchUpstream(context, engine, 0, { ...wanted, method: "GET" });
    expect(get).toMatchObject({ status: 0, error: expect.stringContaining("another protocol") as string });
    await gateway.settled();
  });
});
