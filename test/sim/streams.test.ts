/** Streams, tunnels and datagrams over the fake network, a seed each; see streams.ts. `npm run sim` runs more of them. */
import { describe, expect, test } from "vitest";
import { canaries, failures, isFoundOut, slices } from "./canaries.ts";
import { simulateStreams } from "./streams.ts";

const SEEDS = 1000;

const EVERYTHING = [
  ...["tcp", "upgrade", "tunnel", "forward"].flatMap((kind) =>
    ["client", "origin", "both"].map((order) => `stream whole, ${kind}, ${order} first`),
  ),
  "stream reset",
  "client left a stream",
  "origin left a stream",
  "upgrade refused",
  "tunnel refused",
  "forward refused",
  "datagram answered",
  "engine released",
];

describe("simulation of streams", () => {
  const seen = new Set<string>();

  test.each(slices(SEEDS))(
    "nothing lost, misrouted, cut or left behind: %d to %d",
    { timeout: 300_000 },
    (from, to) => {
      const outcomes = Array.from({ length: to - from }, (_, i) => simulateStreams(from + i));
      expect(failures(outcomes, "--stream-seed")).toEqual([]);
      for (const one of outcomes) for (const what of one.seen.keys()) seen.add(what);
    },
  );

  test("and everything has happened", () => {
    for (const what of EVERYTHING) expect(seen, `no seed has seen "${what}"`).toContain(what);
  });

  test("a seed tells the same story twice", () => {
    for (let seed = 0; seed < 10; seed++) expect(simulateStreams(seed)).toEqual(simulateStreams(seed));
  });

  test.each(canaries())("the harness sees a gateway that %s", (_, sabotage) => {
    expect(isFoundOut(simulateStreams, sabotage)).toBe(true);
  });

  test("the harness sees a gateway that splices to the stream before", () => {
    const sabotage: Parameters<typeof isFoundOut>[1] = (driver, random) => {
      const splice = driver.splice.bind(driver);
      let before: Parameters<typeof splice>[1] | null = null;
      driver.splice = (from, to, handler) => {
        splice(from, random.chance(0.5) ? (before ?? to) : to, handler);
        before = to;
      };
    };
    expect(isFoundOut(simulateStreams, sabotage)).toBe(true);
  });

  test("the harness sees a gateway that ends in order what was cut", () => {
    const sabotage: Parameters<typeof isFoundOut>[1] = (driver) => {
      driver.reset = (socket) => driver.close(socket);
    };
    expect(isFoundOut(simulateStreams, sabotage)).toBe(true);
  });
});
