import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { cgroup2Root } from "#sys/cgroup.ts";
import type { Declaration } from "#bpf/manager/declarations.ts";
import { objectIds } from "#bpf/kernel/ids.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftoverCgroups, TestCgroup } from "#test/support/cgroup.ts";
import { Namespace, removeLeftovers, run } from "#test/support/netns.ts";

const descriptors = (): number => fs.readdirSync("/proc/self/fd").length;

describeKernel("what a manager leaves behind", () => {
  let clients: TestCgroup;
  beforeEach(() => {
    clients = new TestCgroup("leaks");
  });
  afterEach(() => clients.destroy());

  function declaration(port: number, map: string): Declaration {
    return {
      maps: [
        { name: map, type: "hash", key: "bytes", keyBytes: 4, value: "bytes", valueBytes: 4, maxEntries: 10 },
        { name: "kept", type: "lru-hash", key: "ip", keyBytes: 16, value: "counter", valueBytes: 8, maxEntries: 10 },
      ],
      kernel: { interfaces: [], steering: [{ cgroup: clients.directory, ports: [port], listener: 0, leaseMs: 1000 }] },
      listeners: [{ name: "l", addresses: ["127.0.0.1:1"] }],
    };
  }

  it("is nothing, after changes, refusals and discarded preparations", async () => {
    const before = descriptors();
    const manager = KernelManager.open({ originalDestinationCgroup: clients.directory });
    manager.commit(manager.prepare(declaration(1, "a")));
    manager.originalsFd();
    const steady = descriptors();
    for (let i = 2; i < 12; i++) {
      manager.prepare(declaration(i, "discarded")).discard();
      const wrong = declaration(i, "b");
      expect(() => manager.prepare({ ...wrong, listeners: [{ name: "l", addresses: ["nonsense"] }] })).toThrow(
        /nonsense/,
      );
      manager.commit(manager.prepare(declaration(i, `m${i}`)));
    }
    expect(descriptors()).toBe(steady);
    const held = manager.status().steering.flatMap((each) => each.programs);
    expect(held).toHaveLength(5);
    manager.close();
    expect(descriptors()).toBe(before);
    // The kernel lets go a little later (RCU).
    const left = (): unknown[] =>
      held.filter(({ id, linkId }) => objectIds("program").includes(id) || objectIds("link").includes(linkId));
    for (let i = 0; left().length > 0 && i < 100; i++) await sleep(20);
    expect(left()).toEqual([]);
  });

  it("keeps maps whose schema stays, and only those", () => {
    const manager = KernelManager.open();
    try {
      manager.commit(manager.prepare(declaration(1, "a")));
      manager.put("kept", "203.0.113.7", { value: "5" });
      manager.put("a", "00000001", { value: "0000002a" });
      const before = manager.mapFd("kept");
      const next = manager.prepare(declaration(1, "b"));
      expect([next.mapFd("a"), next.mapFd("kept")]).toEqual([undefined, before]);
      manager.commit(next);
      expect(manager.entries("kept", 10)).toEqual([{ key: "203.0.113.7", value: "5" }]);
      expect(() => manager.entries("a", 10)).toThrow(/no such map: a/);
      expect(manager.entries("b", 10)).toEqual([]);
    } finally {
      manager.close();
    }
  });

  it("refuses what was prepared on a state that has passed", () => {
    const manager = KernelManager.open();
    try {
      const [first, second] = [manager.prepare(declaration(1, "a")), manager.prepare(declaration(2, "b"))];
      manager.commit(first);
      expect(() => manager.commit(second)).toThrow(/no longer in force/);
      expect(manager.status().steering).toMatchObject([{ ports: [1] }]);
    } finally {
      manager.close();
    }
  });

  it("sweeps long lists a part at a time, and misses nothing", async () => {
    const prefixes = {
      name: "p",
      type: "lpm-trie",
      key: "ip-prefix",
      keyBytes: 20,
      value: "expiry",
      valueBytes: 8,
    } as const;
    const manager = KernelManager.open();
    try {
      const nothing = { kernel: { interfaces: [], steering: [] }, listeners: [] };
      manager.commit(manager.prepare({ maps: [{ ...prefixes, maxEntries: 20_000 }], ...nothing }));
      for (let i = 0; i < 10_000; i++)
        manager.put("p", `10.${i >> 8}.${i & 255}.1`, i % 2 === 0 ? { ttlSeconds: 0.001 } : {});
      await sleep(5);
      const sweeps = [1, 2, 3, 4, 5, 6].map(() => manager.sweep());
      expect(Math.max(...sweeps)).toBeLessThanOrEqual(4096);
      expect(sweeps.reduce((sum, each) => sum + each)).toBe(5000);
      expect(manager.status().maps).toMatchObject([{ entries: 5000 }]);
    } finally {
      manager.close();
    }
  });

  it("says when a map is full, and answers nonsense with what is right", () => {
    const manager = KernelManager.open();
    try {
      manager.commit(manager.prepare(declaration(1, "a")));
      for (let i = 0; i < 10; i++) manager.put("a", `0000000${i}`, { value: "00000000" });
      expect(() => manager.put("a", "000000ff", { value: "00000000" })).toThrow(/the map is full: a holds 10 entries/);
      expect(() => manager.put("a", "zz", { value: "00000000" })).toThrow(/not 4 bytes in hexadecimal/);
      expect(() => manager.put("kept", "203.0.113.7", { ttlSeconds: 5 })).toThrow(/do not expire/);
      expect([manager.delete("a", "00000001"), manager.delete("a", "00000001")]).toEqual([true, false]);
    } finally {
      manager.close();
    }
  });
});

describeKernel("what a killed run left behind", () => {
  it("is taken away by the next, and nothing else", () => {
    const dead = spawnSync("true").pid;
    const root = cgroup2Root() ?? "";
    const mine = new Namespace("alive");
    try {
      run("ip", "netns", "add", `pst-${dead}-x`);
      fs.mkdirSync(path.join(root, `pst-${dead}-x/inner`), { recursive: true });
      removeLeftovers();
      removeLeftoverCgroups();
      expect(fs.existsSync(`/run/netns/pst-${dead}-x`)).toBe(false);
      expect(fs.existsSync(path.join(root, `pst-${dead}-x`))).toBe(false);
      expect(fs.existsSync(mine.path)).toBe(true);
    } finally {
      mine.destroy();
    }
  });
});
