/** What edge-triggered epoll must get right beyond the drivers' contract. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { addressOf } from "#sys/memory.ts";
import { AF_INET, bind, close, connect, getsockname, listen, openStream, send, socket } from "#sys/socket.ts";

const MSG_OOB = 1;
/** Turns after which nothing more is to be expected from the loopback. */
const TURNS = 20;

let driver: Driver;
let listener: Fd;
let client: Fd;
let accepted: Socket;
const text: string[] = [];
const bytes = Buffer.from("abcdefgh");
const at = Number(addressOf(bytes));

const handler: SocketHandler = {
  onConnect: () => {},
  onReceive: (_, _buffer, start, end) => {
    text.push(Buffer.from(driver.buffers.memory.subarray(start, end)).toString("latin1"));
  },
  onEnd: () => {
    text.push("end");
  },
  onSent: () => {},
  onError: (_, error) => {
    text.push(`error ${error}`);
  },
};

beforeEach(() => {
  text.length = 0;
  driver = createEpollDriver({ arena: createArena(16 * BUFFER_BYTES) });
  listener = socket(AF_INET);
  bind(listener, parseAddress("127.0.0.1:0"));
  listen(listener);
  client = openStream(AF_INET) as Fd;
  connect(client, getsockname(listener));
  let one: Socket | null = null;
  const listening = driver.accept(listener, {
    onAccept: (socketOf) => {
      one = socketOf;
      socketOf.handler = handler;
    },
    onAcceptError: (error) => expect.fail(`accept: ${error}`),
    onAcceptEnd: () => {},
  });
  driver.turn(1000);
  driver.stopAccept(listening);
  if (one === null) expect.fail("nothing was accepted");
  accepted = one;
});

afterEach(() => {
  driver.close(accepted);
  close(client);
  close(listener);
  driver.dispose();
});

function turns(): string {
  for (let i = 0; i < TURNS; i++) driver.turn(1);
  return text.join(" ");
}

test("bytes behind urgent data are received, though the receive before them is short", () => {
  driver.startReceive(accepted);
  turns();
  // Urgent data ends a receive where it stands: no edge follows for what lies behind it.
  send(client, at, 3);
  send(client, at + 3, 1, MSG_OOB);
  send(client, at + 4, 4);
  expect(turns()).toBe("abc efgh");
});

test("bytes and the end that came together are both told", () => {
  send(client, at, 8);
  close(client);
  driver.startReceive(accepted);
  expect(turns()).toBe("abcdefgh end");
  client = socket(AF_INET);
});

test("an edge that came while nobody received is not lost", () => {
  driver.startReceive(accepted);
  send(client, at, 2);
  expect(turns()).toBe("ab");
  driver.stopReceive(accepted);
  send(client, at + 2, 2);
  turns();
  send(client, at + 4, 2);
  expect(turns()).toBe("ab");
  driver.startReceive(accepted);
  expect(turns()).toBe("ab cdef");
});
