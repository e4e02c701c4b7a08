/** The supervisor against a worker without a data plane: lives and deaths, two phases, sockets, maps. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { DataDirectory } from "#main/supervisor/data-directory.ts";
import { NoKernel } from "#main/supervisor/kernel-part.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { snapshotOf, startSupervisor, visit } from "#test/support/supervisor.ts";
import type { TestSupervisor } from "#test/support/supervisor.ts";

const running: TestSupervisor[] = [];
const openFiles = (): number => readdirSync("/proc/self/fd").length;

function start(...args: Parameters<typeof startSupervisor>): TestSupervisor {
  const made = startSupervisor(...args);
  running.push(made);
  return made;
}

afterEach(async () => {
  for (const each of running.splice(0)) await each.end();
});

async function serving(snapshot: Snapshot, workers = 2): Promise<TestSupervisor & { address: string }> {
  const made = start(workers);
  expect(await made.supervisor.deployment.apply(snapshot)).toMatchObject({
    ok: true,
    results: Array(workers).fill({ ok: true }),
  });
  return { ...made, address: made.supervisor.deployment.listenerStatus()[0]?.address ?? "" };
}

const workerPids = async (made: TestSupervisor): Promise<number[]> =>
  (await status(made)).workers.map(({ pid }) => pid);
const status = (made: TestSupervisor): ReturnType<TestSupervisor["supervisor"]["status"]> => made.supervisor.status();

test("every worker accepts on the one address", async () => {
  const made = await serving(snapshotOf([{}]));
  const seen = new Set<number>();
  for (let i = 0; i < 64 && seen.size < 2; i++) {
    const { socket, pid } = await visit(made.address);
    seen.add(pid);
    socket.destroy();
  }
  expect([...seen].toSorted()).toEqual((await workerPids(made)).toSorted());
});

test("a killed worker loses its own connections only, and what queued meanwhile is served by its successor", async () => {
  const made = await serving(snapshotOf([{}]));
  const visits = await Promise.all(Array.from({ length: 32 }, () => visit(made.address)));
  const victim = visits[0]?.pid ?? 0;
  const closed = new Map<number, number>();
  for (const { socket, pid } of visits)
    socket.on("error", () => {}).once("close", () => closed.set(pid, (closed.get(pid) ?? 0) + 1));
  process.kill(victim, "SIGKILL");
  // At once: some of these land in the dead worker's queue and wait there.
  const later = await Promise.all(Array.from({ length: 64 }, () => visit(made.address)));
  expect(later.every(({ pid }) => pid !== victim)).toBe(true);
  expect([...closed.keys()]).toEqual([victim]);
  expect(closed.get(victim)).toBe(visits.filter(({ pid }) => pid === victim).length);
  await made.supervisor.workersReady();
  expect((await status(made)).workers.map(({ restarts }) => restarts).toSorted()).toEqual([0, 1]);
  for (const { socket } of [...visits, ...later]) socket.destroy();
});

test.each([
  ["refuses", "refuse", "I'd rather not"],
  ["dies over it", "die", /killed by SIGABRT/],
  ["exits over it", "exit", /exited with 3/],
  ["says nothing", "hang", /no answer in 3000 ms/],
])("a worker that %s leaves the old revision serving", async (_how, wish, error) => {
  const first = snapshotOf([{}]);
  const made = await serving(first);
  const files = openFiles();
  const answer = await made.supervisor.deployment.apply(snapshotOf([{}, { name: "new" }], { wish }));
  expect(answer.ok).toBe(false);
  expect(answer.results.map((one) => one.error)).toEqual(
    Array(2).fill(typeof error === "string" ? error : expect.stringMatching(error)),
  );
  await made.supervisor.workersReady();
  const { socket, revision } = await visit(made.address);
  expect(revision).toBe(first.revision);
  socket.destroy();
  expect(made.supervisor.deployment.listenerStatus()).toHaveLength(1);
  expect(openFiles()).toBeLessThanOrEqual(files + 1);
});

test("a kernel that refuses is a refusal of all", async () => {
  class Refusing extends NoKernel {
    override prepare(): void {
      throw new Error("the verifier says no");
    }
  }
  const made = start(1, new Refusing("a test"));
  const answer = await made.supervisor.deployment.apply(snapshotOf([{}]));
  expect(answer).toEqual({ ok: false, results: [], kernel: { ok: false, error: "the verifier says no" } });
  expect(made.supervisor.deployment.listenerStatus()).toEqual([]);
});

test("a start from the last good snapshot goes on without what the machine has not any more", async () => {
  class Refusing extends NoKernel {
    override prepare(declaration: Parameters<NoKernel["prepare"]>[0]): void {
      if (declaration.kernel.steering.length > 0) throw new Error("there is no such cgroup");
      super.prepare(declaration);
    }
  }
  const made = start(1, new Refusing("a test"));
  const steering = [{ cgroup: "/sys/fs/cgroup/gone", ports: [80], listener: 0, leaseMs: 1000 }];
  // 192.0.2.0/24 is for documentation (RFC 5737): nobody's address.
  const listeners = [{ name: "gone", address: "192.0.2.1:80" }, { name: "here" }];
  const snapshot = snapshotOf(listeners, { kernel: { interfaces: [], steering } });
  expect(await made.supervisor.deployment.apply(snapshot, true)).toMatchObject({ ok: true });
  await made.supervisor.workersReady();
  const { listeners: bound, kernel } = await status(made);
  expect(bound[0]).toMatchObject({ name: "gone", error: expect.stringContaining("EADDRNOTAVAIL") });
  (await visit(bound[1]?.address ?? "")).socket.destroy();
  expect(kernel.notes[0]).toMatch(/there is no such cgroup/);
});

test("listeners come and go; those that stay keep their connections and their port", async () => {
  const made = await serving(snapshotOf([{ name: "a" }]));
  const { socket } = await visit(made.address);
  await made.supervisor.deployment.apply(snapshotOf([{ name: "a" }, { name: "b" }]));
  const [a, b] = made.supervisor.deployment.listenerStatus();
  expect(a?.address).toBe(made.address);
  const later = await visit(b?.address ?? "");
  later.socket.destroy();
  await made.supervisor.deployment.apply(snapshotOf([{ name: "a" }]));
  await expect(visit(b?.address ?? "")).rejects.toThrow(/ECONNREFUSED/);
  socket.write("still here\n");
  expect(String((await once(socket, "data"))[0])).toBe("still here\n");
  socket.destroy();
});

test("a transparent listener has IPv4 and IPv6 on one port", async () => {
  const made = await serving(snapshotOf([{ transparent: true }]));
  const addresses = made.supervisor.deployment.listenerStatus().map(({ address }) => address);
  expect(addresses).toHaveLength(2);
  expect(new Set(addresses.map((address) => address.split(":").at(-1))).size).toBe(1);
  for (const address of addresses) (await visit(address)).socket.destroy();
});

test("an address that someone else has is refused, not shared", async () => {
  const other = createServer();
  await once(other.listen(0, "127.0.0.1"), "listening");
  const { port } = other.address() as AddressInfo;
  const made = start(1);
  const answer = await made.supervisor.deployment.apply(snapshotOf([{ address: `127.0.0.1:${port}` }]));
  expect(answer.refusal).toMatchObject({
    pointer: "/listeners/0/address",
    error: expect.stringMatching(new RegExp(`127.0.0.1:${port}.*EADDRINUSE`)),
  });
  other.close();
});

test("modules go to a worker once, and only if their bytes are what the digest says", async () => {
  const made = start(1);
  const bytes = Buffer.from("module");
  const digest = createHash("sha256").update(bytes).digest("hex");
  const wrong = "0".repeat(64);
  mkdirSync(join(made.data, "blobs"));
  writeFileSync(join(made.data, "blobs", digest), bytes);
  writeFileSync(join(made.data, "blobs", wrong), bytes);
  const plugin = (value: string): Snapshot["plugins"] => [{ name: "p", tenant: "t", version: "1", digest: value }];
  const { deployment } = made.supervisor;
  expect(await deployment.apply(snapshotOf([], { plugins: plugin(digest) }))).toMatchObject({ ok: true });
  expect(await deployment.apply(snapshotOf([], { plugins: plugin(digest) }))).toMatchObject({ ok: true });
  for (const bad of [wrong, "f".repeat(64), "../../etc/passwd"]) {
    const answer = await deployment.apply(snapshotOf([], { plugins: plugin(bad) }));
    expect([bad, answer.ok, answer.refusal?.error]).toEqual([
      bad,
      false,
      expect.stringContaining("a module's bytes are missing"),
    ]);
  }
});

test("user-space maps: a worker that starts later has what the others have", async () => {
  const map = {
    name: "m",
    type: "hash",
    key: "bytes",
    keyBytes: 4,
    value: "counter",
    valueBytes: 8,
    maxEntries: 2,
  } as const;
  const made = await serving(snapshotOf([{}], { maps: [map] }));
  const put = (n: number): unknown =>
    made.supervisor.map({
      type: "map",
      id: 1,
      map: "m",
      op: { kind: "put", key: Uint8Array.of(n, 0, 0, 0), value: new Uint8Array(8) },
    });
  expect([put(1), put(2), put(3)]).toEqual([{ ok: true }, { ok: true }, { ok: false, code: "full", detail: "m" }]);
  const [victim] = await workerPids(made);
  process.kill(victim ?? 0, "SIGKILL");
  await vi.waitFor(async () => expect((await status(made)).workers[0]?.restarts).toBe(1), { timeout: 10_000 });
  await made.supervisor.workersReady();
  const entries = (await status(made)).metrics.find(({ name }) => name === "penstock_map_entries")?.samples;
  // The first knows them from its start, the other from the changes.
  expect(entries?.map(({ value }) => value)).toEqual([2, 0]);
});

test("control killed: another one comes, traffic does not notice", async () => {
  const made = await serving(snapshotOf([{}]));
  const { socket } = await visit(made.address);
  const before = made.supervisor.controlPid;
  process.kill(before, "SIGKILL");
  await vi.waitFor(() => expect([0, before]).not.toContain(made.supervisor.controlPid), { timeout: 5000 });
  socket.write("there?\n");
  expect(String((await once(socket, "data"))[0])).toBe("there?\n");
  socket.destroy();
});

test("a clean stop lets what is under way end, then nothing is left", async () => {
  const files = openFiles();
  const made = await serving(snapshotOf([{}], { settings: { ...snapshotOf([]).settings, drainMs: 2000 } }));
  const pids = await workerPids(made);
  const { socket } = await visit(made.address);
  const stopped = made.supervisor.stop();
  await sleep(300);
  socket.write("last words\n");
  expect(String((await once(socket, "data"))[0])).toBe("last words\n");
  socket.end();
  await stopped;
  for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(existsSync(join(made.data, "admin.sock"))).toBe(false);
  await vi.waitFor(() => expect(openFiles()).toBeLessThanOrEqual(files), { timeout: 10_000 });
});

test("a second stop forces: connections that do not end are cut", async () => {
  const made = await serving(snapshotOf([{}], { settings: { ...snapshotOf([]).settings, drainMs: 60_000 } }));
  const { socket } = await visit(made.address);
  const stopped = made.supervisor.stop();
  await sleep(100);
  made.supervisor.force();
  await stopped;
  socket.destroy();
});

test("one gateway at a time works on a data directory", () => {
  const made = start(1);
  expect(() => new DataDirectory(made.data, process.getuid?.() === 0)).toThrow(/a gateway runs on this data directory/);
});
