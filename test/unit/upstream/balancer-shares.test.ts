/**
 * Shares of the balancers that draw, exactly: instead of drawing at random, every draw that there can be is made once, and how
 * often each endpoint was picked is compared with what the rule says. And what becomes of loads over time.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Weighted } from "#upstream/balancer/balancer.ts";
import { LeastRequest } from "#upstream/balancer/least-request.ts";
import { Random } from "#upstream/balancer/random.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import { seeded } from "#test/support/seeded.ts";
import { testUpstream } from "./support.ts";

interface Setting {
  readonly weight: number;
  readonly active: number;
  readonly open: boolean;
}

const setting = fc.record({
  weight: fc.integer({ min: 0, max: 4 }),
  active: fc.integer({ min: 0, max: 3 }),
  open: fc.boolean(),
});
const settings = fc.array(setting, { minLength: 1, maxLength: 5 });

function weighted(all: readonly Setting[]): { list: Weighted[]; endpoints: readonly Endpoint[] } {
  const { members } = testUpstream({ endpoints: all.map((_, i) => `10.0.0.${i + 1}:80`) });
  const list = members.map((member, i) => ({ member, weight: all[i]?.weight ?? 0 }));
  members.forEach((member, i) => {
    member.usable = all[i]?.open ?? false;
    member.endpoint.active = all[i]?.active ?? 0;
  });
  return { list, endpoints: members.map(({ endpoint }) => endpoint) };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** All tickets of a draw by weight, each in the middle of its part. */
function tickets(total: number): number[] {
  return Array.from({ length: total }, (_, i) => (i + 0.5) / total);
}

describe("random", () => {
  it("shares by weight among those that can be used, exactly", () => {
    fc.assert(
      fc.property(settings, (all) => {
        const { list } = weighted(all);
        const total = sum(all.map(({ weight }) => weight));
        const open = sum(all.map((one) => (one.open ? one.weight : 0)));
        const picked = all.map(() => 0);
        for (const first of tickets(total)) {
          for (const second of tickets(total)) {
            // The third draw is among the open ones alone.
            for (const third of tickets(Math.max(open, 1))) {
              const draws = [first, second, third];
              const member = new Random(list, () => draws.shift() ?? 0).pick(0, []);
              const at = list.findIndex((one) => one.member === member);
              if (at >= 0) picked[at] = (picked[at] ?? 0) + 1;
            }
          }
        }
        const of = total * total * Math.max(open, 1);
        all.forEach((one, i) => {
          expect((picked[i] ?? 0) * Math.max(open, 1)).toBe(one.open && open > 0 ? one.weight * of : 0);
        });
      }),
      { numRuns: 150 },
    );
  });
});

describe("least-request", () => {
  /** Of two drawn the emptier, the first of equals; the other when that is out; the emptiest of all when both are. */
  function expected(all: readonly Setting[], first: number, second: number): number {
    const load = (i: number): number => all[i]?.active ?? 0;
    const isOpen = (i: number): boolean => all[i]?.open ?? false;
    const [less, more] = load(second) < load(first) ? [second, first] : [first, second];
    if (isOpen(less)) return less;
    if (isOpen(more)) return more;
    const left = all.map((_, i) => i).filter((i) => isOpen(i) && (all[i]?.weight ?? 0) > 0);
    return left.toSorted((a, b) => load(a) - load(b) || a - b)[0] ?? -1;
  }

  it("takes the emptier of each pair that can be drawn, by weight", () => {
    fc.assert(
      fc.property(settings, (all) => {
        const { list } = weighted(all);
        const owners = all.flatMap(({ weight }, i) => Array.from({ length: weight }, () => i));
        for (const [a, first] of tickets(owners.length).entries()) {
          for (const [b, second] of tickets(owners.length).entries()) {
            const draws = [first, second];
            const member = new LeastRequest(list, () => draws.shift() ?? 0).pick(0, []);
            expect(list.findIndex((one) => one.member === member)).toBe(
              expected(all, owners[a] ?? -1, owners[b] ?? -1),
            );
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("evens out what is uneven, starves nobody, and gives by weight where all are alike", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40), { minLength: 2, maxLength: 8 }), fc.integer(), (loads, seed) => {
        const { list, endpoints } = weighted(loads.map((active) => ({ weight: 1, active, open: true })));
        const balancer = new LeastRequest(list, seeded(seed));
        const received = loads.map(() => 0);
        // Requests that do not end: enough for all to come level.
        for (let i = 0; i < 60 * loads.length; i++) {
          const member = balancer.pick(0, []);
          const at = endpoints.findIndex((one) => one === member?.endpoint);
          received[at] = (received[at] ?? 0) + 1;
          member?.endpoint.enter();
        }
        const active = endpoints.map((one) => one.active);
        expect(Math.max(...active) - Math.min(...active)).toBeLessThan(12);
        expect(Math.min(...received)).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
    const { list } = weighted([1, 2, 3].map((weight) => ({ weight, active: 5, open: true })));
    const balancer = new LeastRequest(list, seeded(11));
    const seen = [0, 0, 0];
    for (let i = 0; i < 12_000; i++) {
      const member = balancer.pick(0, []);
      const at = list.findIndex((one) => one.member === member);
      seen[at] = (seen[at] ?? 0) + 1;
    }
    expect(seen.map((count) => Math.round((count / 12_000) * 6))).toEqual([1, 2, 3]);
  });
});
