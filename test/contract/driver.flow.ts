/** The rules about bytes: received and sent, in order and complete, whatever the buffers and the reader do. */
import { describe, expect, test } from "vitest";
import { type Bench, KINDS, MIB, type Pair } from "./driver.bench.ts";
import { pattern, type Remote } from "./driver.network.ts";

export function flowCases(bench: Bench): void {
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
      expect(socket.receivedBytes).toBe(at);
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
      await bench.settle();
      expect(recorder.log.filter((one) => one !== "sent")).toEqual(["end"]);
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
      expect(socket.writtenBytes).toBe(at);
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
      await bench.until("release", () => buffers.references(buffer) === 0 || buffers.free === bench.restingFree);
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
      onAcceptEnd: () => {},
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
