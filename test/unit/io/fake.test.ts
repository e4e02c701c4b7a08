import { describe, expect, test } from "vitest";
import { parseAddress } from "#core/address.ts";
import { ECONNREFUSED, ECONNRESET, ETIMEDOUT } from "#core/errno.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createFakeDriver, type FakeDriver } from "#io/fake/driver.ts";
import { type Faults, ROUGH, STORMY } from "#io/fake/faults.ts";
import type { FakePeer, PeerHandler } from "#io/fake/peer.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";

const UPSTREAM = "10.0.0.1:80";

function open(seed: number, faults: Partial<Faults> = {}): FakeDriver {
  return createFakeDriver({ arena: createArena(64 * BUFFER_BYTES), seed, faults });
}

/** Writes down everything that it is told. */
class Scribe implements SocketHandler, PeerHandler {
  readonly log: string[];
  readonly name: string;
  readonly driver: FakeDriver;
  bytes = 0;

  constructor(driver: FakeDriver, name: string, log: string[] = []) {
    this.driver = driver;
    this.name = name;
    this.log = log;
  }

  note(what: string): void {
    this.log.push(`${this.driver.nowMs.toFixed(6)} ${this.name} ${what}`);
  }
  onConnect(_socket: Socket, error: number): void {
    this.note(`connect ${error}`);
  }
  onReceive(socket: Socket, buffer: number, start: number, end: number): void {
    this.note(`receive ${end - start}`);
    this.bytes += end - start;
    this.driver.send(socket, buffer, start, end);
  }
  onEnd(target: Socket | FakePeer): void {
    this.note("end");
    if (!("address" in target)) this.driver.shutdown(target);
  }
  onSent(): void {
    this.note("sent");
  }
  onError(socket: Socket, error: number): void {
    this.note(`error ${error}`);
    this.driver.close(socket);
  }
  onData(_peer: FakePeer, bytes: Uint8Array): void {
    this.note(`data ${bytes.length}`);
    this.bytes += bytes.length;
  }
  onReset(_peer: FakePeer, error: number): void {
    this.note(`reset ${error}`);
  }
}

/** Twenty clients of an echo, in whatever weather: the whole story, as text. */
function story(seed: number, faults: Faults): string[] {
  const driver = open(seed, faults);
  const log: string[] = [];
  const fd = driver.listen();
  let accepted = 0;
  const handler = {
    onAccept: (socket: Socket): void => {
      socket.handler = new Scribe(driver, `server ${accepted++}`, log);
      driver.startReceive(socket);
    },
    onAcceptError: (error: number): void => {
      log.push(`${driver.nowMs} accept ${error}`);
      driver.accept(fd, handler);
    },
    onAcceptEnd: (): void => {},
  };
  driver.accept(fd, handler);
  for (let i = 0; i < 20; i++) {
    const peer = driver.dial(fd, new Scribe(driver, `client ${i}`, log));
    peer.write(new Uint8Array(1000 * (i + 1)));
    peer.end();
  }
  for (let turns = 0; !driver.idle; turns++) {
    driver.turn(-1);
    if (turns > 100_000) throw new Error("never ends");
  }
  return log;
}

describe("a seed", () => {
  test.each([
    ["rough", ROUGH],
    ["stormy", STORMY],
  ])("replays exactly when it is %s, and another seed tells another story", (_, faults) => {
    const first = story(7, faults);
    // At the least each client tells of one receive, sent and end at the server, and one piece and end at itself.
    expect(first.length).toBeGreaterThanOrEqual(100);
    expect(story(7, faults)).toEqual(first);
    expect(story(8, faults)).not.toEqual(first);
    expect(story(7 + 2 ** 40, faults)).not.toEqual(first);
  });

  test("decides the order between connections, never within one", () => {
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const log = story(seed, { ...ROUGH, delay: 0 });
      orders.add(
        log
          .filter((line) => line.endsWith(" end"))
          .map((line) => line.split(" ")[2])
          .join(),
      );
      for (let i = 0; i < 20; i++) {
        const mine = log.filter((line) => line.includes(`client ${i} `));
        expect(mine.at(-1)).toMatch(/ end$/);
      }
    }
    expect(orders.size).toBeGreaterThan(15);
  });

  test("storms do everything they can do", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 30; seed++) {
      for (const line of story(seed, { ...STORMY, reset: 0.05 })) seen.add(line.split(" ").slice(-2).join(" "));
    }
    for (const what of [`error ${ECONNRESET}`, `reset ${ECONNRESET}`, "accept 24"]) expect([...seen]).toContain(what);
  });
});

describe("connect", () => {
  const address = parseAddress(UPSTREAM);

  test.each([
    ["nobody serves", {}, ECONNREFUSED, 0.5],
    ["the network refuses", { refuse: 1 }, ECONNREFUSED, 0.5],
    ["nothing answers", { connectTimeout: 1 }, ETIMEDOUT, 127_000],
  ])("%s", (what, faults, error, at) => {
    const driver = open(1, { latencyMs: 0.5, ...faults });
    if (what !== "nobody serves") driver.serve(UPSTREAM, () => new Scribe(driver, "upstream"));
    const scribe = new Scribe(driver, "client");
    const socket = driver.connect(address, scribe);
    driver.turn(-1);
    expect(scribe.log).toEqual([`${at.toFixed(6)} client connect ${error}`]);
    driver.close(socket);
  });

  test("says to an upstream who it is, and to us who the client is", () => {
    const driver = open(1);
    const addresses: string[] = [];
    driver.serve(UPSTREAM, (peer) => {
      addresses.push(peer.address);
      return new Scribe(driver, "upstream");
    });
    const socket = driver.connect(address, new Scribe(driver, "client"));
    driver.turn(-1);
    expect(addresses).toEqual([UPSTREAM]);
    expect(driver.peerAddress(socket)).toEqual(address);
    driver.serve(UPSTREAM, null);
    const scribe = new Scribe(driver, "client");
    driver.connect(address, scribe);
    driver.turn(-1);
    expect(scribe.log[0]).toContain(`connect ${ECONNREFUSED}`);
  });
});

/** A connected pair: the driver's socket, and the upstream that it reached. */
function pair(driver: FakeDriver): { socket: Socket; ours: Scribe; theirs: Scribe; peer: FakePeer } {
  const theirs = new Scribe(driver, "peer");
  const ours = new Scribe(driver, "ours");
  const peers: FakePeer[] = [];
  driver.serve(UPSTREAM, (peer) => {
    peers.push(peer);
    return theirs;
  });
  const socket = driver.connect(parseAddress(UPSTREAM), ours);
  driver.turn(-1);
  ours.log.length = 0;
  return { socket, ours, theirs, peer: peers[0] as FakePeer };
}

function run(driver: FakeDriver): void {
  while (!driver.idle) driver.turn(-1);
}

describe("TCP's manners", () => {
  test("closing with bytes unread resets, closing after them does not", () => {
    for (const read of [true, false]) {
      const driver = open(1);
      const { socket, ours, theirs, peer } = pair(driver);
      peer.write(new Uint8Array(100));
      if (read) driver.startReceive(socket);
      run(driver);
      expect(ours.bytes).toBe(read ? 100 : 0);
      driver.close(socket);
      run(driver);
      expect(theirs.log.map((line) => line.split("peer ")[1])).toEqual(
        read ? ["data 100", "end"] : [`reset ${ECONNRESET}`],
      );
    }
  });

  test("what is written to a closed end is answered by a reset", () => {
    const driver = open(1);
    const { socket, theirs, peer } = pair(driver);
    driver.close(socket);
    run(driver);
    peer.write(new Uint8Array(1));
    run(driver);
    expect(theirs.log.map((line) => line.split("peer ")[1])).toEqual(["end", `reset ${ECONNRESET}`]);
  });

  test("a peer that does not read fills the connection; a driver that does not read fills the peer", () => {
    const driver = open(1, { capacityBytes: 1000 });
    const { socket, theirs, peer } = pair(driver);
    peer.pause();
    const buffer = driver.buffers.allocate();
    const start = buffer * BUFFER_BYTES;
    driver.send(socket, buffer, start, start + 1500);
    driver.buffers.release(buffer);
    peer.write(new Uint8Array(1200));
    run(driver);
    expect([driver.queuedBytes(socket), peer.queuedBytes]).toEqual([500, 200]);
    peer.resume();
    run(driver);
    expect([driver.queuedBytes(socket), theirs.bytes]).toEqual([0, 1500]);
  });

  test("a reset reaches a sender that waits for room", () => {
    const driver = open(1, { capacityBytes: 1000 });
    const { socket, ours, peer } = pair(driver);
    peer.pause();
    const buffer = driver.buffers.allocate();
    driver.send(socket, buffer, buffer * BUFFER_BYTES, buffer * BUFFER_BYTES + 5000);
    driver.buffers.release(buffer);
    run(driver);
    peer.reset();
    run(driver);
    expect(ours.log.at(-1)).toContain(`error ${ECONNRESET}`);
    expect(driver.buffers.free).toBe(64);
  });
});

test("the clock moves by what is waited for", () => {
  const driver = open(1, { latencyMs: 5 });
  expect([driver.turn(-1), driver.nowMs]).toEqual([0, 0]);
  expect([driver.turn(30), driver.nowMs]).toEqual([0, 30]);
  expect([driver.turn(0), driver.nowMs]).toEqual([0, 30]);
  driver.connect(parseAddress(UPSTREAM), new Scribe(driver, "client"));
  expect([driver.turn(3), driver.nowMs]).toEqual([0, 33]);
  expect([driver.turn(30), driver.nowMs]).toEqual([1, 35]);
});
