/** UDP through the data plane: sessions, their bounds and ends, large datagrams, answers from the right address. */
import { randomBytes } from "node:crypto";
import dgram from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { startStreamPlane, type StreamPlane, type StreamPlaneOptions } from "#test/support/stream-plane.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

interface End {
  readonly socket: dgram.Socket;
  readonly port: number;
  readonly received: { readonly text: string; readonly from: string; readonly bytes: Buffer }[];
}

async function end(host = "127.0.0.1"): Promise<End> {
  const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  const received: { text: string; from: string; bytes: Buffer }[] = [];
  socket.on("message", (bytes, from) =>
    received.push({ text: bytes.toString("latin1"), from: `${from.address}:${from.port}`, bytes }),
  );
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  open.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
  return { socket, port: socket.address().port, received };
}

/** Answers each datagram with `NAME:` in front. */
async function echo(name: string, host = "127.0.0.1"): Promise<End & { readonly address: string }> {
  const one = await end(host);
  one.socket.on("message", (bytes, from) =>
    one.socket.send(Buffer.concat([Buffer.from(`${name}:`), bytes]), from.port, from.address),
  );
  return { ...one, address: host.includes(":") ? `[${host}]:${one.port}` : `${host}:${one.port}` };
}

async function until(met: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (met()) return;
    await sleep(10);
  }
  throw new Error(`never: ${what}`);
}

type Options = Partial<StreamPlaneOptions> & Pick<StreamPlaneOptions, "io" | "endpoints">;

async function plane(options: Options, idleTimeoutMs = 60_000, sessionsMax = 100): Promise<StreamPlane> {
  const stream = { idleTimeoutMs, sessionsMax };
  const made = await startStreamPlane({ ...options, listener: { protocol: "udp", stream, ...options.listener } });
  open.push({ close: () => made.stop() });
  return made;
}

describe.each(["io_uring", "epoll"] as const)("%s", (io) => {
  test("each client has its session, and gets its own answers", async () => {
    const up = await echo("up");
    const { port, counters } = await plane({ io, endpoints: [up.address] });
    const clients = await Promise.all([end(), end(), end()]);
    for (let i = 0; i < 5; i++)
      for (const [k, one] of clients.entries()) one.socket.send(`${k}-${i}`, port, "127.0.0.1");
    await until(() => clients.every((one) => one.received.length === 5), "all answers");
    for (const [k, one] of clients.entries()) {
      expect(one.received.map(({ text }) => text).toSorted()).toEqual([0, 1, 2, 3, 4].map((i) => `up:${k}-${i}`));
      expect(new Set(one.received.map(({ from }) => from))).toEqual(new Set([`127.0.0.1:${port}`]));
    }
    // One port of ours for each client.
    expect(new Set(up.received.map(({ from }) => from)).size).toBe(3);
    expect(counters()).toMatchObject({
      udp_sessions: 3,
      udp_sessions_open: 3,
      udp_datagrams_received: 15,
      udp_datagrams_sent: 15,
    });
  });

  test("a worker that leaves ends who has been answered, and waits for the answer that another waits for", async () => {
    const up = await end();
    let answerLate = (): void => {};
    up.socket.on("message", (bytes, from) => {
      const answer = (): void => up.socket.send(`re:${bytes.toString()}`, from.port, from.address);
      if (bytes.toString() === "late") answerLate = answer;
      else answer();
    });
    const { plane: worker, port, counters } = await plane({ io, endpoints: [`127.0.0.1:${up.port}`] });
    const [one, other] = [await end(), await end()];
    one.socket.send("now", port, "127.0.0.1");
    await until(() => one.received.length === 1, "an answer");
    other.socket.send("late", port, "127.0.0.1");
    await until(() => up.received.length === 2, "a question");
    worker.drain();
    await until(() => counters()["udp_sessions_open"] === 1, "the end of who has been answered");
    answerLate();
    await until(() => other.received.length === 1, "the late answer");
    expect(other.received[0]?.text).toBe("re:late");
  });

  test.each([0, 1, 1472, 32_768, 40_000, 65_500])("a datagram of %i bytes", async (bytes) => {
    const body = randomBytes(bytes);
    const up = await echo("");
    const { port } = await plane({ io, endpoints: [up.address] });
    const one = await end();
    one.socket.send(body, port, "127.0.0.1");
    await until(() => one.received.length === 1, "the answer");
    expect(one.received[0]?.bytes.subarray(1)).toEqual(body);
  });

  test("IPv6, and IPv4 over a wildcard of IPv6", async () => {
    const up = await echo("up", "::1");
    const { port } = await plane({ io, endpoints: [up.address], address: "[::]:0" });
    const six = await end("::1");
    const four = await end();
    six.socket.send("a", port, "::1");
    four.socket.send("b", port, "127.0.0.1");
    await until(() => six.received.length + four.received.length === 2, "both answers");
    expect(six.received[0]).toMatchObject({ text: "up:a", from: `::1:${port}` });
    expect(four.received[0]).toMatchObject({ text: "up:b", from: `127.0.0.1:${port}` });
  });

  test("answers come from the address that the client spoke to", async () => {
    const up = await echo("up");
    const { port, counters } = await plane({ io, endpoints: [up.address], address: "0.0.0.0:0" });
    const one = await end("0.0.0.0");
    for (const host of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) one.socket.send(host, port, host);
    await until(() => one.received.length === 3, "all answers");
    for (const { text, from } of one.received) expect(from).toBe(`${text.slice(3)}:${port}`);
    // To the client these are three conversations.
    expect(counters()["udp_sessions"]).toBe(3);
  });

  test("a session ends when nothing comes for a while", async () => {
    const up = await echo("up");
    const { port, counters, settled } = await plane({ io, endpoints: [up.address] }, 300);
    const one = await end();
    for (let i = 0; i < 4; i++) {
      one.socket.send("x", port, "127.0.0.1");
      await sleep(150);
    }
    expect(counters()["udp_sessions"]).toBe(1);
    await settled();
    expect(counters()['stream_outcomes{outcome="idle-timeout"}']).toBe(1);
    one.socket.send("again", port, "127.0.0.1");
    await until(() => counters()["udp_sessions"] === 2, "another session");
  });

  test("a flood of clients stays within the table, and does not displace those who are served", async () => {
    const up = await echo("up");
    let answer = true;
    const quiet = await end();
    quiet.socket.on("message", (bytes, from) => {
      if (answer) quiet.socket.send(bytes, from.port, from.address);
    });
    const made = await plane({ io, endpoints: [`127.0.0.1:${quiet.port}`] }, 60_000, 20);
    const served = await Promise.all(Array.from({ length: 5 }, () => end()));
    for (const one of served) one.socket.send("x", made.port, "127.0.0.1");
    await until(() => served.every((one) => one.received.length === 1), "five are served");
    answer = false;
    for (let i = 0; i < 100; i++) {
      const one = await end();
      one.socket.send("flood", made.port, "127.0.0.1");
    }
    await until(() => made.counters()["udp_sessions"] === 105, "all of the flood");
    expect(made.counters()).toMatchObject({ udp_sessions_open: 20, udp_sessions_evicted: 85 });
    answer = true;
    for (const one of served) one.socket.send("y", made.port, "127.0.0.1");
    await until(() => served.every((one) => one.received.length === 2), "five are still served");
    expect(made.counters()["udp_sessions"]).toBe(105);
    expect(up.received).toHaveLength(0);
  });

  test("ICMP says that nobody is there: the session ends, and the next datagram tries again", async () => {
    const gone = await end();
    const port = gone.port;
    await new Promise<void>((resolve) => gone.socket.close(() => resolve()));
    open.pop();
    const made = await plane({ io, endpoints: [`127.0.0.1:${port}`] });
    const one = await end();
    one.socket.send("x", made.port, "127.0.0.1");
    await until(() => made.counters()['stream_outcomes{outcome="upstream-unreachable"}'] === 1, "the end");
    expect(made.counters()["udp_sessions_open"]).toBe(0);
    one.socket.send("y", made.port, "127.0.0.1");
    await until(() => made.counters()['stream_outcomes{outcome="upstream-unreachable"}'] === 2, "another end");
  });

  test("no route, no access: dropped and counted", async () => {
    const up = await echo("up");
    const deny = { kind: "builtin", name: "ip-access", config: { allow: [], deny: ["127.0.0.0/8"] } } as const;
    const made = await plane({ io, endpoints: [up.address], routes: [{ filters: [deny] }] });
    const one = await end();
    one.socket.send("x", made.port, "127.0.0.1");
    await until(() => made.counters()["udp_datagrams_dropped"] === 1, "a drop");
    expect(made.counters()['stream_outcomes{outcome="denied"}']).toBe(1);
    made.swap({ routes: [{ match: { serverNames: [], sources: ["10.0.0.0/8"], destinations: [] } }] });
    one.socket.send("x", made.port, "127.0.0.1");
    await until(() => made.counters()["udp_datagrams_dropped"] === 2, "another drop");
    expect(made.counters()['stream_outcomes{outcome="no-route"}']).toBe(1);
    expect(up.received).toHaveLength(0);
  });

  test("a swap keeps sessions where they are; new ones go the new way", async () => {
    const first = await echo("first");
    const second = await echo("second");
    const made = await plane({ io, endpoints: [first.address] });
    const [old, young] = [await end(), await end()];
    old.socket.send("1", made.port, "127.0.0.1");
    await until(() => old.received.length === 1, "first");
    made.swap({ endpoints: [second.address] });
    old.socket.send("2", made.port, "127.0.0.1");
    young.socket.send("3", made.port, "127.0.0.1");
    await until(() => old.received.length === 2 && young.received.length === 1, "both");
    expect(old.received[1]?.text).toBe("first:2");
    expect(young.received[0]?.text).toBe("second:3");
  });
});
