/** The loop's clock: whoever is called in a turn must not be told the time at which the loop went to sleep. */
import { afterEach, describe, expect, it } from "vitest";
import { Buffers, BUFFER_BYTES } from "#io/buffers.ts";
import type { Driver } from "#io/driver.ts";
import { Loop } from "#io/loop.ts";

const SLEPT_MS = 60;

/** Sleeps when it is asked to wait, and dispatches one event then. */
function sleepingDriver(dispatch: () => void): Driver {
  const unused = (): never => {
    throw new Error("not asked of this driver");
  };
  const driver: Driver = {
    name: "fake",
    buffers: new Buffers(new ArrayBuffer(BUFFER_BYTES)),
    accept: unused,
    stopAccept: unused,
    connect: unused,
    startReceive: unused,
    stopReceive: unused,
    send: unused,
    queuedBytes: unused,
    shutdown: unused,
    close: unused,
    watch: () => {},
    unwatch: () => {},
    turn: (waitMs) => {
      if (waitMs === 0) return 0;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLEPT_MS);
      driver.woke?.();
      dispatch();
      return 1;
    },
    dispose: () => {},
  };
  return driver;
}

let loop: Loop | null = null;

afterEach(() => loop?.stop());

describe("the loop's clock", () => {
  it("has moved on by the length of the sleep when an event is dispatched", async () => {
    const lateMs = await new Promise<number>((resolve) => {
      const driver = sleepingDriver(() => resolve(performance.now() - (loop?.nowMs ?? 0)));
      loop = new Loop(driver);
      loop.start();
    });
    expect(lateMs).toBeLessThan(SLEPT_MS / 2);
  });

  it("has moved on by the length of whatever kept the thread from turning", async () => {
    loop = new Loop(sleepingDriver(() => {}));
    loop.start();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLEPT_MS);
    const lateMs = await new Promise<number>((resolve) => {
      const one = loop as Loop;
      one.beforeTurn = () => resolve(performance.now() - one.nowMs);
    });
    expect(lateMs).toBeLessThan(SLEPT_MS / 2);
  });
});
