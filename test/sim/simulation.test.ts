/** Whole data planes over the fake network, a seed each; see simulation.ts. `npm run sim` runs more of them. */
import { describe, expect, test } from "vitest";
import type { FakeDriver } from "#io/fake/driver.ts";
import type { Random } from "#io/fake/random.ts";
import { type Outcome, simulate } from "./simulation.ts";

const SEEDS = 3000;
/** Seeds of later runs that found something: an endpoint ejected when it was one of two, and still out when it was the only one. */
const FOUND = [7_016_565];

/** Those that went wrong, in a form that says how to see one again. */
function failures(outcomes: readonly Outcome[]): string[] {
  return outcomes
    .filter(({ violations }) => violations.length > 0)
    .slice(0, 10)
    .map(
      ({ seed, weather, violations }) =>
        `npm run sim -- --seed ${seed}   (${weather}) ${violations.slice(0, 3).join("; ")}`,
    );
}

describe("simulation", () => {
  test(`${SEEDS} seeds, nothing lost, misrouted or left behind`, { timeout: 300_000 }, () => {
    const outcomes = [...Array.from({ length: SEEDS }, (_, seed) => seed), ...FOUND].map((seed) => simulate(seed));
    expect(failures(outcomes)).toEqual([]);
    const seen = new Set(outcomes.flatMap(({ seen: one }) => [...one.keys()]));
    for (const what of EVERYTHING) expect(seen, `no seed has seen "${what}"`).toContain(what);
  });

  test("a seed tells the same story twice", () => {
    for (let seed = 0; seed < 20; seed++) {
      const first = simulate(seed);
      expect(simulate(seed)).toEqual(first);
    }
  });

  test.each(CANARIES())("the harness sees a gateway that %s", (_, sabotage) => {
    const outcomes = Array.from({ length: 60 }, (_each, seed) => attempt(seed, sabotage));
    expect(outcomes.some((violations) => violations > 0)).toBe(true);
  });
});

const EVERYTHING = [
  "answer whole",
  "answer trailing",
  "answer stale",
  "answer early",
  "answer cut-head",
  "answer cut-body",
  "answer garbage",
  "status 200",
  "status 204",
  "status 304",
  "status 418",
  "status 502",
  "status 503",
  "status 504",
  "client left",
  "sent twice",
  "engine released",
  "health check",
];

type Sabotage = (driver: FakeDriver, random: Random) => void;

/** A broken gateway may also fail an assertion of its own. */
function attempt(seed: number, sabotage: Sabotage): number {
  try {
    return simulate(seed, { sabotage }).violations.length;
  } catch {
    return 1;
  }
}

function CANARIES(): [string, Sabotage][] {
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
