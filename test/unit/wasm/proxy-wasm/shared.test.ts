/** What plugins of a tenant share: data with versions, bounded; queues, in order, told of once for each item; of one worker, and of all. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TestServices } from "#test/support/wasm.ts";
import { made, proxyModule } from "./guest.ts";
import { LocalQueues, type Queues, type Taken } from "#wasm/proxy-wasm/queues.ts";
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
const textOf = (item: Taken | undefined) => (item instanceof Uint8Array ? Buffer.from(item).toString() : item);

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

it("shared data has keys of any length, those of long VM ids too, each its own", () => {
  const [{ keyValue }] = workers(1) as [{ keyValue: KeyValueRegion }];
  const stored = (vmId: string): StoredData => new StoredData(keyValue, vmId);
  const long = (last: string): Uint8Array => bytes("k".repeat(5000) + last);
  const entries: [StoredData, Uint8Array][] = [
    [stored("a".repeat(100)), bytes("k".repeat(192))],
    [stored("b".repeat(100)), bytes("k".repeat(192))],
    [stored("a"), long("1")],
    [stored("a"), long("2")],
    [stored("a"), key],
  ];
  for (const [index, [data, name]] of entries.entries()) expect(data.set(name, bytes(`${index}`), 0)).toBe(SET_DONE);
  for (const [index, [data, name]] of entries.entries())
    expect(Buffer.from(data.get(name)?.value ?? []).toString()).toBe(`${index}`);
});

describe.each<[string, () => Queues]>([
  ["of one worker", () => new LocalQueues()],
  ["in the tenant's store", () => new StoredQueues({ keyValue: workers(1)[0]?.keyValue ?? null })],
])("queues %s", (_, make) => {
  it("give items in order, and tell each reader of each item, until it leaves", async () => {
    const queues = make();
    const told: string[] = [];
    const [first, second] = [reader(told, "a"), reader(told, "b")];
    const id = queues.register("vm", "jobs");
    expect(id).toBeGreaterThan(0);
    expect(queues.register("vm", "jobs")).toBe(id);
    for (const one of [first, second, first]) queues.listen(id, one);
    expect(queues.resolve("vm", "jobs")).toBe(id);
    expect(queues.resolve("other", "jobs")).toBe(0);
    expect([queues.add(id + 1, bytes("?")), queues.take(id + 1)]).toEqual(["absent", "absent"]);
    for (const item of ["1", "2"]) expect(queues.add(id, bytes(item))).toBe("added");
    await turn();
    expect(told).toEqual([`a${id}`, `b${id}`, `a${id}`, `b${id}`]);
    queues.leave(first);
    queues.add(id, bytes("3"));
    await turn();
    expect(told.slice(4)).toEqual([`b${id}`]);
    expect(Array.from({ length: 4 }, () => textOf(queues.take(id)))).toEqual(["1", "2", "3", "empty"]);
    queues.leave(second);
  });

  it("are bounded, and empty again when all has been taken", () => {
    const queues = make();
    const id = queues.register("vm", "jobs");
    for (let round = 0; round < 3; round++) {
      let added = 0;
      while (queues.add(id, new Uint8Array(20_000)) === "added") added++;
      expect(added).toBeGreaterThan(0);
      expect(added).toBeLessThan(60);
      for (let item = 0; item < added; item++) expect(queues.take(id)).toHaveLength(20_000);
      expect(queues.take(id)).toBe("empty");
    }
    const ids = Array.from({ length: 300 }, (_, n) => queues.register("vm", `q${n}`));
    expect(ids.filter((id) => id === 0).length).toBe(45);
    expect(new Set(ids).size).toBe(256);
  });
});

describe("queues of several workers", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  it("are the same everywhere, and each item is taken once", () => {
    const all = workers(3).map((worker) => new StoredQueues(worker));
    const ids = all.map((queues) => queues.register("vm", "jobs"));
    expect(new Set(ids).size).toBe(1);
    const [id = 0] = ids;
    for (let item = 0; item < 30; item++) expect(all[item % 3]?.add(id, bytes(String(item)))).toBe("added");
    const taken = Array.from({ length: 31 }, (_, turns) => textOf(all[(turns * 2) % 3]?.take(id)));
    expect(taken).toEqual([...Array.from({ length: 30 }, (_, item) => String(item)), "empty"]);
  });

  it("are told of where an item was put, and elsewhere only of what is left there", async () => {
    const [here, there] = workers(2).map((worker) => new StoredQueues(worker)) as [StoredQueues, StoredQueues];
    const told: string[] = [];
    const takes = (name: string, queues: StoredQueues) => ({
      queueReady: (id: number) => void told.push(`${name} ${textOf(queues.take(id))}`),
    });
    const own = takes("here", here);
    const id = here.register("vm", "jobs");
    here.listen(id, own);
    there.register("vm", "jobs");
    there.listen(id, takes("there", there));
    here.add(id, bytes("1"));
    here.add(id, bytes("2"));
    await turn();
    vi.advanceTimersByTime(1000);
    expect(told).toEqual(["here 1", "here 2"]);
    // Nobody here takes any more.
    here.leave(own);
    here.add(id, bytes("3"));
    await turn();
    expect(told.length).toBe(2);
    vi.advanceTimersByTime(1000);
    expect(told.slice(2)).toEqual(["there 3"]);
  });

  it("go on after the worker that has put something there, and with what it left undone", async () => {
    const [gone, next] = workers(2) as [{ keyValue: KeyValueRegion }, { keyValue: KeyValueRegion }];
    const before = new StoredQueues(gone);
    const id = before.register("vm", "jobs");
    for (const item of ["1", "2", "3"]) before.add(id, bytes(item));
    // It died after it had taken an item out, and before it had said so; and when it had put one, and not said so.
    gone.keyValue.delete(bytes(`proxy-wasm/item/${id}/0`), -1);
    gone.keyValue.put(bytes(`proxy-wasm/item/${id}/3`), bytes("unsaid"), 0, -1);
    const told: string[] = [];
    const after = new StoredQueues(next);
    after.listen(after.register("vm", "jobs"), reader(told, "n"));
    await turn();
    expect(told.length).toBe(3);
    after.add(id, bytes("4"));
    expect(Array.from({ length: 4 }, () => textOf(after.take(id)))).toEqual(["2", "3", "4", "empty"]);
    expect(next.keyValue.entries).toBe(1);
  });

  it("begin anew when the tenant's entries have been cleared", async () => {
    const [worker] = workers(1) as [{ keyValue: KeyValueRegion }];
    const queues = new StoredQueues(worker);
    const told: string[] = [];
    const id = queues.register("vm", "jobs");
    queues.listen(id, reader(told, "n"));
    for (const item of ["1", "2"]) queues.add(id, bytes(item));
    await turn();
    worker.keyValue.clear();
    expect(queues.resolve("vm", "jobs")).toBe(0);
    expect(queues.take(id)).toBe("empty");
    expect(queues.add(id, bytes("3"))).toBe("added");
    await turn();
    expect(told.length).toBe(3);
    expect(textOf(queues.take(id))).toBe("3");
    expect(queues.resolve("vm", "jobs")).toBe(id);
  });

  it("are not listened to by a plugin that has refused its configuration", async () => {
    const functions = `(data (i32.const 0) "jobs") (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_register_shared_queue (i32.const 0) (i32.const 4) (i32.const 16))) (local.get 1))
      (func (export "proxy_on_tick") (param i32)) (func (export "proxy_on_queue_ready") (param i32 i32))`;
    const module = proxyModule({ calls: ["proxy_register_shared_queue"], functions });
    const allow = { maps: [], upstreams: [], keyValue: true } as const;
    await expect(made(module, { allow })).rejects.toThrow("configuration");
    expect(vi.getTimerCount()).toBe(0);
    const { filter } = await made(module, { allow, configText: "some" });
    expect(vi.getTimerCount()).toBe(1);
    filter.dispose();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("say that the store is busy, and refuse what is too long", () => {
    const [worker] = workers(1) as [{ keyValue: KeyValueRegion }];
    const queues = new StoredQueues(worker);
    const id = queues.register("vm", "jobs");
    expect(queues.add(id, new Uint8Array(65_537))).toBe("refused");
    worker.keyValue.together(() => {
      expect(queues.add(id, bytes("1"))).toBe("refused");
      expect(queues.take(id)).toBe("busy");
    });
    expect(queues.take(id)).toBe("empty");
  });
});
