import { describe, expect, it } from "vitest";
import { RING_SLOTS } from "#bpf/programs/balancer/layout.ts";
import { maglevRing, type RingMember } from "#bpf/programs/balancer/maglev.ts";

function members(count: number, weight: (i: number) => number = () => 1): RingMember[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `10.0.${i >> 8}.${i & 255}:53`,
    id: i + 1,
    weight: weight(i),
  }));
}

function shares(ring: Uint16Array): Map<number, number> {
  const found = new Map<number, number>();
  for (const id of ring) found.set(id, (found.get(id) ?? 0) + 1);
  return found;
}

/** Slots that changed, of those that did not have to. */
function disruption(
  before: Uint16Array,
  after: Uint16Array,
  gone: ReadonlySet<number>,
  come: ReadonlySet<number>,
): number {
  let moved = 0;
  before.forEach((id, slot) => {
    const now = after[slot] ?? 0;
    if (id !== now && !gone.has(id) && !come.has(now)) moved++;
  });
  return moved / before.length;
}

describe("maglev ring", () => {
  it("is the same in whatever order members are given", () => {
    const some = members(7, (i) => i + 1);
    expect(maglevRing(some.toReversed(), RING_SLOTS)).toEqual(maglevRing(some, RING_SLOTS));
  });

  it("stays what it is from one version to the next: nodes of both must agree", () => {
    expect([...maglevRing(members(3), 13)]).toMatchInlineSnapshot(`
      [
        2,
        3,
        2,
        3,
        3,
        1,
        3,
        1,
        1,
        1,
        1,
        2,
        2,
      ]
    `);
  });

  it.each([
    ["no members", []],
    ["one member", members(1)],
  ])("has all slots filled alike with %s", (_, some) => {
    expect(shares(maglevRing(some, RING_SLOTS))).toEqual(new Map([[some[0]?.id ?? 0, RING_SLOTS]]));
  });

  it.each([2, 3, 10, 100, 1000])("gives %i members equal shares, to one slot", (count) => {
    const all = [...shares(maglevRing(members(count), RING_SLOTS)).values()];
    expect(all).toHaveLength(count);
    expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(1);
  });

  it.each([[[1, 1, 2]], [[1, 3]], [[10, 1, 1, 1]], [[100, 1]], [[7, 5, 3, 2]]])(
    "shares by weights %j, to a permille",
    (weights) => {
      const found = shares(
        maglevRing(
          members(weights.length, (i) => weights[i] ?? 0),
          RING_SLOTS,
        ),
      );
      const sum = weights.reduce((a, b) => a + b, 0);
      weights.forEach((weight, i) => {
        expect(Math.abs((found.get(i + 1) ?? 0) / RING_SLOTS - weight / sum)).toBeLessThan(0.001);
      });
    },
  );

  it("moves few slots that need not move when a member goes, comes, or changes its weight", () => {
    const before = maglevRing(members(10), RING_SLOTS);
    const without = maglevRing(members(10).slice(0, 9), RING_SLOTS);
    const with11 = maglevRing(members(11), RING_SLOTS);
    const heavier = maglevRing(
      members(10, (i) => (i === 0 ? 2 : 1)),
      RING_SLOTS,
    );
    const figures = [
      disruption(before, without, new Set([10]), new Set()),
      disruption(before, with11, new Set(), new Set([11])),
      disruption(before, heavier, new Set(), new Set([1])),
    ];
    process.stdout.write(
      `maglev, 10 members, slots moved without need: ${figures.map((f) => `${(100 * f).toFixed(2)} %`).join(", ")}\n`,
    );
    for (const figure of figures) expect(figure).toBeLessThan(0.06);
  });

  it("makes a ring in the time of a blink", () => {
    const start = process.cpuUsage();
    maglevRing(
      members(1000, (i) => (i % 5) + 1),
      RING_SLOTS,
    );
    // Of the processor's time, which is the same on a machine that others use.
    expect(process.cpuUsage(start).user).toBeLessThan(250_000);
  });
});
