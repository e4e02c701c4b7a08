import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { moduleFile } from "#control/protocol.ts";
import { writeFileDurably } from "#control/store/files.ts";
import { LastGood, readLastGood } from "#control/store/last-good.ts";
import { SqliteStore } from "#control/store/sqlite-store.ts";
import { canonicalJson, digestOf, sha256Hex } from "#control/canonical.ts";
import type { StoreBounds } from "#control/store/store.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";

let folder: string;
let now = 1000;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "penstock-store-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (kept?: StoreBounds) => new SqliteStore(folder, () => now, undefined, kept);
const facts = { abi: "penstock", hooks: [], imports: [], memoryBytesMin: 0, builder: "1" };
const content = (drainMs: number, digest?: string) => ({
  declaration: {
    settings: { drainMs },
    ...(digest === undefined ? {} : { plugins: [{ name: "p", tenant: "t", version: "1", digest }] }),
  },
  ages: [],
});
const by = { author: "me", message: "" };

describe("revisions", () => {
  it("become current when applied, and keep their numbers when refused", () => {
    const store = open();
    expect(store.current()).toBeUndefined();
    const first = store.begin({ content: content(1), ...by });
    expect([first.number, first.state, store.current()]).toEqual([1, "pending", undefined]);
    store.applied(1, "me");
    store.refused(store.begin({ content: content(2), ...by }).number, "worker 0: no", "me");
    store.applied(store.begin({ content: content(3), ...by }).number, "me");
    expect(store.current()).toMatchObject({ number: 3, content: content(3) });
    expect(store.revisions(undefined, 10).map(({ number, state }) => [number, state])).toEqual([
      [3, "applied"],
      [2, "refused"],
      [1, "applied"],
    ]);
    expect(store.revisions(3, 1).map(({ number }) => number)).toEqual([2]);
    store.close();
  });

  it("are kept by their number, and the one in force whatever its age", () => {
    const store = open({ revisionsMax: 10, contentBytesMax: 2 ** 20 });
    store.applied(store.begin({ content: content(1), ...by }).number, "me");
    for (let i = 2; i <= 13; i++) store.refused(store.begin({ content: content(i), ...by }).number, "no", "me");
    const kept = store.revisions(undefined, 20).map(({ number }) => number);
    expect([kept.length, kept.at(-2), kept.at(-1)]).toEqual([11, 4, 1]);
    expect(store.revision(3)).toBeUndefined();
    expect(store.current()).toMatchObject({ number: 1, content: content(1) });
    store.applied(store.begin({ content: content(2), ...by }).number, "me");
    store.begin({ content: content(3), ...by });
    // The content of one that went is still there, as another revision has the same.
    expect([store.revision(1), store.revision(14)?.content]).toEqual([undefined, content(2)]);
    store.close();
  });

  it("are kept by their weight, and at least the one in force and the newest", () => {
    const store = open({ revisionsMax: 100, contentBytesMax: 10_000 });
    const heavy = (salt: number) => ({ declaration: {}, ages: [`${salt}`.repeat(3000)] });
    for (let i = 1; i <= 5; i++) store.applied(store.begin({ content: heavy(i), ...by }).number, "me");
    const kept = () => store.revisions(undefined, 20).map(({ number }) => number);
    expect(kept()).toEqual([5, 4, 3]);
    expect(store.revision(3)?.content).toEqual(heavy(3));
    const huge = { declaration: {}, ages: ["x".repeat(20_000)] };
    store.refused(store.begin({ content: huge, ...by }).number, "no", "me");
    expect(kept()).toEqual([6, 5]);
    expect(store.current()?.content).toEqual(heavy(5));
    store.close();
    // What is kept, not what was written: the database has no more than these two.
    const db = new DatabaseSync(join(folder, "store.db"));
    expect(db.prepare("SELECT count(*) AS n FROM contents").get()).toEqual({ n: 2 });
    db.close();
  });

  it("that nobody answered are refused at the next start", () => {
    const store = open();
    store.begin({ content: content(1), ...by });
    store.close();
    const again = open();
    expect(again.revision(1)).toMatchObject({
      state: "refused",
      reason: expect.stringContaining("before the gateway answered"),
    });
    expect(again.begin({ content: content(1), ...by }).number).toBe(2);
    again.close();
  });
});

describe("modules", () => {
  it("are swept at a start when no row names them, and rows a day after their upload when no revision does", () => {
    const store = open();
    const kept = store.addModule(Buffer.from("kept"), Buffer.from("kept, metered"), facts, "me");
    const unused = store.addModule(Buffer.from("unused"), Buffer.from("unused, metered"), facts, "me");
    store.applied(store.begin({ content: content(1, kept.digest), ...by }).number, "me");
    store.close();
    writeFileSync(join(folder, "blobs", "orphan"), "");
    now += 80_000_000;
    const second = open();
    expect(readdirSync(join(folder, "blobs"))).toHaveLength(4);
    expect(second.module(unused.digest)).toEqual(unused);
    second.close();
    now += 10_000_000;
    const third = open();
    expect(readdirSync(join(folder, "blobs")).toSorted()).toEqual([kept.digest, kept.meteredDigest].toSorted());
    expect(third.module(unused.digest)).toBeUndefined();
    expect(Buffer.from(third.moduleBytes(kept.digest)).toString()).toBe("kept");
    writeFileSync(moduleFile(folder, kept.digest), "tampered");
    expect(() => third.moduleBytes(kept.digest)).toThrow("does not contain what its name says");
    third.close();
  });
});

it("a secret's value goes at a start, a day after it was given, when no revision names it", () => {
  now = 1000;
  const secret = { tenant: "t", name: "s" };
  const named = (fingerprint: string) => ({ declaration: { secrets: [{ ...secret, fingerprint }] }, ages: [] });
  const keep = (store: SqliteStore, fingerprint: string, sealed = `sealed ${fingerprint}`) =>
    store.secrets.keep({ ...secret, fingerprint, sealed });
  const kept = (store: SqliteStore) =>
    ["a", "b", "c"].filter((fingerprint) => store.secrets.sealed({ ...secret, fingerprint }) !== undefined);
  const bounds = { revisionsMax: 2, contentBytesMax: 2 ** 20 };
  const store = open(bounds);
  for (const fingerprint of ["a", "b", "c"]) keep(store, fingerprint);
  keep(store, "b", "sealed again");
  expect(store.secrets.sealed({ ...secret, fingerprint: "b" })).toBe("sealed b");
  for (const fingerprint of ["a", "b"]) store.applied(store.begin({ content: named(fingerprint), ...by }).number, "me");
  store.close();
  now += 86_399_000;
  const second = open(bounds);
  expect(kept(second)).toEqual(["a", "b", "c"]);
  second.close();
  now += 2000;
  const third = open(bounds);
  expect(kept(third)).toEqual(["a", "b"]);
  third.applied(third.begin({ content: content(1), ...by }).number, "me");
  third.applied(third.begin({ content: content(2), ...by }).number, "me");
  third.close();
  // Revisions that named them are gone.
  const fourth = open(bounds);
  expect(kept(fourth)).toEqual([]);
  fourth.close();
});

it("a module and its files go when the last revision that named it has gone, and a day has passed", () => {
  const kept = { revisionsMax: 1, contentBytesMax: 2 ** 20 };
  const store = open(kept);
  const module = store.addModule(Buffer.from("once"), Buffer.from("once, metered"), facts, "me");
  store.applied(store.begin({ content: content(1, module.digest), ...by }).number, "me");
  now += 90_000_000;
  store.close();
  const second = open(kept);
  expect(second.module(module.digest)).toEqual(module);
  // Neither as a revision nor as what a later one is based on.
  for (const drainMs of [2, 3]) second.applied(second.begin({ content: content(drainMs), ...by }).number, "me");
  expect(second.revisions(undefined, 10).map(({ number }) => number)).toEqual([3, 2]);
  second.close();
  const third = open(kept);
  expect([third.module(module.digest), readdirSync(join(folder, "blobs"))]).toEqual([undefined, []]);
  third.close();
});

it("a database of a later version is refused", () => {
  open().close();
  const db = new DatabaseSync(join(folder, "store.db"));
  db.exec("PRAGMA user_version=99");
  db.close();
  expect(() => open()).toThrow("use a newer one");
});

describe("files", () => {
  it("are written whole, with their mode, over a leftover of another", () => {
    const path = join(folder, "file");
    writeFileSync(join(folder, ".partial-file"), "left over from a power cut, and longer", { mode: 0o666 });
    writeFileDurably(path, "content", 0o600);
    expect([statSync(path).size, statSync(path).mode & 0o777]).toEqual([7, 0o600]);
    expect(existsSync(join(folder, ".partial-file"))).toBe(false);
  });

  it("of the last good snapshot are refused when damaged", async () => {
    expect(readLastGood(folder)).toBeUndefined();
    const parts = {
      listeners: [],
      upstreams: [],
      plugins: [],
      routes: [],
      maps: [],
      kernel: { interfaces: [], steering: [] },
    };
    const settings = { accessLog: "off" } as Snapshot["settings"];
    const snapshot: Snapshot = { revision: 4, digest: digestOf({ ...parts, settings }), ...parts, settings };
    const whole = { ...snapshot, digest: sha256Hex(canonicalJson({ ...parts, settings })) };
    writeFileSync(join(folder, "snapshot.json"), JSON.stringify({ format: 1, snapshot: whole }));
    expect(readLastGood(folder)).toEqual(whole);
    rmSync(join(folder, "snapshot.json"));
    const failures: unknown[] = [];
    const lastGood = new LastGood(folder, (error) => failures.push(error));
    lastGood.keep({ ...snapshot, digest: "0" });
    lastGood.keep(snapshot);
    expect(readLastGood(folder)).toBeUndefined();
    await lastGood.flush();
    expect(readLastGood(folder)).toEqual(snapshot);
    expect(statSync(join(folder, "snapshot.json")).mode & 0o777).toBe(0o600);
    lastGood.keep({ ...snapshot, digest: "0" });
    await lastGood.flush();
    expect(() => readLastGood(folder)).toThrow("does not match its digest");
    writeFileSync(join(folder, "snapshot.json"), '{"format":3}');
    expect(() => readLastGood(folder)).toThrow("format 3");
    writeFileSync(join(folder, "snapshot.json"), '{"format":2,');
    expect(() => readLastGood(folder)).toThrow(SyntaxError);
    expect(failures).toEqual([]);
    const gone = new LastGood(join(folder, "gone"), (error, { revision }) => failures.push([error, revision]));
    gone.keep(snapshot);
    await gone.flush();
    expect(failures).toEqual([[expect.objectContaining({ code: "ENOENT" }), 4]]);
  });

  it("of the last good snapshot come by themselves", async () => {
    const lastGood = new LastGood(folder, () => {});
    lastGood.keep({ revision: 5 } as Snapshot);
    await expect.poll(() => existsSync(join(folder, "snapshot.json"))).toBe(true);
    await lastGood.flush();
  });
});
