/** What plugins of a tenant share: data with versions, bounded; queues, in order, told of once for each item; of one worker, and of all. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TestServices } from "#test/support/wasm.ts";
import { LocalQueues, type Queue, type Queues } from "#wasm/proxy-wasm/queues.ts";
import { LocalData, SET_DONE, SET_FULL, SET_MISMATCH, StoredData } from "#wasm/proxy-wasm/shared-data.ts";
import { StoredQueues } from "#wasm/proxy-wasm/stored-queues.ts";
import { KeyValueRegion } from "#worker/tenants/key-value-region.ts";
import { formatRegion, regionBytes } from "#worker/tenants/region-layout.ts";

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

const turn = () => new Promise((resolve) => setImmediate(resolve));
const reader = (told: string[], name: string) => ({ queueReady: (id: number) => void told.push(`${name}${id}`) });
const textOf = (item: ReturnType<Queue["take"]> | undefined) =>
  item instanceof Uint8Array ? Buffer.from(item).toString() : item;

const LIMIT_BYTES = 65_536;
const MEMORY_BYTES = regionBytes(LIMIT_BYTES);

/** The tenant's store as several workers map it. */
function workers(count: number): { readonly keyValue: KeyValueRegion }[] {
  const memory = new ArrayBuffer(MEMORY_BYTES);
  formatRegion(memory, LIMIT_BYTES, 1);
  return Array.from({ length: count }, (_, worker) => ({
    keyValue: new KeyValueRegion(memory, { pid: worker + 1, nowMs: () => 0, yieldCore: () => undefined }),
  }));
}

describe.each<[string, () => Queues]>([
  ["of one worker", () => new LocalQueues()],
  ["in the tenant's store", () => new StoredQueues({ keyValue: workers(1)[0]?.keyValue ?? null })],
])("queues %s", (_, make) => {
  it("give items in order, and tell each reader of each item, until it leaves", async () => {
    const queues = make();
    const told: string[] = [];
    const [first, second] = [reader(told, "a"), reader(told, "b")];
    const id = queues.register("vm", "jobs", first);
    expect(id).toBeGreaterThan(0);
    expect(queues.register("vm", "jobs", second)).toBe(id);
    expect(queues.resolve("vm", "jobs")).toBe(id);
    expect(queues.resolve("other", "jobs")).toBe(0);
    expect(queues.get(id + 1)).toBeUndefined();
    const queue = queues.get(id);
    for (const item of ["1", "2"]) queue?.add(bytes(item));
    await turn();
    expect(told).toEqual([`a${id}`, `b${id}`, `a${id}`, `b${id}`]);
    queues.leave(first);
    queue?.add(bytes("3"));
    await turn();
    expect(told.slice(4)).toEqual([`b${id}`]);
    expect(Array.from({ length: 4 }, () => textOf(queue?.take()))).toEqual(["1", "2", "3", "empty"]);
    queues.leave(second);
  });

  it("are bounded, and empty again when all has been taken", () => {
    const queues = make();
    const one = reader([], "");
    const queue = queues.get(queues.register("vm", "jobs", one));
    for (let round = 0; round < 3; round++) {
      let added = 0;
      while (queue?.add(new Uint8Array(20_000)) === true) added++;
      expect(added).toBeGreaterThan(0);
      expect(added).toBeLessThan(60);
      for (let item = 0; item < added; item++) expect(queue?.take()).toHaveLength(20_000);
      expect(queue?.take()).toBe("empty");
    }
    const ids = Array.from({ length: 300 }, (_, n) => queues.register("vm", `q${n}`, one));
    expect(ids.filter((id) => id === 0).length).toBe(45);
    expect(new Set(ids).size).toBe(256);
    queues.leave(one);
  });
});

describe("queues of several workers", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  it("are the same everywhere, and each item is taken once", () => {
    const all = workers(3).map((worker) => new StoredQueues(worker));
    const ids = all.map((queues) => queues.register("vm", "jobs", reader([], "")));
    expect(new Set(ids).size).toBe(1);
    const [id = 0] = ids;
    const queues = all.map((one) => one.get(id));
    for (let item = 0; item < 30; item++) expect(queues[item % 3]?.add(bytes(String(item)))).toBe(true);
    const taken = Array.from({ length: 31 }, (_, turns) => textOf(queues[(turns * 2) % 3]?.take()));
    expect(taken).toEqual([...Array.from({ length: 30 }, (_, item) => String(item)), "empty"]);
  });

  it("are told of where an item was put, and elsewhere only of what is left there", async () => {
    const [here, there] = workers(2).map((worker) => new StoredQueues(worker)) as [StoredQueues, StoredQueues];
    const told: string[] = [];
    const takes = (name: string, queues: StoredQueues) => ({
      queueReady: (id: number) => void told.push(`${name} ${textOf(queues.get(id)?.take())}`),
    });
    const own = takes("here", here);
    const id = here.register("vm", "jobs", own);
    there.register("vm", "jobs", takes("there", there));
    here.get(id)?.add(bytes("1"));
    here.get(id)?.add(bytes("2"));
    await turn();
    vi.advanceTimersByTime(1000);
    expect(told).toEqual(["here 1", "here 2"]);
    // Nobody here takes any more.
    here.leave(own);
    here.get(id)?.add(bytes("3"));
    await turn();
    expect(told.length).toBe(2);
    vi.advanceTimersByTime(1000);
    expect(told.slice(2)).toEqual(["there 3"]);
  });

  it("go on after the worker that has put something there, and with what it left undone", async () => {
    const [gone, next] = workers(2) as [{ keyValue: KeyValueRegion }, { keyValue: KeyValueRegion }];
    const before = new StoredQueues(gone);
    const id = before.register("vm", "jobs", reader([], ""));
    for (const item of ["1", "2", "3"]) before.get(id)?.add(bytes(item));
    // It died after it had taken an item out, and before it had said so; and when it had put one, and not said so.
    gone.keyValue.delete(bytes(`proxy-wasm/item/${id}/0`), -1);
    gone.keyValue.put(bytes(`proxy-wasm/item/${id}/3`), bytes("unsaid"), 0, -1);
    const told: string[] = [];
    const after = new StoredQueues(next);
    after.register("vm", "jobs", reader(told, "n"));
    await turn();
    expect(told.length).toBe(3);
    after.get(id)?.add(bytes("4"));
    expect(Array.from({ length: 4 }, () => textOf(after.get(id)?.take()))).toEqual(["2", "3", "4", "empty"]);
    expect(next.keyValue.entries).toBe(1);
  });

  it("begin anew when the tenant's entries have been cleared", async () => {
    const [worker] = workers(1) as [{ keyValue: KeyValueRegion }];
    const queues = new StoredQueues(worker);
    const told: string[] = [];
    const id = queues.register("vm", "jobs", reader(told, "n"));
    for (const item of ["1", "2"]) queues.get(id)?.add(bytes(item));
    await turn();
    worker.keyValue.clear();
    expect(queues.resolve("vm", "jobs")).toBe(0);
    const queue = queues.get(id);
    expect(queue?.take()).toBe("empty");
    expect(queue?.add(bytes("3"))).toBe(true);
    await turn();
    expect(told.length).toBe(3);
    expect(textOf(queue?.take())).toBe("3");
    expect(queues.resolve("vm", "jobs")).toBe(id);
  });

  it("say that the store is busy, and refuse what is too long", () => {
    const [worker] = workers(1) as [{ keyValue: KeyValueRegion }];
    const queues = new StoredQueues(worker);
    const queue = queues.get(queues.register("vm", "jobs", reader([], "")));
    expect(queue?.add(new Uint8Array(65_537))).toBe(false);
    worker.keyValue.together(() => {
      expect(queue?.add(bytes("1"))).toBe(false);
      expect(queue?.take()).toBe("busy");
    });
    expect(queue?.take()).toBe("empty");
  });
});
