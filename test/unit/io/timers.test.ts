import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Timed, TimerWheel } from "#io/timers.ts";

const TICK_MS = 100;
const HORIZON_TICKS = 511;

class Probe implements Timed {
  deadlineMs = Infinity;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;
  readonly calls: number[] = [];
  react: (nowMs: number) => void = () => {};
  onDeadline(nowMs: number): void {
    this.calls.push(nowMs);
    this.react(nowMs);
  }
}

function watched(wheel: TimerWheel, deadlineMs: number): Probe {
  const probe = new Probe();
  probe.deadlineMs = deadlineMs;
  wheel.watch(probe);
  return probe;
}

describe("a deadline", () => {
  test.each([
    ["on a tick", 500, 499.9, 500],
    ["within a tick: at the tick's end", 501, 599, 600],
    ["in the past: with the next tick", -1000, 99, 100],
    ["now: with the next tick", 0, 99.5, 100],
    ["beyond the horizon", 200_000, 199_999, 200_000],
  ])("%s", (_, deadlineMs, before, at) => {
    const wheel = new TimerWheel(0);
    const probe = watched(wheel, deadlineMs);
    for (let now = 0; now < before; now += 1000) wheel.advance(now);
    wheel.advance(before);
    expect(probe.calls).toEqual([]);
    wheel.advance(at);
    expect(probe.calls).toEqual([at]);
    expect(wheel.watched).toBe(0);
  });

  test("is called once, late, when the clock jumps over more than the whole wheel", () => {
    const wheel = new TimerWheel(0);
    const probes = [100, 5_000, 51_100, 90_000, 1_000_000].map((at) => watched(wheel, at));
    wheel.advance(10_000_000);
    for (const probe of probes) expect(probe.calls).toEqual([10_000_000]);
  });

  test("moves later by a plain store", () => {
    const wheel = new TimerWheel(0);
    const probe = watched(wheel, 1000);
    for (let now = 0; now <= 100_000; now += 50) {
      probe.deadlineMs = now + 1000;
      wheel.advance(now);
    }
    expect(probe.calls).toEqual([]);
    wheel.advance(101_000);
    expect(probe.calls).toEqual([101_000]);
  });

  test("moved earlier waits for its slot, unless watched again", () => {
    const wheel = new TimerWheel(0);
    const lazy = watched(wheel, 1000);
    const eager = watched(wheel, 1000);
    lazy.deadlineMs = 300;
    eager.deadlineMs = 300;
    wheel.watch(eager);
    wheel.advance(900);
    expect([lazy.calls, eager.calls]).toEqual([[], [900]]);
    wheel.advance(1000);
    expect(lazy.calls).toEqual([1000]);
  });

  test("set to Infinity is dropped, at once by watch or when its slot comes up", () => {
    const wheel = new TimerWheel(0);
    const probe = watched(wheel, 1000);
    const other = watched(wheel, 1000);
    probe.deadlineMs = Infinity;
    other.deadlineMs = Infinity;
    wheel.watch(probe);
    expect(wheel.watched).toBe(1);
    wheel.advance(1000);
    expect(wheel.watched).toBe(0);
    expect([probe.calls, other.calls]).toEqual([[], []]);
    expect(wheel.nextWaitMs(1000)).toBe(-1);
  });
});

describe("callbacks", () => {
  test("may watch themselves again: once per advance", () => {
    const wheel = new TimerWheel(0);
    const probe = watched(wheel, 100);
    probe.react = (now) => {
      probe.deadlineMs = now;
      wheel.watch(probe);
    };
    for (const now of [100, 250, 100_000]) wheel.advance(now);
    expect(probe.calls).toEqual([100, 250, 100_000]);
  });

  test("may forget others due at the same tick, and postpone them", () => {
    const wheel = new TimerWheel(0);
    const first = watched(wheel, 100);
    const forgotten = watched(wheel, 100);
    const postponed = watched(wheel, 100);
    first.react = () => {
      wheel.forget(forgotten);
      postponed.deadlineMs = 5000;
      wheel.watch(postponed);
      expect(wheel.nextWaitMs(100)).toBeGreaterThanOrEqual(0);
    };
    wheel.advance(100);
    wheel.advance(4999);
    expect([first.calls.length, forgotten.calls.length, postponed.calls.length]).toEqual([1, 0, 0]);
    wheel.advance(5000);
    expect(postponed.calls).toEqual([5000]);
  });
});

describe("nextWaitMs", () => {
  test("is −1 for nothing, so that an idle gateway sleeps", () => {
    const wheel = new TimerWheel(12_345);
    expect(wheel.nextWaitMs(12_345)).toBe(-1);
    const probe = watched(wheel, 20_000);
    wheel.forget(probe);
    expect(wheel.nextWaitMs(12_345)).toBe(-1);
  });

  test("is the time to the first slot, 0 when that is past", () => {
    const wheel = new TimerWheel(0);
    watched(wheel, 30_000);
    watched(wheel, 1_950);
    expect(wheel.nextWaitMs(0.5)).toBe(2000);
    expect(wheel.nextWaitMs(1999.5)).toBe(1);
    expect(wheel.nextWaitMs(2500)).toBe(0);
    wheel.advance(2500);
    expect(wheel.nextWaitMs(2500)).toBe(27_500);
  });
});

/** What the wheel promises, by linear search: an entry is looked at when its tick is over, and moves on if it may. */
class Model {
  readonly entries = new Map<Probe, number>();
  tick = 0;
  tickOf(deadlineMs: number): number {
    return Math.min(Math.max(Math.ceil(deadlineMs / TICK_MS), this.tick + 1), this.tick + HORIZON_TICKS);
  }
  watch(probe: Probe): void {
    if (probe.deadlineMs === Infinity) this.entries.delete(probe);
    else this.entries.set(probe, Math.min(this.entries.get(probe) ?? Infinity, this.tickOf(probe.deadlineMs)));
  }
  advance(nowMs: number): Set<Probe> {
    this.tick = Math.max(this.tick, Math.floor(nowMs / TICK_MS));
    const called = new Set<Probe>();
    for (const [probe, tick] of this.entries) {
      if (tick > this.tick) continue;
      this.entries.delete(probe);
      if (probe.deadlineMs <= nowMs) called.add(probe);
      else if (probe.deadlineMs !== Infinity) this.entries.set(probe, this.tickOf(probe.deadlineMs));
    }
    return called;
  }
}

const PROBES = 12;
const span = fc.oneof(
  fc.integer({ min: -200, max: 3000 }),
  fc.integer({ min: 0, max: 200_000 }),
  fc.constant(Infinity),
);
const operation = fc.oneof(
  fc.record({ kind: fc.constant("watch" as const), who: fc.nat(PROBES - 1), span }),
  fc.record({ kind: fc.constant("store" as const), who: fc.nat(PROBES - 1), span }),
  fc.record({ kind: fc.constant("forget" as const), who: fc.nat(PROBES - 1) }),
  fc.record({
    kind: fc.constant("advance" as const),
    by: fc.oneof(fc.double({ min: 0, max: 400, noNaN: true }), fc.nat(90_000)),
  }),
  fc.record({ kind: fc.constant("sleep" as const) }),
);

test("behaves as the naive model, over any sequence of operations", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const wheel = new TimerWheel(0);
      const model = new Model();
      const probes = Array.from({ length: PROBES }, () => new Probe());
      let now = 0;
      const advance = (): void => {
        for (const probe of probes) probe.calls.length = 0;
        wheel.advance(now);
        const expected = model.advance(now);
        for (const probe of probes) expect(probe.calls).toEqual(expected.has(probe) ? [now] : []);
      };
      for (const one of operations) {
        if (one.kind === "advance") {
          now += one.by;
          advance();
        } else if (one.kind === "sleep") {
          const wait = wheel.nextWaitMs(now);
          const ticks = [...model.entries.values()];
          // It may wake for a slot that was emptied since, but never after the first occupied one.
          expect(wait < 0).toBe(ticks.length === 0);
          expect(now + wait).toBeLessThan(Math.max(now, Math.min(...ticks) * TICK_MS) + 1);
          now += Math.max(0, wait);
          advance();
        } else {
          const probe = probes[one.who] as Probe;
          if (one.kind === "forget") {
            wheel.forget(probe);
            model.entries.delete(probe);
          } else {
            probe.deadlineMs = now + one.span;
            if (one.kind === "watch") {
              wheel.watch(probe);
              model.watch(probe);
            }
          }
        }
        expect(wheel.watched).toBe(model.entries.size);
      }
    }),
    { numRuns: 300 },
  );
});
