/** Whole data planes over the fake network, a seed each; see simulation.ts. `npm run sim` runs more of them. */
import { describe, expect, test } from "vitest";
import { canaries, failures, isFoundOut, slices } from "./canaries.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 3000;
/** Seeds of later runs that found something: an endpoint ejected when it was one of two, and still out when it was the only one. */
const FOUND = [7_016_565];

describe("simulation", () => {
  const seen = new Set<string>();

  // In slices, so that one that hangs is told from a machine that has other things to do.
  test.each(slices(SEEDS))("nothing lost, misrouted or left behind: %d to %d", { timeout: 300_000 }, (from, to) => {
    const outcomes = Array.from({ length: to - from }, (_, i) => simulate(from + i));
    expect(failures(outcomes, "--seed")).toEqual([]);
    for (const one of outcomes) for (const what of one.seen.keys()) seen.add(what);
  });

  test.each(FOUND)("nor by %d, which once found something", (seed) => {
    expect(failures([simulate(seed)], "--seed")).toEqual([]);
  });

  test("and everything has happened", () => {
    for (const what of EVERYTHING) expect(seen, `no seed has seen "${what}"`).toContain(what);
  });

  test("a seed tells the same story twice", () => {
    for (let seed = 0; seed < 20; seed++) {
      const first = simulate(seed);
      expect(simulate(seed)).toEqual(first);
    }
  });

  test.each(canaries())("the harness sees a gateway that %s", (_, sabotage) => {
    expect(isFoundOut(simulate, sabotage)).toBe(true);
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
  "trailers 1",
  "trailers 2",
];
