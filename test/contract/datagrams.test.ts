/** The rules of gateway/io/datagram.ts, over every driver. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defined } from "#core/assert.ts";
import { ECONNREFUSED } from "#core/errno.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import type { DatagramHandler, DatagramSocket } from "#io/datagram.ts";
import { CALM, ROUGH } from "#io/fake/faults.ts";
import { createUringDriver } from "#io/uring/driver.ts";
import { type DatagramNetwork, FakeNetwork, KernelNetwork } from "./datagrams.network.ts";

/** Notes all that a socket tells, and answers where it is told to. */
class Recorder implements DatagramHandler {
  readonly bodies: Uint8Array[] = [];
  readonly senders: Uint8Array[] = [];
  readonly errors: number[] = [];
  reply: ((socket: DatagramSocket, sender: Uint8Array) => void) | null = null;
  inTurn = (): boolean => true;
  outside = 0;

  onDatagram(socket: DatagramSocket): void {
    if (!this.inTurn()) this.outside++;
    const { memory, start, end, addressStart, addressBytes } = socket;
    const sender = memory.slice(addressStart, addressStart + addressBytes);
    this.bodies.push(memory.slice(start, end));
    this.senders.push(sender);
    this.reply?.(socket, sender);
  }

  onDatagramError(_socket: DatagramSocket, error: number): void {
    this.errors.push(error);
  }
}

function datagramContract(open: () => DatagramNetwork): void {
  let network: DatagramNetwork | null = null;
  let turning = false;
  const current = (): DatagramNetwork => defined(network, "network of a running test");
  const turn = (waitMs: number): void => {
    turning = true;
    current().driver.turn(waitMs);
    turning = false;
  };
  const until = async (what: string, met: () => boolean): Promise<void> => {
    for (let i = 0; i < 500; i++) {
      if (met()) return;
      turn(1);
      await current().breathe();
    }
    throw new Error(`never: ${what}`);
  };
  const recorder = (): Recorder => {
    const made = new Recorder();
    made.inTurn = () => turning;
    return made;
  };
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      turn(1);
      await sleep(1);
    }
  };
  /** Another socket's datagram, so that something stands in memory to be sent. */
  const put = (socket: DatagramSocket, bytes: Uint8Array): [number, number] => {
    const start = socket.localStart + 32;
    socket.memory.set(bytes, start);
    return [start, start + bytes.length];
  };

  beforeEach(() => {
    network = open();
    turn(0);
  });
  afterEach(() => current().close());

  test.each([0, 1, 1472, 32_768, 40_000, 65_507])(
    "a datagram of %i bytes comes whole, and so does its answer",
    async (bytes) => {
      const { driver } = current();
      const fd = current().bind();
      const heard = recorder();
      heard.reply = (socket, sender) => {
        expect(socket.sendTo(socket, socket.start, socket.end, sender, null)).toBe(bytes);
      };
      const socket = driver.datagrams(fd, heard);
      const client = await current().client(fd);
      const body = randomBytes(bytes);
      client.send(body);
      await until("an answer", () => client.received.length === 1);
      expect(Buffer.compare(heard.bodies[0] ?? new Uint8Array(1), body)).toBe(0);
      expect(Buffer.compare(client.received[0] ?? new Uint8Array(1), body)).toBe(0);
      expect(heard.outside).toBe(0);
      socket.close();
    },
  );

  test("hundreds at once, each with its sender", async () => {
    const fd = current().bind();
    const heard = recorder();
    const socket = current().driver.datagrams(fd, heard);
    const clients = await Promise.all(Array.from({ length: 4 }, () => current().client(fd)));
    for (let i = 0; i < 50; i++) for (const [k, one] of clients.entries()) one.send(Uint8Array.of(k, i));
    await until("all of them", () => heard.bodies.length === 200);
    const bySender = Map.groupBy(heard.bodies.keys(), (i) => Buffer.from(heard.senders[i] ?? []).toString("hex"));
    expect(bySender.size).toBe(4);
    for (const indices of bySender.values()) {
      expect(new Set(indices.map((i) => heard.bodies[i]?.[0])).size).toBe(1);
      expect(new Set(indices.map((i) => heard.bodies[i]?.[1])).size).toBe(50);
    }
    socket.close();
  });

  test("a connected socket: there and back", async () => {
    const address = await current().serve((bytes) => Uint8Array.of(...bytes, 9));
    const heard = recorder();
    const socket = current().driver.connectDatagrams(address, heard);
    if (typeof socket === "number") throw new Error(`errno ${-socket}`);
    const [start, end] = put(socket, Uint8Array.of(1, 2, 3));
    expect(socket.send(socket, start, end)).toBe(3);
    await until("the answer", () => heard.bodies.length === 1);
    expect([...(heard.bodies[0] ?? [])]).toEqual([1, 2, 3, 9]);
    socket.close();
  });

  test("where nobody is, an error comes back, and the socket stays", async () => {
    const heard = recorder();
    const socket = current().driver.connectDatagrams(current().nowhere(), heard);
    if (typeof socket === "number") throw new Error(`errno ${-socket}`);
    const [start, end] = put(socket, Uint8Array.of(1));
    expect(socket.send(socket, start, end)).toBe(1);
    await until("the error", () => heard.errors.length === 1);
    expect(heard.errors).toEqual([ECONNREFUSED]);
    expect(heard.bodies).toHaveLength(0);
    socket.close();
  });

  test("after close nothing is heard, also when it is closed by its own handler", async () => {
    const fd = current().bind();
    const heard = recorder();
    const socket = current().driver.datagrams(fd, heard);
    heard.reply = () => socket.close();
    const client = await current().client(fd);
    for (let i = 0; i < 10; i++) client.send(Uint8Array.of(i));
    await until("the first", () => heard.bodies.length > 0);
    await settle();
    expect(heard.bodies).toHaveLength(1);
  });

  test("a thousand sockets come and go", async () => {
    const address = await current().serve((bytes) => bytes);
    for (let round = 0; round < 20; round++) {
      const all = Array.from({ length: 50 }, () => {
        const heard = recorder();
        const socket = current().driver.connectDatagrams(address, heard);
        if (typeof socket === "number") throw new Error(`errno ${-socket}`);
        const [start, end] = put(socket, Uint8Array.of(round));
        socket.send(socket, start, end);
        return { heard, socket };
      });
      await until("every answer", () => all.every(({ heard }) => heard.bodies.length === 1));
      for (const { socket } of all) socket.close();
    }
  });
}

/** Why this kernel or container lets nobody use io_uring; null when it does. */
function uringRefusal(): string | null {
  try {
    new KernelNetwork((arena) => createUringDriver({ arena })).driver.dispose();
    return null;
  } catch (error) {
    return String(error);
  }
}

describe("epoll", () => {
  datagramContract(() => new KernelNetwork((arena) => createEpollDriver({ arena })));
});

describe("io_uring", () => {
  const refusal = uringRefusal();
  if (refusal === null) datagramContract(() => new KernelNetwork((arena) => createUringDriver({ arena })));
  else test.skip(`not allowed here: ${refusal}`, () => {});
});

describe("fake, calm", () => {
  datagramContract(() => new FakeNetwork(1, CALM));
});

describe.each([2, 3])("fake, rough, seed %i", (seed) => {
  datagramContract(() => new FakeNetwork(seed, ROUGH));
});
