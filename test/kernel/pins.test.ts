import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { inNetworkNamespace } from "#sys/netns.ts";
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { PacketCounter } from "#bpf/programs/counter/counter.ts";
import { PinFolder } from "#bpf/kernel/pins.ts";
import { removeLeftoverBpffs, TestBpffs } from "#test/support/bpffs.ts";
import { Datagrams } from "#test/support/datagrams.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers, run } from "#test/support/netns.ts";
import type { PinReport } from "#test/support/pin-counter.ts";

const FLOOD = path.join(import.meta.dirname, "../support/flood.ts");
const PIN = path.join(import.meta.dirname, "../support/pin-counter.ts");
const PACKETS = 15_000;

describeKernel("pins", () => {
  let client: Namespace;
  let server: Namespace;
  let bpffs: TestBpffs;

  beforeAll(() => {
    removeLeftovers();
    removeLeftoverBpffs();
  });
  beforeEach(() => {
    bpffs = new TestBpffs();
    client = new Namespace("pin-c");
    server = new Namespace("pin-s");
    connect(client, { device: "cl0", addresses: ["10.79.1.2/24"] }, server, {
      device: "sv0",
      addresses: ["10.79.1.1/24"],
    });
  });
  afterEach(() => {
    client.destroy();
    server.destroy();
    bpffs.destroy();
  });
  afterAll(() => {
    const left = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith(`pst-bpffs-${process.pid}-`));
    expect(left).toEqual([]);
  });

  const inside = <T>(work: () => T): T => inNetworkNamespace(server.path, work);
  const xdp = (): readonly number[] => inside(() => networkInterface("sv0").xdp.programIds);

  it("keep a killed process's program at work, and the next takes over with no packet lost or uncounted", async () => {
    const owner = server.spawn(process.execPath, PIN, bpffs.directory, "sv0");
    const ended = once(owner, "close");
    const receiver = new Datagrams(server, "10.79.1.1:7000");
    let flooding: Promise<unknown> | null = null;
    let flood: ReturnType<Namespace["spawn"]> | null = null;
    try {
      const [line] = (await once(owner.stdout ?? owner, "data")) as [Buffer];
      const report = JSON.parse(line.toString("utf8")) as PinReport;
      expect(xdp()).toEqual([report.program]);

      flood = client.spawn(process.execPath, FLOOD, String(PACKETS), "10.79.1.2:0", "10.79.1.1:7000");
      let over = false;
      flooding = once(flood, "close").then(() => (over = true));
      let arrived = 0;
      // Not before there is something to lose.
      while (arrived < 100 && !over) {
        arrived += receiver.drain();
        await sleep(1);
      }
      owner.kill("SIGKILL");
      await ended;
      expect(xdp()).toEqual([report.program]);

      const folder = new PinFolder(bpffs.directory, 1);
      expect([folder.names("maps"), folder.names("links")]).toEqual([["sources"], ["sv0"]]);
      const [map, link] = [folder.map("sources"), folder.link("sv0")];
      if (map === null || link === null) throw new Error("nothing to adopt");
      expect([map.info.id, link.info().id]).toEqual([report.map, report.link]);
      expect(link.info().interfaceIndex).toBe(inside(() => networkInterface("sv0").index));

      let takeovers = 0;
      let counter: PacketCounter | null = null;
      while (!over) {
        const next = new PacketCounter({ sources: map });
        link.update(next.collection.program("counter"), counter?.collection.program("counter") ?? null);
        counter?.close();
        counter = next;
        takeovers++;
        arrived += receiver.drain();
        await sleep(1);
      }
      arrived += receiver.drainUpTo(PACKETS - arrived);
      // On a busy machine the device's ring can run full; what it refused never came to a program.
      const refused = client.dropped("cl0");
      expect(refused).toBeLessThan(1000);
      expect(arrived).toBe(PACKETS - refused);
      expect(counter?.top(1)).toMatchObject([{ source: "10.79.1.2/32", packets: arrived }]);
      expect(takeovers).toBeGreaterThan(5);
      expect(xdp()).not.toEqual([report.program]);

      counter?.close();
      link.close();
      map.close();
      expect(xdp()).toHaveLength(1);
      folder.remove();
      for (let i = 0; xdp().length > 0 && i < 100; i++) await sleep(20);
      expect(xdp()).toEqual([]);
      // The kernel puts two files of its own into every bpffs.
      expect(fs.readdirSync(bpffs.directory)).not.toContain("v1");
    } finally {
      owner.kill("SIGKILL");
      flood?.kill("SIGKILL");
      await ended;
      await flooding;
      receiver.close();
    }
  });

  it("hold names of any kind, are replaced in one step, and go when asked", () => {
    const folder = new PinFolder(bpffs.directory, 1);
    const counters = [new PacketCounter(), new PacketCounter()];
    const names = ["eth0.100", "/sys/fs/cgroup/apps~1", "ü %2E"];
    try {
      for (const { map } of counters) {
        for (const name of names) folder.pinMap(name, map);
        expect(folder.names("maps")).toEqual(names.toSorted());
        for (const name of names) {
          const found = folder.map(name);
          expect(found?.info.id).toBe(map.info.id);
          found?.close();
        }
      }
      expect(names.map((name) => folder.unpin("maps", name))).toEqual([true, true, true]);
      expect(folder.unpin("maps", "eth0.100")).toBe(false);
      expect([folder.map("eth0.100"), folder.link("eth0.100")]).toEqual([null, null]);
    } finally {
      for (const each of counters) each.close();
    }
  });

  it("of another version are seen and left alone", () => {
    const [old, folder] = [new PinFolder(bpffs.directory, 1), new PinFolder(bpffs.directory, 2)];
    const counter = new PacketCounter();
    try {
      old.pinMap("sources", counter.map);
      expect(folder.map("sources")).toBeNull();
      expect(folder.otherVersions()).toEqual([path.join(bpffs.directory, "v1")]);
      folder.remove();
      expect(old.names("maps")).toEqual(["sources"]);
    } finally {
      counter.close();
    }
  });

  it("that a killed process had not finished are taken away", () => {
    const folder = new PinFolder(bpffs.directory, 1);
    const counter = new PacketCounter();
    try {
      folder.pinMap("sources", counter.map);
      const maps = path.join(bpffs.directory, "v1/maps");
      fs.renameSync(path.join(maps, "sources"), path.join(maps, "sources~"));
      expect(new PinFolder(bpffs.directory, 1).names("maps")).toEqual([]);
    } finally {
      counter.close();
    }
  });

  it("say when the device has gone, and when the shape is another", () => {
    const folder = new PinFolder(bpffs.directory, 1);
    const counter = new PacketCounter();
    try {
      const { link } = inside(() => counter.attach("sv0", "native"));
      folder.pinLink("sv0", link);
      link.close();
      server.ip("link", "delete", "sv0");
      const found = folder.link("sv0");
      expect(found?.info().interfaceIndex).toBe(0);
      expect(() => found?.update(counter.collection.program("counter"), null)).toThrow(/ENOLINK/);
      found?.close();
      folder.pinMap("other", counter.collection.map("counter_other"));
      const other = folder.map("other");
      if (other === null) throw new Error("no map");
      expect(() => new PacketCounter({ sources: other })).toThrow(/in place of counter_sources/);
      other.close();
    } finally {
      counter.close();
    }
  });

  it("of a killed test run go with the next", () => {
    const dead = fs.mkdtempSync(path.join(os.tmpdir(), `pst-bpffs-${spawnSync("true").pid}-`));
    run("mount", "-t", "bpf", "bpf", dead);
    removeLeftoverBpffs();
    expect([fs.existsSync(dead), fs.existsSync(bpffs.directory)]).toEqual([false, true]);
  });

  it("want a bpffs", () => {
    expect(() => new PinFolder(os.tmpdir(), 1)).toThrow(/pinning under .*: not a bpf file system/);
    expect(() => new PinFolder(path.join(bpffs.directory, "none"), 1)).toThrow(/ENOENT/);
  });
});
