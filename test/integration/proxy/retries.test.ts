/** What is tried again, and what is tried beside the first (hedging): where, how often, and never twice what may not be. */
import { describe, expect, it } from "vitest";
import type { RetrySpec } from "#snapshot/snapshot.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";
import { requests } from "#test/support/raw-http.ts";
import { ask, empty, named, ok } from "#test/support/short-answers.ts";

const { upstream, plane } = closedAfterEach();

const RETRY: RetrySpec = {
  attempts: 2,
  onConnectFailure: true,
  onReset: true,
  onTimeout: true,
  onStatus: [503],
  budgetPercent: 100,
  perTryMs: 0,
  hedgeAfterMs: 0,
  bodyBytesMax: 1000,
};

describe.each(["io_uring", "epoll"] as const)("tries again over %s", (io) => {
  it("a status it was told of, rather elsewhere", async () => {
    const bad = await upstream((socket) => socket.write(empty(503)));
    const good = await upstream(named("b"));
    const gateway = await plane(io, { endpoints: [bad.address, good.address], upstream: { retry: RETRY } });
    for (let i = 0; i < 4; i++) expect((await ask(gateway.port)).body).toBe("b");
    await gateway.settled();
  });

  it("as often as it may, and then delivers what came", async () => {
    const bad = await upstream((socket) => socket.write(empty(503)));
    const gateway = await plane(io, { endpoints: [bad.address], upstream: { retry: RETRY } });
    expect((await ask(gateway.port)).status).toBe(503);
    expect(requests(bad.received.join(""))).toBe(3);
    await gateway.settled();
  });

  it("a body that fits, byte for byte, and not one that does not", async () => {
    const bodies: string[] = [];
    const up = await upstream((socket, all, index) => {
      const end = all.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(all)?.[1]);
      if (all.length < end + 4 + length) return;
      bodies.push(all.slice(end + 4));
      socket.write(index === 0 ? empty(503) : ok("done"));
    });
    const gateway = await plane(io, { endpoints: [up.address], upstream: { retry: RETRY } });
    const put = (bytes: number): string =>
      `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n${"0123456789".repeat(bytes / 10)}`;
    expect((await ask(gateway.port, put(1000))).body).toBe("done");
    expect(bodies).toEqual(["0123456789".repeat(100), "0123456789".repeat(100)]);
    const strict = await upstream((socket, all) => {
      if (all.endsWith("0123456789") && all.length > 1010) socket.write(empty(503));
    });
    const other = await plane(io, { endpoints: [strict.address], upstream: { retry: RETRY } });
    expect((await ask(other.port, put(1010))).status).toBe(503);
    expect(strict.connections()).toBe(1);
    await gateway.settled();
    await other.settled();
  });

  it("never a request that may not be done twice, once it has left", async () => {
    const bad = await upstream((socket) => socket.write(empty(503)));
    const reset = await upstream((socket) => socket.resetAndDestroy());
    const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    for (const [up, status] of [
      [bad, 503],
      [reset, 502],
    ] as const) {
      const gateway = await plane(io, { endpoints: [up.address], upstream: { retry: RETRY } });
      expect((await ask(gateway.port, post)).status).toBe(status);
      expect(up.connections()).toBe(1);
      await gateway.settled();
    }
    // A connect that fails is another matter: nothing has left.
    const good = await upstream(named("b"));
    const gateway = await plane(io, { endpoints: ["127.0.0.1:1", good.address], upstream: { retry: RETRY } });
    for (let i = 0; i < 2; i++) expect((await ask(gateway.port, post)).body).toBe("b");
    await gateway.settled();
  });

  it("an attempt that takes too long", async () => {
    const slow = await upstream(() => {});
    const good = await upstream(named("b"));
    const gateway = await plane(io, {
      endpoints: [slow.address, good.address],
      upstream: { retry: { ...RETRY, perTryMs: 150 } },
    });
    for (let i = 0; i < 3; i++) expect((await ask(gateway.port)).body).toBe("b");
    const alone = await plane(io, {
      endpoints: [slow.address],
      upstream: { retry: { ...RETRY, attempts: 1, perTryMs: 150 } },
    });
    expect((await ask(alone.port)).body).toContain('"upstream-timeout"');
    expect(slow.connections()).toBeGreaterThanOrEqual(3);
    await gateway.settled();
    await alone.settled();
  });

  it("beside the first, at another endpoint, what has had no answer for a while: the first of the two counts", async () => {
    const slow = await upstream(() => {});
    const good = await upstream(named("b"));
    const endpoints = [slow.address, good.address];
    const retry = { ...RETRY, hedgeAfterMs: 100 };
    const gateway = await plane(io, { endpoints, upstream: { retry } });
    for (let i = 0; i < 4; i++) expect((await ask(gateway.port)).body).toBe("b");
    expect(slow.connections()).toBeGreaterThan(0);
    expect(gateway.plane.counters()).toMatchObject({ upstream_hedges: slow.connections(), upstream_retries: 0 });
    await gateway.settled();
  });

  it("beside the first: the first may still answer, and goes on when the second fails", async () => {
    const late = await upstream((socket) => setTimeout(() => socket.write(ok("late")), 300));
    for (const other of [
      await upstream(() => {}),
      await upstream((socket) => socket.resetAndDestroy()),
      await upstream((socket) => socket.write(empty(503))),
    ]) {
      const endpoints = [
        { address: late.address, weight: 1, priority: 0 },
        { address: other.address, weight: 1, priority: 1 },
      ];
      const gateway = await plane(io, {
        endpoints: [],
        upstream: { endpoints, retry: { ...RETRY, hedgeAfterMs: 50 } },
      });
      expect((await ask(gateway.port)).body).toBe("late");
      await gateway.settled();
    }
  });

  it("beside the first: when that fails, the second is waited for", async () => {
    const failing = await upstream((socket) => setTimeout(() => socket.resetAndDestroy(), 200));
    const late = await upstream((socket) => setTimeout(() => socket.write(ok("late")), 300));
    const endpoints = [failing.address, late.address];
    const retry = { ...RETRY, attempts: 1, onReset: false, hedgeAfterMs: 50 };
    const gateway = await plane(io, { endpoints, upstream: { retry } });
    for (let i = 0; i < 2; i++) expect((await ask(gateway.port)).body).toBe("late");
    await gateway.settled();
  });

  it("beside the first never what may not be done twice, nor where nobody else is", async () => {
    const late = await upstream((socket) => setTimeout(() => socket.write(ok("late")), 200));
    const other = await upstream((socket) => setTimeout(() => socket.write(ok("late")), 200));
    const retry = { ...RETRY, hedgeAfterMs: 20 };
    const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    const two = await plane(io, { endpoints: [late.address, other.address], upstream: { retry } });
    expect((await ask(two.port, post)).body).toBe("late");
    expect(late.connections() + other.connections()).toBe(1);
    const one = await plane(io, { endpoints: [late.address], upstream: { retry } });
    expect((await ask(one.port)).body).toBe("late");
    expect(one.plane.counters()).toMatchObject({ upstream_hedges: 0 });
    await one.settled();
    await two.settled();
  });

  it("no more than the budget allows", async () => {
    const bad = await upstream((socket) => socket.write(empty(503)));
    const gateway = await plane(io, {
      endpoints: [bad.address],
      upstream: { retry: { ...RETRY, attempts: 1, budgetPercent: 0 } },
    });
    for (let i = 0; i < 40; i++) expect((await ask(gateway.port)).status).toBe(503);
    // What was saved up, and one a second.
    const retries = requests(bad.received.join("")) - 40;
    expect(retries).toBeGreaterThanOrEqual(10);
    expect(retries).toBeLessThan(16);
    expect(gateway.plane.counters()['upstream_retries_over_budget{upstream="up"}']).toBeGreaterThan(20);
    await gateway.settled();
  });
});
