/** TCP streams whose endpoints are at their limits wait, in order and for a time; those that can't connect go on, as often as they may. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import type { RetrySpec, UpstreamLimitsSpec, UpstreamSpec } from "#snapshot/snapshot.ts";
import { startStreamPlane, type StreamPlane } from "#test/support/stream-plane.ts";
import { seen, tcpServer, until, type Seen } from "#test/support/tls-peers.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function plane(io: "io_uring" | "epoll", endpoints: readonly string[], upstream: Partial<UpstreamSpec>) {
  const made = await startStreamPlane({ io, endpoints, listener: { protocol: "tcp" }, upstream });
  open.push({ close: () => made.stop() });
  return made;
}

function client(port: number): Seen<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  open.push({ close: () => socket.destroy() });
  return seen(socket);
}

/** The first byte greets, whatever comes is said again. */
const greeter = () =>
  tcpServer(open, (socket) => {
    socket.write("+");
    socket.pipe(socket);
  });

/** An address that nobody listens at. */
async function deserted(): Promise<string> {
  const gone = net.createServer();
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(gone.address() as net.AddressInfo).port}`;
  await new Promise((resolve) => gone.close(resolve));
  return address;
}

const LIMITS: UpstreamLimitsSpec = { connectionsMax: 1, requestsMax: 0, queueMax: 2, queueMs: 5000 };
const RETRY: RetrySpec = {
  attempts: 1,
  onConnectFailure: true,
  onReset: false,
  onTimeout: false,
  onStatus: [],
  budgetPercent: 100,
  perTryMs: 0,
  hedgeAfterMs: 0,
  bodyBytesMax: 0,
};

const outcome = (made: StreamPlane, name: string) => made.counters()[`stream_outcomes{outcome="${name}"}`];
const waiting = (made: StreamPlane) => made.plane.engine?.upstreams[0]?.queue?.length;

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  describe("at the limit", () => {
    test("without a queue it is a reset, and another stream is served when the first is over", async () => {
      const made = await plane(io, [await greeter()], { limits: { ...LIMITS, queueMax: 0 } });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      await client(made.port).is("ECONNRESET");
      expect(outcome(made, "upstream-busy")).toBe(1);
      first.socket.resetAndDestroy();
      await until(() => outcome(made, "client-reset") === 1, "the first is over");
      const second = client(made.port);
      await until(() => second.text() === "+", "served");
      second.socket.resetAndDestroy();
      await made.settled();
    });

    test("with one, streams wait in order, with what they have sent; one too many is a reset", async () => {
      const made = await plane(io, [await greeter()], { limits: LIMITS });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      const second = client(made.port);
      second.socket.write("early");
      await until(() => waiting(made) === 1, "in the queue");
      const third = client(made.port);
      third.socket.end("all");
      await until(() => waiting(made) === 2, "both in the queue");
      await client(made.port).is("ECONNRESET");
      expect(outcome(made, "queue-full")).toBe(1);
      first.socket.end();
      await first.is("end");
      await until(() => second.text() === "+early", "the second's turn");
      expect(third.text()).toBe("");
      second.socket.write(" late");
      await until(() => second.text() === "+early late", "the second goes on");
      second.socket.end();
      await third.is("end");
      expect(third.text()).toBe("+all");
      await made.settled();
      expect([outcome(made, "closed"), made.counters()["upstream_connects"]]).toEqual([3, 3]);
    });

    test("who waits too long is reset; who gives up is no longer in the way", async () => {
      const made = await plane(io, [await greeter()], { limits: { ...LIMITS, queueMs: 700 } });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      const impatient = client(made.port);
      await until(() => waiting(made) === 1, "in the queue");
      impatient.socket.resetAndDestroy();
      await until(() => waiting(made) === 0, "out of the queue");
      expect(outcome(made, "client-gone")).toBe(1);
      const patient = client(made.port);
      await patient.is("ECONNRESET");
      expect(outcome(made, "queue-timeout")).toBe(1);
      first.socket.resetAndDestroy();
      await made.settled();
    });

    test("a client that sends much while it waits is stopped", async () => {
      const made = await plane(io, [await greeter()], { limits: LIMITS });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      const second = client(made.port);
      second.socket.write(Buffer.alloc(40 << 20, "z"));
      await until(() => waiting(made) === 1, "in the queue");
      await sleep(200);
      const { buffers } = made.plane.context;
      // What is lent to the kernel at rest, and as much again that a receive had taken before it was stopped.
      expect(buffers.count - buffers.free).toBeLessThan(2 * 259);
      first.socket.resetAndDestroy();
      await until(() => second.text().length === (40 << 20) + 1, "all of it");
      second.socket.resetAndDestroy();
      await made.settled();
    });

    test("a change of the configuration leaves those who wait where they are", async () => {
      const at = await greeter();
      const made = await plane(io, [at], { limits: LIMITS });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      const second = client(made.port);
      await until(() => waiting(made) === 1, "in the queue");
      made.swap({ upstream: { limits: { ...LIMITS, queueMax: 0 } } });
      first.socket.end();
      await until(() => second.text() === "+", "its turn");
      second.socket.end();
      await second.is("end");
      await made.settled();
    });

    test("an endpoint that drains is no place for who waits", async () => {
      const [at, draining] = [await greeter(), await greeter()];
      const endpoints = [
        { address: at, weight: 1 },
        { address: draining, weight: 1, drain: true },
      ];
      const made = await plane(io, [at], { endpoints, limits: LIMITS });
      const first = client(made.port);
      await until(() => first.text() === "+", "served");
      const [second, third] = [client(made.port), client(made.port)];
      await until(() => waiting(made) === 2, "both in the queue");
      first.socket.end();
      await until(() => second.text() + third.text() === "+", "one's turn, and the worker lives");
      expect(waiting(made)).toBe(1);
      for (const one of [second, third]) one.socket.end();
      await Promise.all([second.is("end"), third.is("end")]);
      await made.settled();
    });
  });

  describe("a failed connect", () => {
    test("goes on to other endpoints, three of them by itself", async () => {
      const dead = [await deserted(), await deserted(), await deserted(), await deserted()];
      const made = await plane(io, [...dead.slice(0, 2), await greeter()], {});
      for (let i = 0; i < 3; i++) {
        const one = client(made.port);
        await until(() => one.text() === "+", "served");
        one.socket.resetAndDestroy();
      }
      made.swap({ endpoints: dead });
      const before = made.counters()["upstream_connects"] ?? 0;
      await client(made.port).is("ECONNRESET");
      expect((made.counters()["upstream_connects"] ?? 0) - before).toBe(3);
      expect(outcome(made, "connect-failed")).toBe(1);
      await made.settled();
    });

    test("is tried again as often as `retry` says, also at the only endpoint there is", async () => {
      const dead = await deserted();
      const made = await plane(io, [dead], { retry: { ...RETRY, attempts: 2 } });
      await client(made.port).is("ECONNRESET");
      expect(made.counters()).toMatchObject({ upstream_connects: 3, upstream_retries: 2 });
      made.swap({ upstream: { retry: { ...RETRY, onConnectFailure: false } } });
      await client(made.port).is("ECONNRESET");
      expect(made.counters()).toMatchObject({ upstream_connects: 4, upstream_retries: 2 });
      await made.settled();
    });

    test("has its budget", async () => {
      const made = await plane(io, [await deserted()], { retry: { ...RETRY, attempts: 10, budgetPercent: 0 } });
      for (let i = 0; i < 3; i++) await client(made.port).is("ECONNRESET");
      // Ten are saved up, and one comes by itself in a second.
      expect(made.counters()["upstream_retries"]).toBeGreaterThanOrEqual(10);
      expect(made.counters()["upstream_retries"]).toBeLessThan(30);
      expect(made.plane.engine?.upstreams[0]?.retry?.refused).toBeGreaterThan(0);
      await made.settled();
    });
  });
});
