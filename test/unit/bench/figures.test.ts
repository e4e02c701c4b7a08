import { describe, expect, it } from "vitest";
import { absolute, comparison, median, round } from "#test/bench/figures.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { parseCpuList } from "#test/bench/host/cpus.ts";
import { parseDuration, parseWrk } from "#test/bench/host/wrk.ts";
import type { Measured } from "#test/bench/rounds.ts";
import { textTable } from "#test/bench/text-table.ts";

it("a median is the middle, and of nothing there is none", () => {
  expect(median([3])).toBe(3);
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 9, 1, 5])).toBe(7);
  expect(() => median([])).toThrow(RangeError);
});

it("rounds to what is not noise", () => {
  expect([13.4499, 0.91234, 100.4, 54_321.6, 0, 7].map(round)).toEqual([13.4, 0.912, 100, 54_322, 0, 7]);
});

describe("bounds are judged before rounding, and met when equal", () => {
  it.each([
    [0.92, 1, true],
    [0.9201, 1, false],
    [0.9199, 1, true],
  ])("%f of %f: %s", (ours, theirs, ok) => {
    expect(comparison("b", "f", ours, "p", theirs, 0.92)).toMatchObject({ ratio: 0.92, ok });
  });
  it("on our figure alone", () => {
    expect(absolute("idle", "ticks", 0, 0).ok).toBe(true);
    expect(absolute("idle", "ticks", 1, 0).ok).toBe(false);
  });
  it("without a bound there is nothing to miss", () => {
    expect(comparison("b", "f", 9, "p", 1, null)).toMatchObject({ bound: null, ok: true });
  });
  it("a ratio to nothing is no ratio", () => {
    expect(comparison("b", "f", 9, "p", 0, null).ratio).toBeNull();
  });
});

const WRK = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.36ms  680.50us   7.42ms   75.99%
    Req/Sec    27.27k     1.14k   28.94k    65.00%
  Latency Distribution
     50%    2.20ms
     75%    2.63ms
     90%    3.25ms
     99%  980.00us
  54258 requests in 2.01s, 9.21MB read
Requests/sec:  27013.62
Transfer/sec:      4.59MB
`;

describe("wrk", () => {
  it("is read", () => {
    expect(parseWrk(WRK)).toEqual({ requests: 54_258, seconds: 2.01, p50Us: 2200, p99Us: 980 });
  });
  it("a deviation that ends in 99% is not the 99th percentile", () => {
    expect(parseWrk(WRK.replace("75.99%", "50.99%")).p99Us).toBe(980);
  });
  it.each(["  Socket errors: connect 0, read 1, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 7\n"])(
    "%j fails the round",
    (line) => {
      expect(() => parseWrk(WRK.replace("Requests/sec", `${line}Requests/sec`))).toThrow(/failures/);
    },
  );
  it("output of another kind is refused", () => {
    expect(() => parseWrk("unable to connect")).toThrow(/no number of requests/);
    expect(() => parseDuration("12")).toThrow(/none/);
  });
});

it("lists of cores", () => {
  expect(["0", "0-3", "1,3-4,9"].map(parseCpuList)).toEqual([[0], [0, 1, 2, 3], [1, 3, 4, 9]]);
});

it("a table is aligned", () => {
  expect(
    textTable(
      ["", "n"],
      [
        ["one", "1"],
        ["three", "10"],
      ],
    ),
  ).toBe("        n\n─────  ──\none     1\nthree  10");
});

describe("report", () => {
  const measured = (cpuUs: number, more: Partial<Measured> = {}): Measured => ({
    cpuUs,
    userUs: 1,
    systemUs: 2,
    perSecond: 1000,
    p50Us: 10,
    p99Us: 20,
    busy: 0.99,
    others: 0,
    ...more,
  });
  const side = (name: string, bound: number | null, ...rounds: Measured[]) => ({ name, bound, rounds });

  it("compares medians, and says which bound is missed", () => {
    const ours = side("ours", null, measured(9), measured(10), measured(30));
    const { figures, text } = compareReport("x", ours, [side("a", 0.9, measured(10)), side("b", 1, measured(10))]);
    const [a, b] = figures.filter(({ figure }) => figure === "cpu_us_per_request");
    expect(a).toEqual({
      bench: "x",
      figure: "cpu_us_per_request",
      ours: 10,
      peer: "a",
      theirs: 10,
      ratio: 1,
      bound: 0.9,
      ok: false,
    });
    expect(b).toMatchObject({ peer: "b", ok: true });
    expect(text).toContain("MISS  1 × a, bound 0.9");
    expect(text).toContain("9.0 – 30.0");
    expect(text).not.toContain("note");
  });

  it("says when the figures are worth less", () => {
    const { text } = compareReport("x", side("ours", null, measured(9, { busy: 0.5 })), [
      side("a", 1, measured(10, { others: 0.2 })),
    ]);
    expect(text).toContain("note  ours did not fill its core");
    expect(text).toContain("note  others used up to 20 %");
  });
});
