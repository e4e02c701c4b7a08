/** What splicing must get right beyond the drivers' contract: real sockets, whose peer does what only a real one can. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { createUringDriver } from "#io/uring/driver.ts";
import { addressOf } from "#sys/memory.ts";
import {
  accept4,
  AF_INET,
  bind,
  close,
  connect,
  getsockname,
  listen,
  openStream,
  recv,
  send,
  socket,
} from "#sys/socket.ts";

const MSG_OOB = 1;
const TURNS_MAX = 2000;

const bytes = Buffer.alloc(65_536, "abcdefgh");
const at = Number(addressOf(bytes));
const sink = Buffer.alloc(65_536);
const sinkAt = Number(addressOf(sink));

describe.each([
  ["io_uring", createUringDriver],
  ["epoll", createEpollDriver],
] as const)("%s", (_, create) => {
  let driver: Driver;
  /** The driver's, and the far end's. */
  let listener: Fd;
  let farListener: Fd;
  /** Of the sender; of the receiver. */
  let near: Fd;
  let far: number;
  let from: Socket;
  let to: Socket;
  let received: string;
  let spliced: number;

  const forward: SocketHandler = {
    onConnect: () => {},
    onReceive: (_socket, buffer, start, end) => {
      received += Buffer.from(driver.buffers.memory.subarray(start, end)).toString("latin1");
      driver.send(to, buffer, start, end);
    },
    onEnd: () => {},
    onSent: () => {},
    onError: (_socket, error) => expect.fail(`error ${error}`),
  };

  beforeEach(() => {
    [received, spliced] = ["", 0];
    driver = create({ arena: createArena(512 * BUFFER_BYTES) });
    listener = listening();
    farListener = listening();
    let one: Socket | null = null;
    const accepting = driver.accept(listener, {
      onAccept: (accepted) => (one = accepted),
      onAcceptError: (error) => expect.fail(`accept: ${error}`),
      onAcceptEnd: () => {},
    });
    near = openStream(AF_INET) as Fd;
    connect(near, getsockname(listener));
    until(() => one !== null);
    driver.stopAccept(accepting);
    if (one === null) expect.fail("nothing was accepted");
    from = one;
    from.handler = forward;
    to = driver.connect(getsockname(farListener), { ...forward, onReceive: () => {} });
    far = -1;
    until(() => (far = far < 0 ? accept4(farListener) : far) >= 0);
    driver.startReceive(from);
    until(() => !to.connecting);
    driver.splice(from, to, { onSpliced: (count) => (spliced += count) });
  });

  afterEach(() => {
    driver.close(from);
    driver.close(to);
    for (let i = 0; i < 5; i++) driver.turn(1);
    for (const fd of [near, far, listener, farListener]) close(fd);
    driver.dispose();
  });

  function listening(): Fd {
    const fd = socket(AF_INET);
    bind(fd, parseAddress("127.0.0.1:0"));
    listen(fd);
    return fd;
  }

  function until(met: () => boolean): void {
    for (let i = 0; i < TURNS_MAX; i++) {
      if (met()) return;
      driver.turn(1);
    }
    expect.fail("it never was");
  }

  /** Reads at the far end until so much has come. */
  function arrive(count: number): string {
    let all = "";
    until(() => {
      const got = recv(far, sinkAt, sink.length);
      if (got > 0) all += sink.toString("latin1", 0, got);
      return all.length >= count;
    });
    return all;
  }

  /** Bulk, so that the splice is under way. */
  function begin(): void {
    for (let i = 0; i < 20 && spliced === 0; i++) {
      send(near, at, bytes.length);
      expect(arrive(bytes.length)).toBe(bytes.toString());
    }
    expect(spliced).toBeGreaterThan(0);
  }

  test("bulk that becomes small is received again", () => {
    begin();
    const seen = received.length;
    for (let i = 0; i < 40; i++) {
      send(near, at, 8);
      expect(arrive(8)).toBe("abcdefgh");
    }
    expect(received.length).toBeGreaterThan(seen);
  });

  test("urgent data, which no splice gets past, stops nothing and keeps nobody busy", () => {
    begin();
    send(near, at, 3);
    send(near, at + 3, 1, MSG_OOB);
    send(near, at + 4, 4);
    expect(arrive(7)).toBe("abcefgh");
    let turns = 0;
    for (let i = 0; i < 20; i++) turns += driver.turn(1);
    expect(turns).toBeLessThan(10);
    send(near, at, 8);
    expect(arrive(8)).toBe("abcdefgh");
  });
});
