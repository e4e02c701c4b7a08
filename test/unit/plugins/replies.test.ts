import { afterEach, describe, expect, it, vi } from "vitest";
import { CONTINUE, REPLY, SUSPEND } from "#pipeline/filter.ts";
import { FaultFilter } from "#plugins/fault.ts";
import { made, requestOf, through } from "./exchange.ts";

afterEach(() => void vi.useRealTimers());

describe("static-response", () => {
  it("answers", () => {
    const exchange = requestOf("GET /");
    const filter = made("static-response", { status: 503, headers: { "retry-after": "60" }, body: "söon\n" });
    expect(through(filter, exchange)).toBe(REPLY);
    expect(exchange.reply).toEqual({ status: 503, headers: [["retry-after", "60"]], body: "söon\n" });
  });
});

describe("fault", () => {
  const drawing =
    (...numbers: number[]) =>
    () =>
      numbers.shift() ?? 1;

  it.each<[string, number[], number, number | undefined]>([
    ["neither", [0.5, 0.25], CONTINUE, undefined],
    ["an abort", [0.5, 0.24], REPLY, 503],
    ["a delay", [0.49, 0.25], SUSPEND, undefined],
  ])("%s", (_what, numbers, verdict, status) => {
    const filter = new FaultFilter(
      { delay: { ms: 1, percent: 50 }, abort: { status: 503, percent: 25 } },
      drawing(...numbers),
    );
    const exchange = requestOf("GET /");
    expect(through(filter, exchange)).toBe(verdict);
    expect(exchange.reply?.status).toBe(status);
  });

  it("aborts after the delay, and leaves alone what has ended", () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const filter = new FaultFilter({ delay: { ms: 30, percent: 100 }, abort: { status: 500, percent: 100 } });
    const exchange = requestOf("GET /");
    const gone = requestOf("GET /");
    expect([through(filter, exchange), through(filter, gone)]).toEqual([SUSPEND, SUSPEND]);
    gone.ended = true;
    vi.advanceTimersByTime(29);
    expect([exchange.reply, exchange.resumed]).toEqual([null, []]);
    vi.advanceTimersByTime(1);
    expect([exchange.reply?.status, exchange.resumed]).toEqual([500, [REPLY]]);
    expect([gone.reply, gone.resumed]).toEqual([null, []]);
  });

  it("never happens at 0 and always at 100", () => {
    const never = made("fault", { abort: { status: 503, percent: 0 } });
    const always = made("fault", { abort: { status: 503, percent: 100 } });
    for (let i = 0; i < 100; i++) {
      expect([through(never, requestOf("GET /")), through(always, requestOf("GET /"))]).toEqual([CONTINUE, REPLY]);
    }
  });
});
