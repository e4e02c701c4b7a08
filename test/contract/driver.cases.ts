/**
 * The rules of gateway/io/driver.ts, as tests. They run unchanged over every driver: what can't be seen through the
 * interface and the other ends is nobody's business.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ECONNREFUSED } from "#core/errno.ts";
import type { Socket } from "#io/socket.ts";
import { Bench, type Kind, type Network, type Pair, pattern, type Remote } from "./driver.network.ts";

/** io_uring keeps up to 256 buffers lent to the kernel; the rest is for the tests, which send megabytes. */
export const ARENA_BUFFERS = 512;
const MIB = 1024 * 1024;

/** Opens a fresh network over an arena of ARENA_BUFFERS. */
export type OpenNetwork = () => Network;

const KINDS: readonly Kind[] = ["tcp", "unix"];

export function driverContract(open: OpenNetwork): void {
  let bench: Bench;
  let restingFree = 0;
  let descriptors = 0;

  beforeEach(() => {
    const network = open();
    bench = new Bench(network);
    // What a driver lends to the kernel while nothing happens.
    bench.turn(0);
    restingFree = bench.driver.buffers.free;
    descriptors = network.descriptors();
  });

  afterEach(async () => {
    for (const recorder of bench.recorders) if (recorder.socket !== null) recorder.close();
    await bench.network.close();
    const { buffers } = bench.driver;
    await bench.until("every buffer comes back", () => buffers.free === restingFree);
    await bench.until("every descriptor is closed", () => bench.network.descriptors() <= descriptors);
    bench.driver.dispose();
    expect(bench.violations).toEqual([]);
  });

  describe("accept", () => {
    test.each(KINDS)("hands over %s sockets that do not receive yet", async (kind) => {
      const { recorder, socket, remote } = await bench.accepted(kind);
      remote.write(pattern(0, 1000));
      await bench.settle();
      expect(recorder.received.count).toBe(0);
      bench.driver.startReceive(socket);
      await bench.until("bytes", () => recorder.received.count === 1000);
      expect(recorder.received.wrongAt).toBe(-1);
    });

    test("stopped, leaves connections for the next accept", async () => {
      const place = bench.network.listen("tcp");
      const first: Socket[] = [];
      const second: Socket[] = [];
      const keep = (into: Socket[]) => ({
        onAccept: (socket: Socket) => {
          socket.handler = bench.recorder();
          into.push(socket);
        },
        onAcceptError: (error: number) => expect.fail(`accept: ${error}`),
      });
      const listening = bench.driver.accept(place.fd, keep(first));
      bench.network.dial(place);
      await bench.until("accept", () => first.length === 1);
      bench.driver.stopAccept(listening);
      await bench.settle();
      bench.network.dial(place);
      await bench.settle();
      expect(first).toHaveLength(1);
      const again = bench.driver.accept(place.fd, keep(second));
      await bench.until("accept", () => second.length === 1);
      expect(first).toHaveLength(1);
      bench.driver.stopAccept(again);
      for (const socket of [...first, ...second]) bench.driver.close(socket);
    });

    test("stopped within onAccept, accepts no more", async () => {
      const place = bench.network.listen("tcp");
      let accepted = 0;
      const listening = bench.driver.accept(place.fd, {
        onAccept: (socket) => {
          accepted++;
          bench.driver.stopAccept(listening);
          socket.handler = bench.recorder();
          bench.driver.close(socket);
        },
        onAcceptError: (error) => expect.fail(`accept: ${error}`),
      });
      for (let i = 0; i < 3; i++) bench.network.dial(place);
      await bench.settle();
      // A driver that takes several at once may have them; it closes what it can't hand over.
      expect(accepted).toBe(1);
    });

    test("a socket closed before it has a handler is closed", async () => {
      const place = bench.network.listen("tcp");
      const listening = bench.driver.accept(place.fd, {
        onAccept: (socket) => bench.driver.close(socket),
        onAcceptError: (error) => expect.fail(`accept: ${error}`),
      });
      const remote = bench.network.dial(place);
      await bench.until("FIN", () => remote.ended);
      bench.driver.stopAccept(listening);
    });
  });

  describe("connect", () => {
    test.each(KINDS)("reaches a %s listener, and tells within a turn", async (kind) => {
      const { recorder, socket, remote } = await bench.connected(kind);
      remote.write(pattern(0, 10));
      bench.driver.startReceive(socket);
      await bench.until("bytes", () => recorder.received.count === 10);
    });

    test("refused", async () => {
      const recorder = bench.recorder();
      recorder.socket = bench.driver.connect(bench.network.nowhere("tcp"), recorder);
      expect(recorder.log).toEqual([]);
      await bench.until("onConnect", () => recorder.log.length > 0);
      expect(recorder.log).toEqual([`connect ${ECONNREFUSED}`]);
    });

    test("to a path that is not there, and to a family that is none", async () => {
      for (const address of [bench.network.nowhere("unix"), Uint8Array.of(99, 0, 0, 0)]) {
        const recorder = bench.recorder();
        recorder.socket = bench.driver.connect(address, recorder);
        expect(recorder.log).toEqual([]);
        await bench.until("onConnect", () => recorder.log.length > 0);
        expect(recorder.log).not.toEqual(["connect 0"]);
      }
    });

    test("does not keep the address: the caller may write over it", async () => {
      const service = await bench.network.serve("tcp");
      const recorder = bench.recorder();
      const address = service.address.slice();
      recorder.socket = bench.driver.connect(address, recorder);
      address.fill(0xff);
      await bench.until("onConnect", () => recorder.log.length > 0);
      expect(recorder.log).toEqual(["connect 0"]);
    });

    test("what is asked for before the connection stands is done when it does", async () => {
      const service = await bench.network.serve("tcp");
      const recorder = bench.recorder();
      recorder.socket = bench.driver.connect(service.address, recorder);
      bench.driver.startReceive(recorder.socket);
      bench.sendPattern(recorder.socket, 0, 5000);
      bench.driver.shutdown(recorder.socket);
      await bench.until("bytes and FIN", () => service.remotes[0]?.ended === true);
      expect(service.remotes[0]?.received).toMatchObject({ count: 5000, wrongAt: -1 });
      service.remotes[0]?.write(pattern(0, 700));
      await bench.until("answer", () => recorder.received.count === 700);
      expect(recorder.log.toSorted()).toEqual(["connect 0", "sent"]);
    });

    test("closed while it is under way, says nothing", async () => {
      const service = await bench.network.serve("tcp");
      for (const address of [service.address, bench.network.nowhere("tcp"), Uint8Array.of(99, 0, 0, 0)]) {
        const recorder = bench.recorder();
        recorder.socket = bench.driver.connect(address, recorder);
        bench.sendPattern(recorder.socket, 0, 100);
        recorder.close();
        await bench.settle();
        expect(recorder.log).toEqual([]);
      }
    });
  });

  describe("receive", () => {
    test.each(KINDS)("delivers everything in order over %s", async (kind) => {
      const { recorder, socket, remote } = await bench.accepted(kind);
      bench.driver.startReceive(socket);
      let at = 0;
      for (const length of [1, 2, 1460, 32_767, 32_768, 32_769, 65_536, MIB]) {
        remote.write(pattern(at, length));
        at += length;
      }
      remote.end();
      await bench.until("end", () => recorder.log.length > 0);
      expect(recorder.log).toEqual(["end"]);
      expect(recorder.received).toMatchObject({ count: at, wrongAt: -1 });
    });

    test("stops and starts with nothing lost", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 1000));
      await bench.until("first bytes", () => recorder.received.count === 1000);
      bench.driver.stopReceive(socket);
      await bench.settle();
      remote.write(pattern(1000, 3 * MIB));
      await bench.settle();
      expect(recorder.received.count).toBe(1000);
      bench.driver.startReceive(socket);
      await bench.until("the rest", () => recorder.received.count === 1000 + 3 * MIB);
      expect(recorder.received.wrongAt).toBe(-1);
    });

    test("may be stopped and started from within onReceive, at every piece", async () => {
      const { recorder, socket, remote } = await bench.accepted("tcp", {
        onReceive: (it) => {
          bench.driver.stopReceive(it.open);
          if (it.received.count % 2 === 0) bench.driver.startReceive(it.open);
        },
      });
      bench.driver.startReceive(socket);
      remote.write(pattern(0, MIB + 1));
      remote.end();
      await bench.until("end", () => {
        bench.driver.startReceive(socket);
        return recorder.log.length > 0;
      });
      expect(recorder.received).toMatchObject({ count: MIB + 1, wrongAt: -1 });
    });

    test("the end stops receiving, and the other direction stays open", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 10));
      remote.end();
      await bench.until("end", () => recorder.log.includes("end"));
      await bench.settle();
      expect(recorder.log).toEqual(["end"]);
      for (let i = 0; i < 10; i++) bench.sendPattern(socket, i * 30_000, 30_000);
      bench.driver.shutdown(socket);
      await bench.until("bytes and FIN", () => remote.ended);
      expect(remote.received).toMatchObject({ count: 300_000, wrongAt: -1 });
    });

    test("a reset is told as an error, once", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 10));
      await bench.until("bytes", () => recorder.received.count === 10);
      remote.reset();
      await bench.until("error", () => recorder.log.length > 0);
      await bench.settle();
      expect(recorder.log).toEqual(["error 104"]);
    });
  });

  describe("send", () => {
    test.each(KINDS)("keeps order over %s, whatever the regions", async (kind) => {
      const { recorder, socket, remote } = await bench.accepted(kind);
      let at = 0;
      for (const length of [1, 32_768, 7, 1, 1, 20_000, 32_767, 3, 32_768, 16_384, 2, 9, 100, 1000, 10_000]) {
        bench.sendPattern(socket, at, length);
        at += length;
      }
      expect(bench.driver.queuedBytes(socket)).toBe(at);
      await bench.until("all", () => remote.received.count === at);
      expect(remote.received.wrongAt).toBe(-1);
      await bench.until("sent", () => recorder.log.length > 0);
      await bench.settle();
      expect(recorder.log).toEqual(["sent"]);
    });

    test("a reader that stops is waited for, and everything reaches it", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      remote.pause();
      // More than the kernel's buffers hold, so that the queue must wait: 6 MiB, through the same 1 MiB of buffers.
      const total = 6 * MIB;
      let queued = 0;
      const feed = (): void => {
        while (queued < total && bench.driver.queuedBytes(socket) < MIB) {
          bench.sendPattern(socket, queued, 32_768);
          queued += 32_768;
        }
      };
      for (let i = 0; i < 50; i++) {
        feed();
        await bench.settle(2);
      }
      const stuck = bench.driver.queuedBytes(socket);
      if (queued === total) expect(recorder.log.length).toBeLessThan(50);
      remote.resume();
      await bench.until("all", () => {
        feed();
        return remote.received.count === total;
      });
      expect(stuck).toBeLessThanOrEqual(MIB + 32_768);
      expect(remote.received.wrongAt).toBe(-1);
      await bench.until("an empty queue", () => bench.driver.queuedBytes(socket) === 0);
    });

    test("1 MiB queued at once to a stopped reader: told once, when it has gone", async () => {
      const { recorder, socket, remote } = await bench.accepted("unix");
      remote.pause();
      for (let at = 0; at < MIB; at += 32_768) bench.sendPattern(socket, at, 32_768);
      await bench.settle();
      expect(recorder.log).toEqual([]);
      const stuck = bench.driver.queuedBytes(socket);
      expect(stuck).toBeGreaterThan(0);
      remote.resume();
      await bench.until("all", () => remote.received.count === MIB);
      await bench.settle();
      expect(recorder.log).toEqual(["sent"]);
      expect(remote.received.wrongAt).toBe(-1);
    });

    test("tells once per drain", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      for (let i = 0; i < 5; i++) {
        bench.sendPattern(socket, i * 200, 100);
        bench.sendPattern(socket, i * 200 + 100, 100);
        await bench.until("sent", () => recorder.log.length === i + 1);
        expect(bench.driver.queuedBytes(socket)).toBe(0);
      }
      await bench.until("all", () => remote.received.count === 1000);
      expect(remote.received.wrongAt).toBe(-1);
      expect(recorder.log).toEqual(["sent", "sent", "sent", "sent", "sent"]);
    });

    test("from within onSent goes on", async () => {
      let sent = 0;
      const { socket, remote } = await bench.accepted("tcp", {
        onSent: (it) => {
          if (++sent < 20) bench.sendPattern(it.open, sent * 10_000, 10_000);
        },
      });
      bench.sendPattern(socket, 0, 10_000);
      await bench.until("all", () => remote.received.count === 200_000);
      expect(remote.received.wrongAt).toBe(-1);
    });

    test("many regions of one buffer hold it until the last has gone", async () => {
      const { socket, remote } = await bench.accepted("unix");
      remote.pause();
      const { buffers } = bench.driver;
      const buffer = buffers.allocate();
      const start = buffer << 15;
      buffers.memory.set(pattern(0, 1000), start);
      for (let i = 0; i < 1000; i++) bench.driver.send(socket, buffer, start + i, start + i + 1);
      expect(buffers.references(buffer)).toBe(1001);
      buffers.release(buffer);
      remote.resume();
      await bench.until("all", () => remote.received.count === 1000);
      expect(remote.received.wrongAt).toBe(-1);
      await bench.until("release", () => buffers.references(buffer) === 0 || buffers.free === restingFree);
    });

    test("what is received can be sent on without a copy", async () => {
      const { socket, remote } = await bench.accepted("tcp", {
        onReceive: (it, buffer, start, end) => bench.driver.send(it.open, buffer, start, end),
        onEnd: (it) => bench.driver.shutdown(it.open),
      });
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 2 * MIB));
      remote.end();
      await bench.until("echo", () => remote.ended);
      expect(remote.received).toMatchObject({ count: 2 * MIB, wrongAt: -1 });
    });

    test("to a reset connection fails with an error, and lets go of the buffers", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      remote.pause();
      for (let at = 0; at < 6 * MIB; at += 32_768) {
        if (bench.driver.queuedBytes(socket) < MIB) bench.sendPattern(socket, at, 32_768);
        else break;
      }
      await bench.settle();
      remote.reset();
      await bench.until("error", () => {
        if (recorder.log.some((one) => one.startsWith("error"))) return true;
        if (bench.driver.queuedBytes(socket) === 0) bench.sendPattern(socket, 0, 1000);
        return false;
      });
      recorder.close();
    });
  });

  describe("shutdown", () => {
    test.each(KINDS)("sends FIN after what is queued, over %s, and still receives", async (kind) => {
      const { recorder, socket, remote } = await bench.connected(kind);
      remote.pause();
      for (let at = 0; at < MIB; at += 32_768) bench.sendPattern(socket, at, 32_768);
      bench.driver.shutdown(socket);
      bench.driver.startReceive(socket);
      await bench.settle();
      expect(remote.ended).toBe(false);
      remote.resume();
      await bench.until("FIN", () => remote.ended);
      expect(remote.received).toMatchObject({ count: MIB, wrongAt: -1 });
      remote.write(pattern(0, 100_000));
      remote.end();
      await bench.until("end", () => recorder.log.includes("end"));
      expect(recorder.received).toMatchObject({ count: 100_000, wrongAt: -1 });
      expect(recorder.log).toEqual(["sent", "end"]);
    });

    test("of an empty queue sends FIN at once", async () => {
      const { recorder, socket, remote } = await bench.accepted();
      bench.driver.shutdown(socket);
      bench.driver.shutdown(socket);
      await bench.until("FIN", () => remote.ended);
      expect(recorder.log).toEqual([]);
    });
  });

  describe("close", () => {
    test("ends the connection for the other side", async () => {
      const { recorder, remote } = await bench.accepted();
      recorder.close();
      await bench.until("FIN", () => remote.ended);
    });

    test.each(["onReceive", "onEnd", "onSent", "onError"] as const)("within %s is the last callback", async (where) => {
      const { recorder, socket, remote } = await bench.accepted("tcp", {
        [where]: (it: { close(): void }) => it.close(),
      });
      bench.driver.startReceive(socket);
      if (where === "onSent") bench.sendPattern(socket, 0, 100);
      remote.write(pattern(0, 200_000));
      if (where === "onError") remote.reset();
      else remote.end();
      await bench.until("close", () => recorder.closed);
      await bench.settle();
    });

    test("within onConnect is the last callback", async () => {
      const service = await bench.network.serve("tcp");
      for (const address of [service.address, bench.network.nowhere("tcp")]) {
        const recorder = bench.recorder({ onConnect: (it) => it.close() });
        recorder.socket = bench.driver.connect(address, recorder);
        bench.driver.startReceive(recorder.socket);
        bench.sendPattern(recorder.socket, 0, 100);
        await bench.until("close", () => recorder.closed);
        await bench.settle();
        expect(recorder.log).toHaveLength(1);
      }
    });

    test("with megabytes queued and the reader stopped lets go of the buffers", async () => {
      const { recorder, socket, remote } = await bench.accepted("unix");
      remote.pause();
      for (let at = 0; at < 4 * MIB; at += 32_768) bench.sendPattern(socket, at, 32_768);
      await bench.settle();
      expect(bench.driver.queuedBytes(socket)).toBeGreaterThan(0);
      recorder.close();
      await bench.until("buffers", () => bench.driver.buffers.free === restingFree);
    });

    test("of another socket, from within a callback, silences that one in the same turn", async () => {
      const pairs: Pair[] = [];
      const closeOthers = (it: { received: unknown }): void => {
        for (const { recorder } of pairs) if (recorder !== it) recorder.close();
      };
      for (let i = 0; i < 8; i++) pairs.push(await bench.accepted("tcp", { onReceive: closeOthers }));
      for (const { socket } of pairs) bench.driver.startReceive(socket);
      for (const { remote } of pairs) remote.write(pattern(0, 1000));
      for (let i = 0; i < 5; i++) await bench.network.breathe();
      await bench.settle();
      expect(pairs.filter(({ recorder }) => recorder.received.count > 0)).toHaveLength(1);
    });

    test("hundreds of lives of few objects: nothing reaches the wrong one", async () => {
      const service = await bench.network.serve("tcp");
      for (let life = 0; life < 150; life++) {
        const recorder = bench.recorder({
          onConnect: (it) => {
            bench.driver.startReceive(it.open);
            bench.sendPattern(it.open, 0, 1 + life * 7);
          },
          onSent: (it) => {
            if (life % 3 === 0) it.close();
          },
        });
        recorder.socket = bench.driver.connect(service.address, recorder);
        if (life % 5 === 0) recorder.close();
        bench.turn(0);
        await bench.network.breathe();
        if (life % 4 === 1) bench.recorders[life - 1]?.close();
      }
      await bench.settle();
      expect(bench.recorders.flatMap(({ log }) => log).filter((one) => one.startsWith("error"))).toEqual([]);
      for (const remote of service.remotes) expect(remote.received.wrongAt).toBe(-1);
    });
  });

  test("out of buffers, receiving waits and resumes with nothing lost", async () => {
    const held: number[] = [];
    const { buffers } = bench.driver;
    const pairs: Pair[] = [];
    for (let i = 0; i < 3; i++) {
      const onReceive = (_: unknown, buffer: number): void => {
        buffers.retain(buffer);
        held.push(buffer);
      };
      pairs.push(await bench.accepted("tcp", { onReceive }));
    }
    const each = 12 * MIB;
    for (const { socket, remote } of pairs) {
      bench.driver.startReceive(socket);
      remote.write(pattern(0, each));
      remote.end();
    }
    let dry = 0;
    await bench.until("all ends", () => {
      if (buffers.free === 0) {
        dry++;
        for (const buffer of held.splice(0, 50)) buffers.release(buffer);
      }
      return pairs.every(({ recorder }) => recorder.log.includes("end"));
    });
    for (const buffer of held) buffers.release(buffer);
    expect(dry).toBeGreaterThan(0);
    for (const { recorder } of pairs) {
      expect(recorder.received).toMatchObject({ count: each, wrongAt: -1 });
      expect(recorder.log).toEqual(["end"]);
    }
  });

  test("watch calls as long as the descriptor is readable, until unwatch", async () => {
    const signal = bench.network.signal();
    let calls = 0;
    bench.driver.watch(signal.fd, () => {
      calls++;
      if (!bench.inTurn) bench.violations.push("ready outside a turn");
    });
    await bench.settle(5);
    expect(calls).toBe(0);
    signal.raise();
    await bench.until("three calls", () => calls >= 3);
    signal.lower();
    await bench.settle(5);
    const before = calls;
    await bench.settle(5);
    expect(calls).toBe(before);
    signal.raise();
    await bench.until("another call", () => calls > before);
    bench.driver.unwatch(signal.fd);
    const last = calls;
    await bench.settle(5);
    expect(calls).toBe(last);
  });

  test("unwatch within its own callback, and watched again", async () => {
    const signal = bench.network.signal();
    let calls = 0;
    const once = (): void => {
      calls++;
      bench.driver.unwatch(signal.fd);
    };
    signal.raise();
    for (let i = 1; i <= 3; i++) {
      bench.driver.watch(signal.fd, once);
      await bench.until("a call", () => calls === i);
      await bench.settle(3);
      expect(calls).toBe(i);
    }
  });

  test("a turn waits as long as it is told, and no longer", async () => {
    await bench.accepted();
    await bench.settle();
    for (const [waitMs, least, most] of [
      [0, 0, 20],
      [40, 39, 400],
    ] as const) {
      const before = bench.network.nowMs();
      expect(bench.turn(waitMs)).toBe(0);
      const took = bench.network.nowMs() - before;
      expect(took).toBeGreaterThanOrEqual(least);
      expect(took).toBeLessThan(most);
    }
  });

  test("a turn without bound ends with the first completion", async () => {
    const { recorder, socket, remote } = await bench.accepted();
    bench.driver.startReceive(socket);
    bench.turn(0);
    remote.write(pattern(0, 10));
    for (let i = 0; i < 5; i++) await bench.network.breathe();
    expect(bench.turn(-1)).toBeGreaterThan(0);
    expect(recorder.received.count).toBeGreaterThan(0);
  });

  test("500 connections at once, each with its own bytes", async () => {
    const place = bench.network.listen("tcp");
    const remotes: Remote[] = [];
    const listening = bench.driver.accept(place.fd, {
      onAccept: (socket) => {
        const recorder = bench.recorder({
          onReceive: (it, buffer, start, end) => bench.driver.send(it.open, buffer, start, end),
          onEnd: (it) => bench.driver.shutdown(it.open),
        });
        socket.handler = recorder;
        recorder.socket = socket;
        bench.driver.startReceive(socket);
      },
      onAcceptError: (error) => bench.violations.push(`accept failed: ${error}`),
    });
    for (let i = 0; i < 500; i++) {
      const remote = bench.network.dial(place);
      remote.write(pattern(0, 100 + i * 11));
      remote.end();
      remotes.push(remote);
    }
    await bench.until("all echoes", () => remotes.every((remote) => remote.ended));
    bench.driver.stopAccept(listening);
    expect(bench.recorders).toHaveLength(500);
    remotes.forEach((remote, i) => expect(remote.received).toMatchObject({ count: 100 + i * 11, wrongAt: -1 }));
  });
}
