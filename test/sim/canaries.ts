/** Broken gateways that the harness must find out: between the data plane and its driver, something is wrong now and then. */
import type { FakeDriver } from "#io/fake/driver.ts";
import type { Random } from "#io/fake/random.ts";
import type { Outcome, SimulationOptions } from "./simulation.ts";

export type Sabotage = (driver: FakeDriver, random: Random) => void;

/** Seeds that a broken gateway is given to show itself. */
const SEEDS = 60;
const SLICE = 500;

/** Whether any of some seeds finds fault with it; it may also fail an assertion of its own. */
export function isFoundOut(
  simulate: (seed: number, options: SimulationOptions) => Outcome,
  sabotage: Sabotage,
): boolean {
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      if (simulate(seed, { sabotage }).violations.length > 0) return true;
    } catch {
      return true;
    }
  }
  return false;
}

/** `count` seeds in a few tests: from, and to the one behind the last. */
export function slices(count: number): [from: number, to: number][] {
  return Array.from({ length: Math.ceil(count / SLICE) }, (_, i) => [i * SLICE, Math.min(count, (i + 1) * SLICE)]);
}

/** Those that went wrong, in a form that says how to see one again. */
export function failures(outcomes: readonly Outcome[], option: string): string[] {
  return outcomes
    .filter(({ violations }) => violations.length > 0)
    .slice(0, 10)
    .map(
      ({ seed, weather, violations }) =>
        `npm run sim -- ${option} ${seed}   (${weather}) ${violations.slice(0, 3).join("; ")}`,
    );
}

export function canaries(): [string, Sabotage][] {
  return [
    [
      "drops a byte",
      (driver, random) => {
        const send = driver.send.bind(driver);
        driver.send = (socket, buffer, start, end) => send(socket, buffer, start, random.chance(0.05) ? end - 1 : end);
      },
    ],
    [
      "sends to the socket before",
      (driver, random) => {
        const send = driver.send.bind(driver);
        let before: Parameters<typeof send>[0] | null = null;
        driver.send = (socket, buffer, start, end) => {
          send(random.chance(0.1) ? (before ?? socket) : socket, buffer, start, end);
          before = socket;
        };
      },
    ],
    [
      "keeps a buffer",
      (driver, random) => {
        const release = driver.buffers.release.bind(driver.buffers);
        driver.buffers.release = (id) => {
          if (!random.chance(0.01)) release(id);
        };
      },
    ],
    [
      "releases a buffer that is still to be sent",
      (driver, random) => {
        const send = driver.send.bind(driver);
        driver.send = (socket, buffer, start, end) => {
          if (random.chance(0.05)) driver.buffers.memory.fill(0, start, end);
          send(socket, buffer, start, end);
        };
      },
    ],
    [
      "forgets to close",
      (driver, random) => {
        const close = driver.close.bind(driver);
        driver.close = (socket) => {
          if (!random.chance(0.05)) close(socket);
        };
      },
    ],
    [
      "never reads on",
      (driver, random) => {
        const start = driver.startReceive.bind(driver);
        driver.startReceive = (socket) => {
          if (!random.chance(0.05)) start(socket);
        };
      },
    ],
  ];
}
