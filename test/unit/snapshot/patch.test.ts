import fc from "fast-check";
import { expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { snapshotOf, snapshotPatch, type SnapshotPatch } from "#snapshot/patch.ts";
import type { RouteSpec, Snapshot, UpstreamSpec } from "#snapshot/snapshot.ts";
import { testSnapshot } from "#test/support/snapshot.ts";

const EMPTY = testSnapshot({ endpoints: [] });
const [ROUTE] = EMPTY.routes;

const named = (name: string) => ({ ...ROUTE, name }) as RouteSpec;
const POOL = Array.from({ length: 12 }, (_, i) => named(`r${i}`));

function snapshotWith(routes: readonly RouteSpec[], digest: string, upstreams: readonly UpstreamSpec[] = []): Snapshot {
  return { ...EMPTY, routes, upstreams, digest };
}

/** As it arrives in another process. */
function sent<T>(value: T): T {
  return structuredClone(value);
}

function patchOf(before: Snapshot, after: Snapshot): SnapshotPatch {
  return defined(snapshotPatch(before, after), "a patch");
}

it("makes of the snapshot before the one after, whatever changed", () => {
  const routes = fc.array(fc.constantFrom(...POOL), { maxLength: 12 });
  fc.assert(
    fc.property(routes, routes, (one, two) => {
      const [before, after] = [snapshotWith(one, "a"), snapshotWith(two, "b")];
      const received = sent(before);
      expect(snapshotOf(received, sent(patchOf(before, after)))).toEqual(after);
    }),
  );
});

it("carries one route when one has changed, and shares all others", () => {
  const before = snapshotWith(POOL, "a");
  const after = snapshotWith(POOL.with(5, named("new")), "b");
  const patch = patchOf(before, after);
  expect(patch.lists.routes).toEqual([
    [0, 5, named("new")],
    [6, 6],
  ]);
  const received = sent(before);
  const made = snapshotOf(received, sent(patch));
  expect(made.routes.map((route, i) => route === received.routes[i])).toEqual(POOL.map((_, i) => i !== 5));
});

it("carries what was put in, taken out or moved", () => {
  const [a, b, c, ...rest] = POOL;
  const fresh = named("new");
  const lists = [
    [
      [fresh, ...POOL],
      [
        [0, 0, fresh],
        [0, 12],
      ],
    ],
    [[...POOL, fresh], [[0, 12, fresh]]],
    [
      [a, c, ...rest],
      [
        [0, 1],
        [2, 10],
      ],
    ],
    [
      [c, ...rest, a, b],
      [
        [0, 0],
        [2, 10],
        [0, 2],
      ],
    ],
    [[], [[0, 0]]],
  ];
  for (const [after, runs] of lists)
    expect(patchOf(snapshotWith(POOL, "a"), snapshotWith(after as RouteSpec[], "b")).lists.routes).toEqual(runs);
});

it("gives stream routes when there are some, and none when there are none", () => {
  const plain = snapshotWith(POOL, "a");
  const streams: Snapshot = { ...plain, digest: "b", streamRoutes: [] };
  expect(snapshotOf(plain, patchOf(plain, streams))).toEqual(streams);
  expect(snapshotOf(streams, patchOf(streams, plain))).toEqual(plain);
});

it("refuses a change of another snapshot than the one that is there", () => {
  const patch = patchOf(snapshotWith(POOL, "a"), snapshotWith(POOL, "b"));
  expect(() => snapshotOf(snapshotWith(POOL, "c"), patch)).toThrow("which is not here");
  expect(() => snapshotOf(null, patch)).toThrow("which is not here");
});

it("is not made where nearly everything is new", () => {
  const many = Array.from({ length: 300 }, (_, i) => named(`n${i}`));
  expect(snapshotPatch(snapshotWith(POOL, "a"), snapshotWith(many, "b"))).toBeNull();
});
