/** The rules about connections: how they begin and end, and what a turn is. */
import { describe, expect, test } from "vitest";
import { formatAddress } from "#core/address.ts";
import { ECONNREFUSED, EMFILE } from "#core/errno.ts";
import type { Socket } from "#io/socket.ts";
import { type Bench, KINDS, MIB, type Pair, type Recorder } from "./driver.bench.ts";
import { pattern } from "./driver.network.ts";

export function lifeCases(bench: Bench): void {
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

    test("says who has connected", async () => {
      const { socket } = await bench.accepted("tcp");
      const address = bench.driver.peerAddress(socket);
      expect(address === null ? "" : formatAddress(address)).toMatch(/^(127\.0\.0\.1|192\.0\.2\.1):\d+$/);
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
        onAcceptEnd: () => {},
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

    test("stopped within onAccept, cuts nobody off: each is accepted or left in the queue, and the end is told once", async () => {
      const place = bench.network.listen("tcp");
      const log: string[] = [];
      const handler = {
        onAccept: (socket: Socket): void => {
          log.push("accept");
          if (log.length === 1) bench.driver.stopAccept(listening);
          socket.handler = bench.recorder();
          bench.driver.close(socket);
        },
        onAcceptError: (error: number): void => expect.fail(`accept: ${error}`),
        onAcceptEnd: (): void => {
          log.push("end");
        },
      };
      for (let i = 0; i < 3; i++) bench.network.dial(place);
      const listening = bench.driver.accept(place.fd, handler);
      await bench.until("the end", () => log.includes("end"));
      await bench.settle();
      expect(log.at(-1)).toBe("end");
      const before = log.length - 1;
      expect(before).toBeGreaterThan(0);
      const again = bench.driver.accept(place.fd, { ...handler, onAcceptEnd: () => {} });
      await bench.until("the others", () => log.filter((line) => line === "accept").length === 3);
      bench.driver.stopAccept(again);
      await bench.settle();
      expect(log.filter((line) => line === "end")).toHaveLength(1);
    });

    test("for want of descriptors ends, says so, and goes on when asked again", async () => {
      const place = bench.network.listen("tcp");
      const log: string[] = [];
      const handler = {
        onAccept: (socket: Socket): void => {
          log.push("accept");
          bench.driver.close(socket);
        },
        onAcceptError: (error: number): void => {
          log.push(`error ${error}`);
        },
        onAcceptEnd: (): void => {},
      };
      bench.network.dial(place);
      await bench.meanwhile();
      const relieve = bench.network.exhaust();
      try {
        bench.driver.accept(place.fd, handler);
        for (let i = 0; i < 30; i++) bench.turn(1);
      } finally {
        relieve();
      }
      expect(log).toEqual([`error ${EMFILE}`]);
      const listening = bench.driver.accept(place.fd, handler);
      await bench.until("accept", () => log.length > 1);
      expect(log).toEqual([`error ${EMFILE}`, "accept"]);
      bench.driver.stopAccept(listening);
    });

    test("a socket closed before it has a handler is closed", async () => {
      const place = bench.network.listen("tcp");
      const listening = bench.driver.accept(place.fd, {
        onAccept: (socket) => bench.driver.close(socket),
        onAcceptError: (error) => expect.fail(`accept: ${error}`),
        onAcceptEnd: () => {},
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

    test("shut down before the connection stands, ends our direction when it does", async () => {
      const service = await bench.network.serve("tcp");
      const recorder = bench.recorder();
      recorder.socket = bench.driver.connect(service.address, recorder);
      bench.driver.shutdown(recorder.socket);
      await bench.until("FIN", () => service.remotes[0]?.ended === true);
      expect(recorder.log).toEqual(["connect 0"]);
    });

    test("nobody answers: nothing is told, and it can be closed", async () => {
      const recorder = bench.recorder();
      recorder.socket = bench.driver.connect(bench.network.silent(), recorder);
      bench.sendPattern(recorder.socket, 0, 100);
      await bench.settle();
      expect(recorder.log).toEqual([]);
      recorder.close();
      await bench.settle();
      expect(recorder.log).toEqual([]);
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
      await fourLives(bench);
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

  describe("reset", () => {
    test("is seen as one by a peer that has read all, and as the end of all that was queued", async () => {
      const { recorder, socket, remote } = await bench.accepted("tcp");
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 100));
      await bench.until("bytes", () => recorder.received.count === 100);
      bench.driver.reset(socket);
      await bench.until("reset", () => remote.broken);
      expect(remote.ended).toBe(false);
      expect(recorder.log.filter((one) => one.startsWith("error"))).toEqual([]);
    });

    test("counts what the peer has acknowledged, or says that nobody does", async () => {
      const { socket, remote, recorder } = await bench.accepted("tcp");
      const before = bench.driver.acknowledgedBytes(socket);
      bench.sendPattern(socket, 0, 1000);
      await bench.until("bytes", () => remote.received.count === 1000);
      const after = bench.driver.acknowledgedBytes(socket);
      if (before >= 0) expect(after - before).toBe(1000);
      else expect(after).toBeLessThan(0);
      recorder.close();
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
      await bench.until("buffers", () => bench.driver.buffers.free === bench.restingFree);
    });

    test("of another socket, from within a callback, silences that one in the same turn", async () => {
      const pairs: Pair[] = [];
      const closeOthers = (it: { received: unknown }): void => {
        for (const { recorder } of pairs) if (recorder !== it) recorder.close();
      };
      for (let i = 0; i < 8; i++) pairs.push(await bench.accepted("tcp", { onReceive: closeOthers }));
      for (const { socket } of pairs) bench.driver.startReceive(socket);
      for (const { remote } of pairs) remote.write(pattern(0, 1000));
      await bench.meanwhile();
      await bench.settle();
      expect(pairs.filter(({ recorder }) => recorder.received.count > 0)).toHaveLength(1);
    });

    test("with work still to do: the object serves one new life, not two", async () => {
      for (let round = 0; round < 3; round++) {
        const { recorder, socket, remote } = await bench.accepted();
        remote.write(pattern(0, 1000));
        await bench.meanwhile();
        bench.driver.startReceive(socket);
        bench.sendPattern(socket, 0, 1000);
        recorder.close();
        await bench.settle(3);
        await fourLives(bench);
      }
    });

    test("what was on its way for a closed socket does not reach the next life of its object", async () => {
      const silent = bench.network.silent();
      const pairs: Pair[] = [];
      const next: Recorder[] = [];
      const replace = (it: Recorder): void => {
        for (const { recorder } of pairs) {
          if (recorder === it || recorder.closed) continue;
          recorder.close();
          const life = bench.recorder();
          life.socket = bench.driver.connect(silent, life);
          bench.driver.startReceive(life.socket);
          next.push(life);
        }
      };
      for (let i = 0; i < 8; i++) pairs.push(await bench.accepted("tcp", { onReceive: replace }));
      for (const { socket, remote } of pairs) {
        bench.driver.startReceive(socket);
        remote.write(pattern(0, 1000));
      }
      await bench.meanwhile();
      await bench.settle();
      expect(next).toHaveLength(7);
      expect(next.flatMap(({ log }) => log)).toEqual([]);
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
      const took = Array.from({ length: 5 }, () => {
        const before = bench.network.nowMs();
        expect(bench.turn(waitMs)).toBe(0);
        return bench.network.nowMs() - before;
      });
      for (const ms of took) expect(ms).toBeGreaterThanOrEqual(least);
      // The best of them: in the others the machine may have been busy elsewhere.
      expect(Math.min(...took)).toBeLessThan(most);
    }
  });

  test("a turn does not wait while something is left to do", async () => {
    const LONG_MS = 20_000;
    const { recorder, socket, remote } = await bench.accepted("unix");
    remote.write(pattern(0, 150_000));
    await bench.meanwhile();
    const before = bench.network.nowMs();
    bench.driver.startReceive(socket);
    const failing = bench.recorder();
    failing.socket = bench.driver.connect(Uint8Array.of(99, 0, 0, 0), failing);
    for (let turns = 0; recorder.received.count < 150_000 || failing.log.length === 0; turns++) {
      bench.turn(LONG_MS);
      if (turns > 100) expect.fail("a hundred turns were not enough");
    }
    bench.sendPattern(socket, 0, 1000);
    bench.turn(LONG_MS);
    expect(recorder.log).toEqual(["sent"]);
    // One wait would have taken longer than all of it on a busy machine.
    expect(bench.network.nowMs() - before).toBeLessThan(LONG_MS);
  });

  test("a turn that is ended leaves the rest for those that follow", async () => {
    let turn = 0;
    const turnsOf: number[] = [];
    const onReceive = (): void => {
      turnsOf.push(turn);
      bench.driver.endTurn();
    };
    const pairs: Pair[] = [];
    for (let i = 0; i < 5; i++) pairs.push(await bench.accepted("tcp", { onReceive }));
    for (const { socket, remote } of pairs) {
      bench.driver.startReceive(socket);
      remote.write(pattern(0, 10));
    }
    await bench.meanwhile();
    for (; turn < 100 && pairs.some(({ recorder }) => recorder.received.count < 10); turn++) bench.turn(100);
    expect(pairs.map(({ recorder }) => recorder.received.count)).toEqual([10, 10, 10, 10, 10]);
    expect(new Set(turnsOf).size).toBe(turnsOf.length);
  });

  test("a turn without bound ends with the first completion", async () => {
    const { recorder, socket, remote } = await bench.accepted();
    bench.driver.startReceive(socket);
    bench.turn(0);
    remote.write(pattern(0, 10));
    await bench.meanwhile();
    expect(bench.turn(-1)).toBeGreaterThan(0);
    expect(recorder.received.count).toBeGreaterThan(0);
  });
}

/** Four sockets at once are four objects: none was given back twice. */
async function fourLives(bench: Bench): Promise<void> {
  const service = await bench.network.serve("tcp");
  const lives = Array.from({ length: 4 }, () => {
    const life = bench.recorder();
    life.socket = bench.driver.connect(service.address, life);
    return life;
  });
  expect(new Set(lives.map(({ socket }) => socket)).size).toBe(4);
  await bench.until("connects", () => lives.every(({ log }) => log.length > 0));
  expect(lives.flatMap(({ log }) => log)).toEqual(["connect 0", "connect 0", "connect 0", "connect 0"]);
  for (const life of lives) life.close();
}
