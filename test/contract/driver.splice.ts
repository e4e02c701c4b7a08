/** The rules about bulk: what is spliced comes whole, in order, behind what was received and sent before, and ends as it would have. */
import { describe, expect, test } from "vitest";
import type { Socket } from "#io/socket.ts";
import { type Bench, KINDS, MIB, type Pair, type Recorder } from "./driver.bench.ts";
import { type Kind, pattern } from "./driver.network.ts";

/** More than a driver holds of a splice: a pipe, and a receive that was under way. */
const HELD_BYTES_MAX = MIB;

interface Line {
  readonly from: Pair;
  readonly to: Pair;
  /** Bytes that nobody saw. */
  spliced: number;
  /** From now on what is received stays here. */
  detach(): void;
  /** All that has left `from`. */
  moved(): number;
}

/** As a relay does it: what is received is sent on, and beyond `after` bytes a splice is asked for, again and again. */
async function line(bench: Bench, kind: Kind, after = 100_000): Promise<Line> {
  const peer: { socket: Socket | null } = { socket: null };
  const onReceive = (it: Recorder, buffer: number, start: number, end: number): void => {
    if (peer.socket === null) return;
    bench.driver.send(peer.socket, buffer, start, end);
    if (it.received.count >= after) bench.driver.splice(it.open, peer.socket, made);
  };
  const onEnd = (): void => {
    if (peer.socket !== null) bench.driver.shutdown(peer.socket);
  };
  const onError = (it: Recorder): void => {
    if (it.socket === peer.socket) peer.socket = null;
    it.close();
  };
  const from = await bench.accepted(kind, { onReceive, onEnd, onError });
  const to = await bench.connected(kind, { onError });
  peer.socket = to.socket;
  const made = {
    from,
    to,
    spliced: 0,
    detach: () => {
      peer.socket = null;
    },
    moved: () => from.recorder.received.count + made.spliced,
    onSpliced: (bytes: number) => {
      made.spliced += bytes;
    },
  };
  bench.driver.startReceive(from.socket);
  return made;
}

export function spliceCases(bench: Bench): void {
  describe("splice", () => {
    test.each(KINDS)("moves everything in order over %s, and then tells the end", async (kind) => {
      const one = await line(bench, kind);
      one.from.remote.write(pattern(0, MIB));
      // Receives that were under way when the splice was asked for may have taken all of it.
      await bench.until("a beginning", () => one.to.remote.received.count === MIB);
      one.from.remote.write(pattern(MIB, 2 * MIB + 7));
      one.from.remote.end();
      await bench.until("the end", () => one.to.remote.ended);
      expect(one.to.remote.received).toMatchObject({ count: 3 * MIB + 7, wrongAt: -1 });
      expect(one.moved()).toBe(3 * MIB + 7);
      expect(one.spliced).toBeGreaterThan(0);
      expect(one.from.recorder.log).toEqual(["end"]);
    });

    test("the other direction is as ever, and both may be spliced", async () => {
      const one = await line(bench, "tcp");
      const back = { onSpliced: () => {} };
      bench.driver.startReceive(one.to.socket);
      bench.driver.splice(one.to.socket, one.from.socket, back);
      one.from.remote.write(pattern(0, 2 * MIB));
      one.to.remote.write(pattern(0, 2 * MIB));
      await bench.until("all, one way", () => one.to.remote.received.count === 2 * MIB);
      const seen = (): number => one.to.recorder.received.count + one.from.remote.received.count;
      await bench.until("all, the other way", () => seen() === 2 * MIB);
      expect(one.to.remote.received.wrongAt).toBe(-1);
    });

    test("a slow reader stops it, and what is held is counted as queued", async () => {
      const one = await line(bench, "tcp", 1);
      one.to.remote.pause();
      const total = 24 * MIB;
      one.from.remote.write(pattern(0, total));
      await bench.settle(100);
      const { driver } = bench;
      expect(driver.queuedBytes(one.to.socket)).toBeLessThan(HELD_BYTES_MAX);
      expect(one.moved()).toBeLessThan(total);
      one.to.remote.resume();
      await bench.until("all", () => one.to.remote.received.count === total);
      expect(one.to.remote.received.wrongAt).toBe(-1);
      await bench.until("an empty queue", () => driver.queuedBytes(one.to.socket) === 0);
    });

    test("stops and starts with nothing lost", async () => {
      const one = await line(bench, "tcp", 1);
      one.from.remote.write(pattern(0, MIB));
      await bench.until("a beginning", () => one.to.remote.received.count === MIB);
      bench.driver.stopReceive(one.from.socket);
      await bench.settle();
      one.from.remote.write(pattern(MIB, MIB));
      await bench.settle();
      expect(one.to.remote.received.count).toBe(MIB);
      bench.driver.startReceive(one.from.socket);
      await bench.until("the rest", () => one.to.remote.received.count === 2 * MIB);
      expect(one.to.remote.received.wrongAt).toBe(-1);
    });

    test("FIN asked for in the middle follows what is held", async () => {
      const one = await line(bench, "tcp", 1);
      one.to.remote.pause();
      one.from.remote.write(pattern(0, 24 * MIB));
      await bench.settle(100);
      bench.driver.stopReceive(one.from.socket);
      await bench.settle();
      bench.driver.shutdown(one.to.socket);
      one.to.remote.resume();
      await bench.until("FIN", () => one.to.remote.ended);
      expect(one.to.remote.received).toMatchObject({ count: one.moved(), wrongAt: -1 });
    });

    test.each(["from", "to"] as const)("a reset at %s is told there, once", async (side) => {
      const one = await line(bench, "tcp", 1);
      one.from.remote.write(pattern(0, MIB));
      await bench.until("a beginning", () => one.to.remote.received.count === MIB);
      one[side].remote.reset();
      await bench.until("an error", () => {
        // A receiver's is found out by what is sent to it.
        if (side === "to") one.from.remote.write(pattern(0, 1000));
        return one[side].recorder.closed;
      });
      await bench.settle();
      expect(one[side].recorder.log.at(-1)).toMatch(/^error (32|104)$/);
    });

    test("when the receiver is closed, the sender's bytes are received again", async () => {
      const one = await line(bench, "tcp", 1);
      one.from.remote.write(pattern(0, MIB));
      await bench.until("a beginning", () => one.to.remote.received.count === MIB);
      one.detach();
      one.to.recorder.close();
      const before = one.from.recorder.received.count;
      one.from.remote.write(pattern(0, 1000));
      await bench.until("bytes", () => one.from.recorder.received.count === before + 1000);
    });

    test.each(["from", "to"] as const)("with bytes held, %s may be closed first", async (side) => {
      const one = await line(bench, "tcp", 1);
      one.to.remote.pause();
      one.from.remote.write(pattern(0, 24 * MIB));
      await bench.settle(50);
      one[side].recorder.close();
      await bench.settle();
      one[side === "from" ? "to" : "from"].recorder.close();
    });
  });
}
