/** What plugins of a tenant share in one worker: data with versions, bounded; queues, in order, told of once for each item. */
import { describe, expect, it } from "vitest";
import { TestServices } from "#test/support/wasm.ts";
import { SharedQueues } from "#wasm/proxy-wasm/queues.ts";
import { LocalData, SET_DONE, SET_FULL, SET_MISMATCH, StoredData } from "#wasm/proxy-wasm/shared-data.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const key = bytes("k");

describe.each([
  ["in this worker", () => new LocalData()],
  ["in the tenant's store", () => new StoredData(new TestServices().tenant.keyValue as never, "vm")],
])("shared data %s", (_, make) => {
  it("is replaced by whoever knows its version, or does not ask", () => {
    const data = make();
    expect(data.get(key)).toBeNull();
    expect(data.set(key, bytes("1"), 7)).toBe(SET_MISMATCH);
    expect(data.set(key, bytes("1"), 0)).toBe(SET_DONE);
    const first = data.get(key)?.version ?? 0;
    expect(first).toBeGreaterThan(0);
    expect(data.set(key, bytes("2"), first)).toBe(SET_DONE);
    expect(data.set(key, bytes("3"), first)).toBe(SET_MISMATCH);
    expect(Buffer.from(data.get(key)?.value ?? []).toString()).toBe("2");
    expect(data.set(key, bytes("4"), 0)).toBe(SET_DONE);
  });
});

it("shared data of one worker is bounded, and replacing makes room", () => {
  const data = new LocalData();
  const large = new Uint8Array(60_000);
  let stored = 0;
  while (data.set(bytes(`k${stored}`), large, 0) === SET_DONE) stored++;
  expect(data.set(bytes("more"), large, 0)).toBe(SET_FULL);
  expect(data.set(bytes("k0"), new Uint8Array(1), 0)).toBe(SET_DONE);
  expect(data.set(bytes("more"), new Uint8Array(50_000), 0)).toBe(SET_DONE);
});

describe("queues", () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it("give items in order, and tell each reader of each item, until it leaves", async () => {
    const queues = new SharedQueues();
    const told: string[] = [];
    const reader = (name: string) => ({ queueReady: (id: number) => void told.push(`${name}${id}`) });
    const [first, second] = [reader("a"), reader("b")];
    const id = queues.register("vm", "jobs", first);
    expect(queues.register("vm", "jobs", second)).toBe(id);
    expect(queues.resolve("vm", "jobs")).toBe(id);
    expect(queues.resolve("other", "jobs")).toBe(0);
    const queue = queues.get(id);
    for (const item of ["1", "2"]) queue?.add(bytes(item));
    await turn();
    expect(told).toEqual(["a1", "b1", "a1", "b1"]);
    queues.leave(first);
    queue?.add(bytes("3"));
    await turn();
    expect(told.slice(4)).toEqual(["b1"]);
    const items = Array.from({ length: 4 }, () => queue?.take() ?? null);
    expect(items.map((item) => (item === null ? null : Buffer.from(item).toString()))).toEqual(["1", "2", "3", null]);
  });

  it("are bounded", () => {
    const queues = new SharedQueues();
    const queue = queues.get(queues.register("vm", "jobs", { queueReady: () => {} }));
    let added = 0;
    while (queue?.add(new Uint8Array(60_000)) === true) added++;
    expect(added).toBe(17);
    const ids = Array.from({ length: 300 }, (_, n) => queues.register("vm", `q${n}`, { queueReady: () => {} }));
    expect(ids.filter((id) => id === 0).length).toBe(45);
  });
});
