/** TCP through the data plane, and past it in the kernel: half-close in every order, resets, slow readers, retries, idle time, swaps, the log. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { movings, SockmapRig } from "#test/support/sockmap-rig.ts";
import { startStreamPlane, type StreamPlane, type StreamPlaneOptions } from "#test/support/stream-plane.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

/** Moves what it can in the kernel; null: every byte goes through the process. */
let rig: SockmapRig | null = null;

/** An upstream that shows each of its connections. */
async function upstream(on: (socket: net.Socket) => void): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    on(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

async function plane(
  options: Partial<StreamPlaneOptions> & Pick<StreamPlaneOptions, "io" | "endpoints">,
): Promise<StreamPlane> {
  const stream = { idleTimeoutMs: 60_000, sessionsMax: 0, ...options.listener?.stream };
  const listener = { protocol: "tcp" as const, ...options.listener, stream, sockmap: rig !== null };
  const kernel = { ...options.kernel, sockmap: rig?.sockmap ?? null };
  const made = await startStreamPlane({ ...options, listener, kernel });
  open.push({ close: () => made.stop() });
  return made;
}

interface Client {
  readonly socket: net.Socket;
  readonly events: string[];
  text(): string;
  is(event: string): Promise<void>;
}

function client(port: number, host = "127.0.0.1"): Client {
  const socket = net.connect({ port, host, allowHalfOpen: true });
  const events: string[] = [];
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString("latin1")));
  for (const name of ["connect", "end", "close"]) socket.on(name, () => events.push(name));
  socket.on("error", (error: NodeJS.ErrnoException) => events.push(error.code ?? "error"));
  open.push({ close: () => socket.destroy() });
  return { socket, events, text: () => text, is: (event) => until(() => events.includes(event), event) };
}

async function until(met: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (met()) return;
    await sleep(10);
  }
  throw new Error(`never: ${what}`);
}

describe.each(movings("streams"))("$io, joined: $joined", ({ io, joined }) => {
  beforeAll(() => {
    rig = joined ? new SockmapRig() : null;
  });
  afterAll(() => {
    expect(rig?.left() ?? 0).toBe(0);
    expect(rig === null || rig.counts().moved > 0).toBe(true);
    rig?.close();
    rig = null;
  });

  test("short of memory, streams that are there go on and none is begun; with memory they are again", async () => {
    const at = await upstream((socket) => socket.on("data", (bytes) => socket.write(bytes)));
    const one = await plane({ io, endpoints: [at] });
    const { buffers } = one.plane.context;
    const there = client(one.port);
    there.socket.write("a");
    await until(() => there.text() === "a", "an echo");
    const taken: number[] = [];
    while (buffers.free >= buffers.count >> 5) taken.push(buffers.allocate());
    await client(one.port).is("ECONNRESET");
    there.socket.write("b");
    await until(() => there.text() === "ab", "an echo while memory is short");
    for (const buffer of taken) buffers.release(buffer);
    const later = client(one.port);
    later.socket.write("c");
    await until(() => later.text() === "c", "an echo of a new stream");
    for (const { socket } of [there, later]) socket.resetAndDestroy();
  });

  test("bytes go both ways, and a server may speak first", async () => {
    const at = await upstream((socket) => {
      socket.write("hello ");
      socket.on("data", (chunk) => socket.write(chunk.toString().toUpperCase()));
      socket.on("end", () => socket.end());
    });
    const { port, settled, counters } = await plane({ io, endpoints: [at] });
    const one = client(port);
    one.socket.end("there");
    await one.is("end");
    expect(one.text()).toBe("hello THERE");
    await settled();
    expect(counters()).toMatchObject({
      tcp_streams: 1,
      tcp_streams_open: 0,
      tcp_bytes_received: 5,
      tcp_bytes_sent: 11,
    });
    expect(counters()['stream_outcomes{outcome="closed"}']).toBe(1);
  });

  describe("half-close", () => {
    test("client first: the server answers after it", async () => {
      const at = await upstream((socket) => {
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString()));
        socket.on("end", () => setTimeout(() => socket.end(`got ${text}`), 50));
      });
      const { port, settled } = await plane({ io, endpoints: [at] });
      const one = client(port);
      one.socket.end("all of it");
      await one.is("end");
      expect(one.text()).toBe("got all of it");
      await settled();
    });

    test("server first: the client goes on", async () => {
      let received = "";
      let ended = false;
      const at = await upstream((socket) => {
        socket.end("bye");
        socket.on("data", (chunk) => (received += chunk.toString()));
        socket.on("end", () => (ended = true));
      });
      const { port, settled } = await plane({ io, endpoints: [at] });
      const one = client(port);
      await one.is("end");
      expect(one.text()).toBe("bye");
      one.socket.write("still ");
      await until(() => received === "still ", "bytes after the server's end");
      expect(ended).toBe(false);
      one.socket.end("here");
      await until(() => ended, "the client's end");
      expect(received).toBe("still here");
      await settled();
    });

    test("both at once", async () => {
      let received = "";
      const at = await upstream((socket) => {
        socket.end("b");
        socket.on("data", (chunk) => (received += chunk.toString()));
      });
      const { port, settled } = await plane({ io, endpoints: [at] });
      const one = client(port);
      one.socket.end("a");
      await one.is("end");
      await until(() => received === "a", "the client's byte");
      expect(one.text()).toBe("b");
      await settled();
    });

    test("before there is an upstream: the end is not lost", async () => {
      const at = await upstream((socket) => {
        socket.on("end", () => socket.end("seen"));
        socket.resume();
      });
      const { port, settled } = await plane({ io, endpoints: [at] });
      const one = client(port);
      one.socket.end();
      await one.is("end");
      expect(one.text()).toBe("seen");
      await settled();
    });
  });

  test("a reset of the server is a reset for the client", async () => {
    const at = await upstream((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const { port, settled, counters } = await plane({ io, endpoints: [at] });
    const one = client(port);
    one.socket.write("x");
    await one.is("ECONNRESET");
    await settled();
    expect(counters()['stream_outcomes{outcome="upstream-reset"}']).toBe(1);
  });

  test("a reset of the client is a reset for the server", async () => {
    const events: string[] = [];
    const at = await upstream((socket) => {
      socket.on("error", (error: NodeJS.ErrnoException) => events.push(error.code ?? ""));
      socket.resume();
    });
    const { port, settled, counters } = await plane({ io, endpoints: [at] });
    const one = client(port);
    one.socket.write("x");
    await until(() => counters()["upstream_connects"] === 1, "a connection");
    await sleep(50);
    one.socket.resetAndDestroy();
    await until(() => events.includes("ECONNRESET"), "the reset");
    await settled();
    expect(counters()['stream_outcomes{outcome="client-reset"}']).toBe(1);
  });

  test("64 MiB each way at once arrive whole", async () => {
    const bytes = randomBytes(1 << 20);
    const digest = createHash("sha256");
    for (let i = 0; i < 64; i++) digest.update(bytes);
    const expected = digest.digest("hex");
    const seen: string[] = [];
    const send = (socket: net.Socket): void => {
      let left = 64;
      const more = (): void => {
        while (left > 0) {
          left--;
          if (!socket.write(bytes)) {
            socket.once("drain", more);
            return;
          }
        }
        socket.end();
      };
      more();
    };
    const read = (socket: net.Socket): void => {
      const hash = createHash("sha256");
      socket.on("data", (chunk) => hash.update(chunk));
      socket.on("end", () => seen.push(hash.digest("hex")));
    };
    const at = await upstream((socket) => {
      send(socket);
      read(socket);
    });
    const stream = { idleTimeoutMs: 60_000, sessionsMax: 0 };
    const { port, settled, counters } = await plane({ io, endpoints: [at], listener: { protocol: "tcp", stream } });
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    open.push({ close: () => socket.destroy() });
    read(socket);
    send(socket);
    await until(() => seen.length === 2, "both ends");
    expect(seen).toEqual([expected, expected]);
    await settled();
    expect(counters()).toMatchObject({ tcp_bytes_received: 64 << 20, tcp_bytes_sent: 64 << 20 });
    expect(counters()["tcp_bytes_spliced"]).toBeGreaterThan(0);
  }, 30_000);

  test("a reader that stands still holds a bounded amount, and gets everything later", async () => {
    const total = 48 << 20;
    let written = 0;
    const at = await upstream((socket) => {
      const chunk = Buffer.alloc(1 << 20, "z");
      const more = (): void => {
        while (written < total) {
          written += chunk.length;
          if (!socket.write(chunk)) {
            socket.once("drain", more);
            return;
          }
        }
        socket.end();
      };
      more();
    });
    const { plane: data, port, settled } = await plane({ io, endpoints: [at] });
    const socket = net.connect({ port, host: "127.0.0.1" });
    open.push({ close: () => socket.destroy() });
    socket.pause();
    // Longer than the upstream's time to connect: that deadline is over.
    await sleep(1300);
    const { buffers } = data.context;
    expect((buffers.count - buffers.free) * 32_768).toBeLessThan(257 * 32_768 + (4 << 20));
    expect(written).toBeLessThan(40 << 20);
    let got = 0;
    socket.resume();
    socket.on("data", (chunk) => (got += chunk.length));
    await until(() => got === total, "the rest");
    await settled();
  }, 20_000);

  test("another endpoint is tried when one refuses; then it is a reset", async () => {
    const at = await upstream((socket) => socket.end("ok"));
    const gone = net.createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const dead = `127.0.0.1:${(gone.address() as net.AddressInfo).port}`;
    await new Promise((resolve) => gone.close(resolve));
    const made = await plane({ io, endpoints: [dead, at] });
    for (let i = 0; i < 3; i++) {
      const one = client(made.port);
      await one.is("end");
      expect(one.text()).toBe("ok");
      one.socket.destroy();
    }
    made.swap({ endpoints: [dead] });
    const two = client(made.port);
    await two.is("ECONNRESET");
    await made.settled();
    expect(made.counters()['stream_outcomes{outcome="connect-failed"}']).toBe(1);
  });

  test("quiet for too long: both are closed", async () => {
    let ended = 0;
    const at = await upstream((socket) => {
      socket.on("end", () => ended++);
      socket.resume();
    });
    const stream = { idleTimeoutMs: 300, sessionsMax: 0 };
    const { port, settled, counters } = await plane({ io, endpoints: [at], listener: { protocol: "tcp", stream } });
    const one = client(port);
    for (let i = 0; i < 4; i++) {
      one.socket.write("x");
      await sleep(150);
    }
    expect(one.events).not.toContain("end");
    await one.is("end");
    await until(() => ended === 1, "the upstream's end");
    await settled();
    expect(counters()['stream_outcomes{outcome="idle-timeout"}']).toBe(1);
  });

  test("no route, no access, too many: each is a reset with its outcome", async () => {
    const at = await upstream((socket) => socket.end("ok"));
    const deny = { kind: "builtin", name: "ip-access", config: { allow: [], deny: ["127.0.0.0/8"] } } as const;
    const rate = {
      kind: "builtin",
      name: "rate-limit",
      config: { perSecond: 1, burst: 1, key: "client-ip", keysMax: 8 },
    } as const;
    const made = await plane({
      io,
      endpoints: [at],
      routes: [{ match: { serverNames: [], sources: ["10.0.0.0/8"], destinations: [] } }],
    });
    const outcome = (name: string) => made.counters()[`stream_outcomes{outcome="${name}"}`];
    await client(made.port).is("ECONNRESET");
    await until(() => outcome("no-route") === 1, "no-route");
    made.swap({ routes: [{ filters: [deny] }] });
    await client(made.port).is("ECONNRESET");
    await until(() => outcome("denied") === 1, "denied");
    made.swap({ routes: [{ filters: [rate] }] });
    await client(made.port).is("end");
    await client(made.port).is("ECONNRESET");
    await until(() => outcome("denied") === 2, "denied by rate");
  });

  test("a swap keeps streams where they are, and new ones go the new way", async () => {
    const first = await upstream((socket) => socket.on("data", (chunk) => socket.write(`first ${chunk.toString()}`)));
    const second = await upstream((socket) => socket.on("data", (chunk) => socket.write(`second ${chunk.toString()}`)));
    const made = await plane({ io, endpoints: [first] });
    const old = client(made.port);
    old.socket.write("1");
    await until(() => old.text() === "first 1", "first");
    made.swap({ endpoints: [second] });
    const young = client(made.port);
    young.socket.write("2");
    old.socket.write("3");
    await until(() => young.text() === "second 2" && old.text() === "first 1first 3", "both");
    // A destroyed one would only end its half, and these upstreams never end theirs.
    old.socket.resetAndDestroy();
    young.socket.resetAndDestroy();
    await made.settled();
  });

  test("the original destination of a steered client", async () => {
    const at = await upstream((socket) => socket.end("where I wanted to go"));
    const made = await plane({
      io,
      endpoints: [],
      listener: { protocol: "tcp", transparent: true },
      routes: [
        {
          action: { kind: "original" },
          match: {
            serverNames: [],
            sources: [],
            destinations: [{ prefix: "127.0.0.0/8", port: Number(at.split(":")[1]) }],
          },
        },
      ],
      kernel: { originalOf: () => at },
    });
    const one = client(made.port);
    await one.is("end");
    expect(one.text()).toBe("where I wanted to go");
    made.swap({ kernel: { originalOf: () => "127.0.0.1:1" } });
    await client(made.port).is("ECONNRESET");
  });

  test("a line in the access log for each stream", async () => {
    const folder = mkdtempSync(join(tmpdir(), "penstock-stream-"));
    const file = join(folder, "log");
    const logFd = openSync(file, "a");
    open.push({
      close: () => {
        closeSync(logFd);
        rmSync(folder, { recursive: true });
      },
    });
    const at = await upstream((socket) => socket.end("four"));
    const made = await plane({ io, endpoints: [at], logFd });
    const one = client(made.port);
    one.socket.end("abc");
    await one.is("end");
    await until(() => readFileSync(file, "utf8").includes("\n"), "a line");
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      client: "127.0.0.1",
      method: "TCP",
      requestBytes: 3,
      responseBytes: 4,
      route: "all",
      upstream: at,
      outcome: "closed",
    });
  });
});
