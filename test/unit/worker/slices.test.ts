/** Long work in slices, snapshots in pieces: whole at the end, and the loop gets its turns. */
import { expect, it } from "vitest";
import { packSnapshot, unpackSnapshot } from "#snapshot/packed.ts";
import { inSlices } from "#worker/slices.ts";
import { testSnapshot } from "#test/support/snapshot.ts";

function* busy(steps: number): Generator<void, string, void> {
  for (let i = 0; i < steps; i++) {
    const until = performance.now() + 0.2;
    while (performance.now() < until);
    yield;
  }
  return "done";
}

it("gives the loop turns while it works, and answers at the end", async () => {
  let turns = 0;
  let on = true;
  const turn = (): void => {
    turns++;
    if (on) setImmediate(turn);
  };
  setImmediate(turn);
  expect(await inSlices(busy(100))).toBe("done");
  on = false;
  // 20 ms of work: forty slices, each with a turn behind it, and fewer only if the machine held it up.
  expect(turns).toBeGreaterThan(5);
});

it("small work is done at once", async () => {
  let turned = false;
  setImmediate(() => (turned = true));
  await inSlices(busy(0));
  expect(turned).toBe(false);
});

it("passes on what the work throws", async () => {
  function* failing(): Generator<void, never, void> {
    yield;
    throw new Error("no");
  }
  await expect(inSlices(failing())).rejects.toThrow("no");
});

it.each([0, 1, 63, 64, 65, 1000])("a snapshot of %d routes is the same when it has been unpacked", async (count) => {
  const snapshot = testSnapshot({ endpoints: ["127.0.0.1:1"] });
  const [route] = snapshot.routes;
  const whole = { ...snapshot, routes: Array.from({ length: count }, (_, i) => ({ ...route, name: `grüß ${i}` })) };
  const packed = packSnapshot(whole as typeof snapshot);
  expect(packed.routes.length).toBe(Math.ceil(count / 64));
  expect(await inSlices(unpackSnapshot(packed))).toEqual(whole);
});
