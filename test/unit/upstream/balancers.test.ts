/** One suite over all balancers, and what each of them promises beyond it. */
import { describe, expect, it } from "vitest";
import type { Balancer, Weighted } from "#upstream/balancer/balancer.ts";
import { createBalancer } from "#upstream/balancer/create.ts";
import { hashText } from "#core/hash.ts";
import type { Member } from "#upstream/member.ts";
import { seeded } from "#test/support/seeded.ts";

const TYPES = ["round-robin", "least-request", "random", "ring-hash", "maglev"] as const;
const DRAWS = 40_000;

class FakeMember {
  readonly address: string;
  available = true;
  readonly endpoint = { active: 0 };
  constructor(address: string) {
    this.address = address;
  }
}

function members(weights: readonly number[]): { all: Weighted[]; fakes: FakeMember[] } {
  const fakes = weights.map((_, i) => new FakeMember(`10.0.0.${i + 1}:80`));
  const all = weights.map((weight, i) => ({ member: fakes[i] as unknown as Member, weight }));
  return { all, fakes };
}

/** How often each was picked, by its place; keys all different. */
function counts(balancer: Balancer, fakes: readonly FakeMember[], draws = DRAWS, tried: Member[] = []): number[] {
  const seen = fakes.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const picked = balancer.pick(hashText(`key ${i}`), tried) as unknown as FakeMember | null;
    if (picked === null) continue;
    const at = fakes.indexOf(picked);
    seen[at] = (seen[at] ?? 0) + 1;
  }
  return seen;
}

describe.each(TYPES)("%s", (type) => {
  const create = (all: readonly Weighted[]): Balancer => createBalancer(type, all, seeded(7));

  it("of nobody picks nobody", () => {
    expect(create([]).pick(1, [])).toBeNull();
  });

  it("gives everyone a share by weight, and nobody without a weight any", () => {
    const weights = [1, 2, 0, 3];
    const { all, fakes } = members(weights);
    const seen = counts(create(all), fakes);
    expect(seen.reduce((sum, one) => sum + one)).toBe(DRAWS);
    expect(seen[2]).toBe(0);
    weights.forEach((weight, i) => {
      const share = (seen[i] ?? 0) / DRAWS;
      // A ring has only so many points: its shares differ by some ten per cent.
      expect(Math.abs(share - weight / 6)).toBeLessThan(type === "ring-hash" ? 0.06 : 0.015);
    });
  });

  it("leaves out who can't be used, and who was tried, and shares what is left", () => {
    const { all, fakes } = members([1, 1, 1, 1]);
    const balancer = create(all);
    (fakes[0] as FakeMember).available = false;
    const tried = [all[2]?.member as Member];
    const seen = counts(balancer, fakes, 4000, tried);
    expect([seen[0], seen[2]]).toEqual([0, 0]);
    expect(Math.min(seen[1] ?? 0, seen[3] ?? 0)).toBeGreaterThan(1000);
    for (const fake of fakes) fake.available = false;
    expect(balancer.pick(5, [])).toBeNull();
    (fakes[3] as FakeMember).available = true;
    expect(balancer.pick(5, [])).toBe(fakes[3]);
    expect(balancer.pick(5, [all[3]?.member as Member])).toBeNull();
  });
});

describe("round-robin", () => {
  it("spreads weights smoothly: nobody twice in a row who need not be", () => {
    const { all, fakes } = members([5, 1, 1]);
    const balancer = createBalancer("round-robin", all);
    const order = Array.from({ length: 7 }, () => fakes.indexOf(balancer.pick(0, []) as unknown as FakeMember));
    expect(order).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });
});

describe("least-request", () => {
  it("prefers who has less to do", () => {
    const { all, fakes } = members([1, 1, 1, 1]);
    (fakes[1] as FakeMember).endpoint.active = 50;
    const seen = counts(createBalancer("least-request", all, seeded(3)), fakes);
    // Only when both draws are the busy one: one in sixteen.
    expect((seen[1] ?? 0) / DRAWS).toBeLessThan(0.08);
  });
});

describe.each(["ring-hash", "maglev"] as const)("%s", (type) => {
  const KEYS = 5000;
  const owners = (balancer: Balancer): (Member | null)[] =>
    Array.from({ length: KEYS }, (_, i) => balancer.pick(hashText(`user ${i}`), []));

  it("gives a key to the same member every time, in every process and whatever the order of the list", () => {
    const { all } = members([1, 1, 1, 1, 1]);
    const first = owners(createBalancer(type, all));
    expect(owners(createBalancer(type, all))).toEqual(first);
    const turned = owners(createBalancer(type, all.toReversed()));
    const same = turned.filter((one, i) => one === first[i]).length;
    // Maglev fills its table in turn, which an order changes a little.
    expect(same / KEYS).toBeGreaterThan(type === "maglev" ? 0.9 : 0.9999);
  });

  it("moves few other keys when one goes, and brings its own back with it", () => {
    const { all, fakes } = members([1, 1, 1, 1, 1]);
    const balancer = createBalancer(type, all);
    const before = owners(balancer);
    (fakes[2] as FakeMember).available = false;
    const without = owners(balancer);
    before.forEach((owner, i) => {
      if ((owner as unknown) === fakes[2]) expect(without[i]).not.toBe(owner);
      else expect(without[i]).toBe(owner);
    });
    (fakes[2] as FakeMember).available = true;
    expect(owners(balancer)).toEqual(before);
    const removed = owners(createBalancer(type, all.toSpliced(2, 1)));
    const moved = removed.filter((owner, i) => (before[i] as unknown) !== fakes[2] && owner !== before[i]).length;
    expect(moved / KEYS).toBeLessThan(type === "maglev" ? 0.1 : 0.0001);
  });
});
