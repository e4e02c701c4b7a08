/** The loop's clock: whoever is called in a turn must not be told the time at which the loop went to sleep. */
import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Buffers, BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { Loop } from "#io/loop.ts";

const SLEPT_MS = 60;

/** The machine's clock, where a test keeps it itself. */
let clockMs = 1000;

/** Says to the loop that libuv has work. */
let libuvReady: () => void = () => {};

function asleepForAWhile(): void {
  clockMs += SLEPT_MS;
}

/** Sleeps when it is asked to wait, which is `SLEPT_MS` unless `sleep` does otherwise, and dispatches then: answers how many. */
function sleepingDriver(dispatch: () => number | void, sleep: (waitMs: number) => void = asleepForAWhile): Driver {
  const unused = (): never => {
    throw new Error("not asked of this driver");
  };
  const driver: Driver = {
    name: "fake",
    buffers: new Buffers(new ArrayBuffer(BUFFER_BYTES)),
    accept: unused,
    stopAccept: unused,
    connect: unused,
    adopt: unused,
    peerAddress: unused,
    localAddress: unused,
    datagrams: unused,
    connectDatagrams: unused,
    startReceive: unused,
    stopReceive: unused,
    send: unused,
    splice: unused,
    bulkBytes: Infinity,
    queuedBytes: unused,
    shutdown: unused,
    close: unused,
    reset: unused,
    acknowledgedBytes: unused,
    watch: (_fd, ready) => {
      libuvReady = ready;
    },
    unwatch: () => {},
    endTurn: unused,
    turn: (waitMs) => {
      if (waitMs === 0) return 0;
      sleep(waitMs);
      driver.woke?.();
      return dispatch() ?? 1;
    },
    dispose: () => {},
  };
  return driver;
}

/** Both ends of connections to ourselves, whose server takes no more. */
async function connectedSockets(count: number): Promise<net.Socket[]> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as net.AddressInfo;
  while (sockets.length < count) {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    sockets.push(socket);
    await Promise.all([once(socket, "connect"), once(server, "connection")]);
  }
  server.close();
  for (const socket of sockets) socket.on("error", () => socket.destroy());
  return sockets;
}

let loop: Loop | null = null;

afterEach(() => loop?.stop());

describe("the loop's clock", () => {
  it("has moved on by the length of the sleep when an event is dispatched", async () => {
    const lateMs = await new Promise<number>((resolve) => {
      const driver = sleepingDriver(() => resolve(clockMs - (loop?.nowMs ?? 0)));
      loop = new Loop(driver, () => clockMs);
      loop.start();
    });
    expect(lateMs).toBe(0);
  });

  it("has moved on by the length of whatever kept the thread from turning", async () => {
    const one = new Loop(
      sleepingDriver(() => {}),
      () => clockMs,
    );
    loop = one;
    one.start();
    clockMs += SLEPT_MS;
    const lateMs = await new Promise<number>((resolve) => {
      one.beforeTurn = () => resolve(clockMs - one.nowMs);
    });
    expect(lateMs).toBe(0);
  });
});

describe("the loop's sleep", () => {
  it("does not keep handles from being closed, one after the other, and is without bound in the end", async () => {
    const sockets = await connectedSockets(4);
    let [unbounded, asleepMs] = [0, 0];
    let woken: () => void = () => {};
    const sleep = (waitMs: number): void => {
      if (waitMs < 0) unbounded++;
      const ms = waitMs < 0 ? 1500 : waitMs;
      asleepMs += ms;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    };
    const asleep = (): Promise<void> => new Promise((resolve) => (woken = resolve));
    // The first sleep without bound ends as if libuv's descriptor had become readable.
    const driver = sleepingDriver(() => {
      if (unbounded === 0) return 0;
      libuvReady();
      woken();
      return 1;
    }, sleep);
    loop = new Loop(driver);
    loop.start();
    await asleep();
    asleepMs = 0;
    for (const socket of sockets) {
      unbounded = 0;
      await new Promise((resolve) => socket.destroy().once("close", resolve));
    }
    // What the loop has asked for, whatever the machine has made of it.
    expect(asleepMs).toBeLessThan(1000);
    await asleep();
    expect(unbounded).toBe(1);
  });
});
