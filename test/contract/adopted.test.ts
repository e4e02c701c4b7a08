/** Rules of the drivers that need sockets of the kernel's own: one that somebody else has made, and an address to connect from. */
import { once } from "node:events";
import { createServer, Socket as NodeSocket, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import type { SocketHandler } from "#io/socket.ts";
import { createUringDriver } from "#io/uring/driver.ts";
import { socketpair } from "#sys/socket.ts";

/** asm-generic/errno.h */
const EADDRNOTAVAIL = 99;
const ARENA_BYTES = 512 * BUFFER_BYTES;

class Heard implements SocketHandler {
  readonly #driver: Driver;
  text = "";
  ended = false;
  /** Of the connect; −1 while it is under way. */
  connected = -1;

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  onConnect(_socket: unknown, error: number): void {
    this.connected = error;
  }

  onReceive(_socket: unknown, _buffer: number, start: number, end: number): void {
    this.text += Buffer.from(this.#driver.buffers.memory.subarray(start, end)).toString("latin1");
  }

  onEnd(): void {
    this.ended = true;
  }

  onSent(): void {}

  onError(_socket: unknown, error: number): void {
    expect.fail(`errno ${error}`);
  }
}

function openUring(): Driver | string {
  try {
    return createUringDriver({ arena: createArena(ARENA_BYTES) });
  } catch (error) {
    return String(error);
  }
}

describe.each([
  ["epoll", () => createEpollDriver({ arena: createArena(ARENA_BYTES) })],
  ["io_uring", openUring],
])("%s", (_name, open) => {
  async function until(driver: Driver, what: () => boolean): Promise<void> {
    for (let i = 0; i < 2000 && !what(); i++) {
      driver.turn(0);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(what()).toBe(true);
  }

  test("a socket that somebody else has made: bytes and ends both ways", async ({ skip }) => {
    const driver = open();
    if (typeof driver === "string") return skip(driver);
    const [ours, theirs] = socketpair();
    const heard = new Heard(driver);
    const peer = new NodeSocket({ fd: theirs, allowHalfOpen: true });
    let came = "";
    peer.setEncoding("latin1").on("data", (text: string) => (came += text));
    peer.write("hello");
    const socket = driver.adopt(ours, heard);
    await until(driver, () => true);
    expect(heard.text).toBe("");
    driver.startReceive(socket);
    await until(driver, () => heard.text === "hello");
    const buffer = driver.buffers.allocate();
    const at = buffer * BUFFER_BYTES;
    driver.buffers.memory.set(Buffer.from("world"), at);
    driver.send(socket, buffer, at, at + 5);
    driver.buffers.release(buffer);
    driver.shutdown(socket);
    const ended = once(peer, "end");
    await until(driver, () => came === "world");
    await ended;
    peer.end();
    await until(driver, () => heard.ended);
    driver.close(socket);
    driver.turn(0);
    driver.dispose();
  });

  test("a connect from an address of this machine, and from one that is none", async ({ skip }) => {
    const driver = open();
    if (typeof driver === "string") return skip(driver);
    const from: (string | undefined)[] = [];
    const server = createServer((socket) => {
      from.push(socket.remoteAddress);
      socket.destroy();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const target = parseAddress(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [good, bad] = [new Heard(driver), new Heard(driver)];
    const sockets = [
      driver.connect(target, good, parseAddress("127.0.0.77:0")),
      driver.connect(target, bad, parseAddress("203.0.113.5:0")),
    ];
    await until(driver, () => from.length === 1 && good.connected >= 0 && bad.connected >= 0);
    expect([good.connected === 0, bad.connected, from]).toEqual([true, EADDRNOTAVAIL, ["127.0.0.77"]]);
    for (const socket of sockets) driver.close(socket);
    driver.turn(0);
    driver.dispose();
    await new Promise((resolve) => server.close(resolve));
  });
});
