/** Upstreams whole: who gets a request, who is left out, who waits, and what is tried again. */
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Engine } from "#proxy/engine.ts";
import type { HealthCheckSpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import { sleep, type TestPlane } from "#test/support/data-plane.ts";
import { startDns } from "#test/support/dns-server.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { requests } from "#test/support/raw-http.ts";
import { ask, empty, GET, named, ok } from "#test/support/short-answers.ts";
import { testSnapshot } from "#test/support/snapshot.ts";

const { upstream, plane, after } = closedAfterEach();

async function until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await done()) return;
    await sleep(10);
  }
  throw new Error(`waited in vain: ${what}`);
}

const CHECK: HealthCheckSpec = {
  type: "http",
  path: "/healthz",
  host: "",
  statusMin: 200,
  statusMax: 299,
  intervalMs: 100,
  timeoutMs: 100,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
};

/** The answer to a client of that address. */
function askFrom(localAddress: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = http.get({ host: "127.0.0.1", port, localAddress, agent: false }, (response) => {
      response.setEncoding("latin1");
      response.once("data", resolve);
    });
    asked.on("error", reject);
  });
}

function put(plane: TestPlane, upstream: Partial<UpstreamSpec>, endpoints: readonly string[]): void {
  const engine = new Engine(testSnapshot({ endpoints, upstream }), [[]], plane.plane.context.endpoints, () => {});
  plane.plane.commit(engine, [{ index: 0, name: "web", address: `127.0.0.1:${plane.port}`, fdTag: 1 }], new Map(), {
    originalOf: () => null,
    leadsTo: () => true,
    banned: () => false,
  });
}

describe.each(["io_uring", "epoll"] as const)("upstreams over %s", (io) => {
  it("keeps a key with its endpoint, by header, cookie and parameter", async () => {
    const ups = await Promise.all(["a", "b", "c", "d"].map((letter) => upstream(named(letter))));
    const endpoints = ups.map((one) => one.address);
    for (const [key, request] of [
      ["header:x-user", (i: number) => `GET / HTTP/1.1\r\nHost: a\r\nX-User: u${i}\r\n\r\n`],
      ["cookie:sid", (i: number) => `GET / HTTP/1.1\r\nHost: a\r\nCookie: x=1; sid=u${i}; y=2\r\n\r\n`],
      ["query:user", (i: number) => `GET /?a=1&user=u${i} HTTP/1.1\r\nHost: a\r\n\r\n`],
      ["path", (i: number) => `GET /p/${i} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ] as const) {
      const gateway = await plane(io, { endpoints, upstream: { balancer: { type: "maglev", key } } });
      const seen = new Set<string>();
      for (let i = 0; i < 12; i++) {
        const first = await ask(gateway.port, request(i));
        seen.add(first.body);
        for (let again = 0; again < 2; again++) expect((await ask(gateway.port, request(i))).body).toBe(first.body);
      }
      expect(seen.size).toBeGreaterThan(1);
      await gateway.settled();
    }
  });

  it("keeps a client with its endpoint by its address", async () => {
    const ups = await Promise.all(["a", "b", "c", "d"].map((letter) => upstream(named(letter))));
    const balancer = { type: "ring-hash", key: "client-ip" } as const;
    const gateway = await plane(io, { endpoints: ups.map((one) => one.address), upstream: { balancer } });
    const clients = Array.from({ length: 12 }, (_, i) => `127.0.0.${i + 1}`);
    const all = (): Promise<string[]> => Promise.all(clients.map((client) => askFrom(client, gateway.port)));
    const first = await all();
    expect(new Set(first).size).toBeGreaterThan(1);
    expect(await all()).toEqual(first);
    await gateway.settled();
  });

  it("reaches an endpoint by its Unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "penstock-upstream-"));
    const server = http.createServer((_request, response) => response.end("over a path")).listen(join(folder, "s"));
    after(async () => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true });
    });
    const gateway = await plane(io, { endpoints: [`unix:${join(folder, "s")}`] });
    for (let i = 0; i < 2; i++) expect(await askFrom("127.0.0.1", gateway.port)).toBe("over a path");
    await gateway.settled();
  });

  it("binds a client anew when its endpoint is gone", async () => {
    const ups = await Promise.all(["a", "b"].map((letter) => upstream(named(letter))));
    const balancer = { type: "round-robin", key: "", sticky: { cookie: "at", ttlSeconds: 0 } } as const;
    const gateway = await plane(io, { endpoints: ups.map((one) => one.address), upstream: { balancer } });
    const first = await ask(gateway.port);
    const cookieOf = ({ head }: { head: string }): string => /set-cookie: (at=[0-9a-f]{8});/.exec(head)?.[1] ?? "";
    const bound = (cookie: string): string => `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`;
    await ups[first.body === "a" ? 0 : 1]?.close();
    const second = await ask(gateway.port, bound(cookieOf(first)));
    expect(second.body).not.toBe(first.body);
    expect(cookieOf(second)).not.toBe("");
    const third = await ask(gateway.port, bound(cookieOf(second)));
    expect([third.body, cookieOf(third)]).toEqual([second.body, ""]);
    await gateway.settled();
  });

  it("binds a client to its endpoint by a cookie, also to one that drains", async () => {
    const ups = await Promise.all(["a", "b"].map((letter) => upstream(named(letter))));
    const [a, b] = ups.map((one) => one.address) as [string, string];
    const balancer = { type: "round-robin", key: "", sticky: { cookie: "at", ttlSeconds: 60 } } as const;
    const gateway = await plane(io, { endpoints: [a, b], upstream: { balancer } });
    const first = await ask(gateway.port);
    const cookie = /set-cookie: (at=[0-9a-f]{8}); Path=\/; HttpOnly; SameSite=Lax; Max-Age=60/.exec(first.head)?.[1];
    expect(cookie).toBeDefined();
    const bound = `GET / HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`;
    const drained = [a, b].map((address, i) => ({ address, weight: 1, drain: (i === 0) === (first.body === "a") }));
    for (let i = 0; i < 6; i++) {
      if (i === 3) put(gateway, { balancer, endpoints: drained }, []);
      const answer = await ask(gateway.port, bound);
      expect([answer.body, answer.head.includes("set-cookie")]).toEqual([first.body, false]);
    }
    // Nobody else gets there any more; a cookie that names nobody is replaced.
    for (const request of [GET, bound.replace(/at=.{8}/, "at=00000000")]) {
      const other = await ask(gateway.port, request);
      expect(other.body).not.toBe(first.body);
      expect(other.head).toContain("set-cookie: at=");
    }
    await gateway.settled();
  });

  it("sends all to the first priority that has somebody, and comes back to it", async () => {
    let well = true;
    const first = await upstream((socket) => socket.write(well ? ok("a") : empty(500)));
    const second = await upstream(named("b"));
    const gateway = await plane(io, {
      endpoints: [],
      upstream: {
        endpoints: [
          { address: second.address, weight: 1, priority: 1 },
          { address: first.address, weight: 1 },
        ],
        healthCheck: CHECK,
      },
    });
    for (let i = 0; i < 4; i++) expect((await ask(gateway.port)).body).toBe("a");
    well = false;
    await until(async () => (await ask(gateway.port)).body === "b", "fail-over");
    well = true;
    await until(async () => (await ask(gateway.port)).body === "a", "the way back");
    await gateway.settled();
  });

  it("leaves out who fails its checks, tells so, and keeps that over a change of the configuration", async () => {
    let well = true;
    const sick = await upstream((socket, all) => {
      socket.write(all.includes("/healthz") && !well ? empty(500) : ok("a"));
    });
    const sound = await upstream(named("b"));
    const checked = { healthCheck: CHECK };
    const endpoints = [sick.address, sound.address];
    const gateway = await plane(io, { endpoints, upstream: checked });
    await until(() => sick.received.join("").includes("GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:"), "a check");
    well = false;
    const member = gateway.plane.engine?.upstreams[0]?.members[0];
    await until(() => member?.healthy === false, "two failed checks");
    expect(member?.checkError).toBe("status 500");
    expect(gateway.plane.counters()[`endpoint_healthy{upstream="up",endpoint="${sick.address}"}`]).toBe(0);
    put(gateway, checked, endpoints);
    for (let i = 0; i < 4; i++) expect((await ask(gateway.port)).body).toBe("b");
    well = true;
    await until(() => member?.healthy === true, "two good checks");
    // Without checks everyone is healthy, whatever the last check said.
    well = false;
    await until(() => member?.healthy === false, "two failed checks again");
    put(gateway, {}, endpoints);
    expect(member?.healthy).toBe(true);
    await gateway.settled();
  });

  it("answers 503 with a word of its own when nobody is healthy", async () => {
    const gateway = await plane(io, {
      endpoints: ["127.0.0.1:1"],
      upstream: { healthCheck: { ...CHECK, type: "tcp" } },
    });
    await until(async () => (await ask(gateway.port)).body.includes('"no-healthy-endpoint"'), "the check");
    expect((await ask(gateway.port)).status).toBe(503);
    await gateway.settled();
  });

  it("ejects who fails in a row, not too many, and takes them back", async () => {
    let well = false;
    const bad = await upstream((socket) => socket.write(well ? ok("a") : empty(500)));
    const good = await upstream(named("b"));
    const gateway = await plane(io, {
      endpoints: [bad.address, good.address],
      upstream: {
        outlierDetection: { consecutiveErrors: 3, baseEjectionMs: 300, maxEjectionMs: 1000, maxEjectionPercent: 50 },
      },
    });
    const member = gateway.plane.engine?.upstreams[0]?.members[0];
    await until(async () => {
      await ask(gateway.port);
      return member?.ejected === true;
    }, "the ejection");
    for (let i = 0; i < 4; i++) expect((await ask(gateway.port)).body).toBe("b");
    expect(gateway.plane.counters()['upstream_ejections{upstream="up"}']).toBe(1);
    well = true;
    await until(() => member?.ejected === false, "its return");
    await until(async () => (await ask(gateway.port)).body === "a", "its share");
    await gateway.settled();
  });

  it("never ejects the only one", async () => {
    const bad = await upstream((socket) => socket.write(empty(500)));
    const gateway = await plane(io, {
      endpoints: [bad.address],
      upstream: {
        outlierDetection: { consecutiveErrors: 1, baseEjectionMs: 300, maxEjectionMs: 300, maxEjectionPercent: 50 },
      },
    });
    for (let i = 0; i < 5; i++) expect((await ask(gateway.port)).status).toBe(500);
    await gateway.settled();
  });

  it("lets who comes too much wait, in order, bounded in number and in time", async () => {
    const waiting: net.Socket[] = [];
    const up = await upstream((socket) => waiting.push(socket));
    const gateway = await plane(io, {
      endpoints: [up.address],
      upstream: { limits: { connectionsMax: 0, requestsMax: 1, queueMax: 2, queueMs: 400 } },
    });
    const clients = Array.from({ length: 4 }, () => new RawClient(gateway.port));
    for (const client of clients) {
      client.send(GET);
      await sleep(30);
    }
    const [first, second, third, fourth] = clients as [RawClient, RawClient, RawClient, RawClient];
    await fourth.until(({ received }) => received.includes('"queue-full"'));
    expect(gateway.plane.counters()['upstream_queue_waiting{upstream="up"}']).toBe(2);
    waiting.shift()?.write(ok("1"));
    await first.until(({ received }) => received.endsWith("1"));
    await until(() => waiting.length === 1, "the second at the upstream");
    await third.until(({ received }) => received.includes('"queue-timeout"'));
    waiting.shift()?.write(ok("2"));
    await second.until(({ received }) => received.endsWith("2"));
    for (const client of clients) client.end();
    await gateway.settled();
    expect(gateway.plane.counters()).toMatchObject({ outcome_queue_full: 1, outcome_queue_timeout: 1 });
  });

  it("forgets who waits and goes", async () => {
    const waiting: net.Socket[] = [];
    const up = await upstream((socket) => waiting.push(socket));
    const gateway = await plane(io, {
      endpoints: [up.address],
      upstream: { limits: { connectionsMax: 1, requestsMax: 0, queueMax: 5, queueMs: 5000 } },
    });
    const first = new RawClient(gateway.port).send(GET);
    await until(() => waiting.length === 1, "the first");
    const gone = new RawClient(gateway.port).send(GET);
    await until(() => gateway.plane.engine?.upstreams[0]?.queue?.length === 1, "the second waits");
    gone.socket.resetAndDestroy();
    await until(() => gateway.plane.engine?.upstreams[0]?.queue?.length === 0, "nobody waits");
    waiting.shift()?.write(ok("1"));
    await first.until(({ received }) => received.endsWith("1"));
    first.end();
    await gateway.settled();
    expect(requests(up.received.join(""))).toBe(1);
  });

  it("follows a name to where it leads, and again when that changes", async () => {
    const first = await upstream(named("a"));
    let addresses: readonly string[] | null = ["127.0.0.1"];
    const dns = await startDns(() => addresses);
    after(() => dns.close());
    const gateway = await plane(io, { endpoints: [first.address] });
    gateway.plane.context.endpoints.resolver.configure({ servers: [dns.address], hosts: new Map() });
    put(gateway, {}, [`api.test:${first.port}`]);
    await until(async () => (await ask(gateway.port)).body === "a", "the name's address");
    const now = gateway.plane.engine?.upstreams[0];
    const before = now?.members[0];
    expect(before?.address).toBe(`127.0.0.1:${first.port}`);
    addresses = ["127.0.0.1", "127.0.0.2"];
    await until(() => now?.members.length === 2, "the second address");
    expect(now?.members[0]).toBe(before);
    // No answer leaves what is known; then a name that is not known at all.
    addresses = null;
    await sleep(1300);
    expect(now?.members).toHaveLength(2);
    put(gateway, {}, ["nothing.test:80"]);
    await until(async () => (await ask(gateway.port)).body.includes('"name-unresolved"'), "no such name");
    put(gateway, {}, [first.address]);
    await gateway.settled();
  });

  it("gives who comes back its share bit by bit", async () => {
    const [a, b] = [await upstream(named("a")), await upstream(named("b"))];
    const gateway = await plane(io, { endpoints: [a.address], upstream: { slowStartMs: 60_000 } });
    expect((await ask(gateway.port)).body).toBe("a");
    put(gateway, { slowStartMs: 60_000 }, [a.address, b.address]);
    let seen = 0;
    for (let i = 0; i < 100; i++) if ((await ask(gateway.port)).body === "b") seen++;
    // A tenth of what it would get otherwise, 50.
    expect(seen).toBeLessThan(25);
    // When its time is over it has all of it.
    put(gateway, { slowStartMs: 1 }, [a.address, b.address]);
    await sleep(20);
    seen = 0;
    for (let i = 0; i < 20; i++) if ((await ask(gateway.port)).body === "b") seen++;
    expect(seen).toBe(10);
    await gateway.settled();
  });
});
