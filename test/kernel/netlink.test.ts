import fs from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { asFd } from "#core/brands.ts";
import { createArena } from "#io/arena.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { NetworkMonitor, type NetworkEvent } from "#bpf/netlink/monitor.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } from "#bpf/kernel/constants.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { Namespace, removeLeftovers } from "#test/support/netns.ts";

const ARENA_BYTES = 512 * (1 << 15);

describeKernel("rtnetlink", () => {
  let here: Namespace;
  let there: Namespace;
  let netlink: Rtnetlink;
  const open = <T>(make: () => T): T => inNetworkNamespace(here.path, make);

  beforeEach(() => {
    removeLeftovers();
    here = new Namespace("nl-here");
    there = new Namespace("nl-there");
    netlink = open(() => new Rtnetlink());
  });
  afterEach(() => {
    netlink.close();
    here.destroy();
    there.destroy();
  });

  /** A pair with one end in each namespace; answers the index of ours. */
  function makePair(): number {
    const namespace = fs.openSync(there.path, "r");
    try {
      const peer = { name: "right", hardwareAddress: "02:00:00:00:00:02", namespace: asFd(namespace) };
      netlink.addLink({ kind: "veth", name: "left", hardwareAddress: "02:00:00:00:00:01", mtu: 1400, peer });
    } finally {
      fs.closeSync(namespace);
    }
    // An end can't be up before its peer is there.
    there.ip("link", "set", "right", "up");
    return indexOf("left");
  }

  function indexOf(name: string): number {
    return netlink.link(name)?.index ?? expect.fail(`no link ${name}`);
  }

  it("makes, changes, finds and deletes links", () => {
    const index = makePair();
    expect(netlink.link("left")).toMatchObject({
      index,
      name: "left",
      kind: "veth",
      up: false,
      loopback: false,
      mtu: 1400,
      hardwareAddress: "02:00:00:00:00:01",
      master: null,
      xdp: { mode: "none", programIds: [] },
    });
    expect(there.ip("-o", "link", "show", "right")).toMatch(/02:00:00:00:00:02/);
    netlink.setLink(index, { up: true, mtu: 1300 });
    expect(netlink.link(index)).toMatchObject({ up: true, mtu: 1300, lowerUp: true });
    netlink.addLink({ kind: "bridge", name: "bridge" });
    netlink.setLink(index, { master: indexOf("bridge") });
    expect(netlink.link(index)?.master).toBe(indexOf("bridge"));
    expect(netlink.links().map(({ name }) => name)).toEqual(["lo", "left", "bridge"]);
    expect(netlink.links()[0]).toMatchObject({ index: 1, loopback: true, up: true });
    netlink.setLink(index, { master: 0 });
    netlink.deleteLink(index);
    expect(netlink.links().map(({ name }) => name)).toEqual(["lo", "bridge"]);
    expect(there.ip("-o", "link", "show")).not.toContain("right");
    expect([netlink.link("left"), netlink.link(index)]).toEqual([null, null]);
  });

  it.each([
    ["ipv4", "192.0.2.1", 24],
    ["ipv6", "2001:db8::1", 64],
  ] as const)("adds, replaces and deletes %s addresses", (family, address, prefixBits) => {
    const index = makePair();
    netlink.setLink(index, { up: true });
    const key = { index, address, prefixBits };
    netlink.addAddress({ ...key, withoutDetection: true });
    const mine = () => netlink.addresses(index).filter((each) => each.address === address);
    expect(mine()).toMatchObject([{ ...key, family, peer: null, tentative: false, validSeconds: null, scope: 0 }]);
    expect(() => netlink.addAddress(key)).toThrow(/EEXIST/);
    netlink.replaceAddress({ ...key, withoutDetection: true, validSeconds: 100 });
    expect(mine()[0]?.validSeconds).toBeGreaterThan(95);
    expect(mine()[0]?.validSeconds).toBeLessThanOrEqual(100);
    netlink.deleteAddress(key);
    expect(mine()).toEqual([]);
    // Of all links: the loopback's is there too.
    expect(netlink.addresses().some((each) => each.address === (family === "ipv4" ? "127.0.0.1" : "::1"))).toBe(true);
  });

  it.each([
    ["ipv4", "192.0.2.1", 24, "198.51.100.0/24", "192.0.2.9", "192.0.2.8", "0.0.0.0/0"],
    ["ipv6", "2001:db8::1", 64, "2001:db8:5::/48", "2001:db8::9", "2001:db8::8", "::/0"],
  ] as const)(
    "adds, replaces and deletes %s routes",
    (family, address, prefixBits, destination, first, second, all) => {
      const index = makePair();
      netlink.setLink(index, { up: true });
      netlink.addAddress({ index, address, prefixBits, withoutDetection: true });
      const find = (which: string) =>
        netlink.routes().filter((each) => each.destination === which && each.table === 254);
      const route = { destination, metric: 50 };
      netlink.addRoute({ ...route, nextHops: [{ index, gateway: first }], preferredSource: address });
      const [added] = find(destination);
      expect(added).toMatchObject({ family, type: "unicast", protocol: 4, metric: 50, preferredSource: address });
      expect(added?.nextHops).toEqual([{ index, gateway: first, weight: 1 }]);
      netlink.replaceRoute({ ...route, nextHops: [{ index, gateway: second }] });
      expect(find(destination).map((each) => each.nextHops)).toEqual([[{ index, gateway: second, weight: 1 }]]);
      netlink.deleteRoute(route);
      expect(find(destination)).toEqual([]);
      netlink.addRoute({
        destination: all,
        nextHops: [
          { index, gateway: first, weight: 3 },
          { index, gateway: second },
        ],
      });
      const hops = find(all).flatMap((each) => each.nextHops);
      expect(hops).toEqual([
        { index, gateway: first, weight: 3 },
        { index, gateway: second, weight: 1 },
      ]);
      netlink.addRoute({ destination, type: "blackhole", table: 1000 });
      expect(netlink.routes().find((each) => each.table === 1000)).toMatchObject({ destination, type: "blackhole" });
    },
  );

  it.each(["192.0.2.9", "2001:db8::9"])("adds, replaces and deletes the neighbour %s", (address) => {
    const index = makePair();
    netlink.setLink(index, { up: true });
    const mine = () => netlink.neighbours().filter((each) => each.address === address);
    netlink.addNeighbour({ index, address, hardwareAddress: "02:00:00:00:00:09" });
    expect(mine()).toMatchObject([{ index, hardwareAddress: "02:00:00:00:00:09", state: "permanent" }]);
    expect(() => netlink.addNeighbour({ index, address, hardwareAddress: "02:00:00:00:00:0a" })).toThrow(/EEXIST/);
    netlink.replaceNeighbour({ index, address, hardwareAddress: "02:00:00:00:00:0a", state: "stale" });
    expect(mine()).toMatchObject([{ hardwareAddress: "02:00:00:00:00:0a", state: "stale" }]);
    netlink.deleteNeighbour({ index, address });
    expect(mine().filter(({ state }) => state !== "failed" && state !== "none")).toEqual([]);
  });

  it("tells refusals in the kernel's own words", () => {
    const index = makePair();
    netlink.setLink(index, { up: true });
    const hop = (gateway: string) => () =>
      netlink.addRoute({ destination: "198.51.100.0/24", nextHops: [{ index, gateway }] });
    expect(hop("203.0.113.1")).toThrow(
      /netlink request failed: add route 198\.51\.100\.0\/24: ENETUNREACH \(Nexthop has invalid gateway\)/,
    );
    expect(() => netlink.setLink(index, { mtu: 10 })).toThrow(/change link \d+: EINVAL \(.*mtu.*\)/i);
    expect(() => netlink.deleteLink(9999)).toThrow(/delete link 9999: ENODEV/);
    expect(() => netlink.addAddress({ index, address: "192.0.2", prefixBits: 24 })).toThrow(/192\.0\.2/);
    // The socket is as good as before.
    expect(netlink.links()).toHaveLength(2);
  });

  it("gives long lists whole", () => {
    const index = makePair();
    netlink.setLink(index, { up: true });
    for (let i = 0; i < 1000; i++)
      netlink.addRoute({ destination: `10.${i >> 8}.${i & 255}.0/24`, nextHops: [{ index }] });
    const found = netlink.routes().filter((each) => each.destination.startsWith("10."));
    expect(new Set(found.map((each) => each.destination)).size).toBe(1000);
  });

  it("attaches XDP, and replaces only what is expected to be there", () => {
    const index = makePair();
    const collections = [1, 2, 3].map(() => Collection.load(committedSpec("firewall")));
    try {
      const [first, second, third] = collections.map((each) => each.program("firewall"));
      if (first === undefined || second === undefined || third === undefined) throw new Error("no programs");
      for (const [flags, mode] of [
        [XDP_FLAGS_DRV_MODE, "native"],
        [XDP_FLAGS_SKB_MODE, "generic"],
      ] as const) {
        netlink.setXdp(index, { program: first.fd, flags });
        expect(netlink.link(index)?.xdp).toEqual({ mode, programIds: [first.info().id] });
        expect(() => netlink.setXdp(index, { program: third.fd, flags, expected: second.fd })).toThrow(
          /XDP on link \d+: EEXIST \(Active program does not match expected\)/,
        );
        netlink.setXdp(index, { program: second.fd, flags, expected: first.fd });
        expect(netlink.link(index)?.xdp.programIds).toEqual([second.info().id]);
        netlink.setXdp(index, { program: null, flags });
        expect(netlink.link(index)?.xdp).toEqual({ mode: "none", programIds: [] });
      }
    } finally {
      for (const each of collections) each.close();
    }
  });

  it("follows changes, woken by the loop", () => {
    const monitor = open(() => new NetworkMonitor(["link", "address", "route", "neighbour"]));
    const driver = createEpollDriver({ arena: createArena(ARENA_BYTES) });
    const events: NetworkEvent[] = [];
    try {
      driver.watch(monitor.fd, () => monitor.read((event) => events.push(event)));
      driver.turn(0);
      expect(events).toEqual([]);
      const index = makePair();
      netlink.setLink(index, { up: true });
      netlink.addAddress({ index, address: "2001:db8::1", prefixBits: 64, withoutDetection: true });
      const until = (seen: (event: NetworkEvent) => boolean): void => {
        for (let i = 0; i < 100 && !events.some(seen); i++) driver.turn(20);
      };
      // The kernel tells of IPv6 addresses a little later.
      until((each) => each.kind === "address" && each.address.address === "2001:db8::1");
      netlink.addRoute({ destination: "198.51.100.0/24", nextHops: [{ index }] });
      netlink.addNeighbour({ index, address: "198.51.100.1", hardwareAddress: "02:00:00:00:00:09" });
      netlink.deleteNeighbour({ index, address: "198.51.100.1" });
      netlink.deleteLink(index);
      until((each) => each.kind === "link" && each.gone);
      const told = (expected: object): void => expect(events).toContainEqual(expect.objectContaining(expected));
      told({ kind: "link", gone: false, link: expect.objectContaining({ index, name: "left", up: true }) });
      told({ kind: "address", gone: false, address: expect.objectContaining({ address: "2001:db8::1" }) });
      told({ kind: "route", gone: false, route: expect.objectContaining({ destination: "198.51.100.0/24" }) });
      told({ kind: "neighbour", gone: false, neighbour: expect.objectContaining({ address: "198.51.100.1" }) });
      told({ kind: "link", gone: true, link: expect.objectContaining({ index }) });
      driver.unwatch(monitor.fd);
      driver.turn(0);
    } finally {
      driver.dispose();
      monitor.close();
    }
  });

  it("says when there was no room for all changes", () => {
    const monitor = open(() => new NetworkMonitor(["route"], { bufferBytes: 4096 }));
    try {
      const index = makePair();
      netlink.setLink(index, { up: true });
      for (let i = 0; i < 200; i++) netlink.addRoute({ destination: `10.0.${i}.0/24`, nextHops: [{ index }] });
      const kinds: string[] = [];
      monitor.read(({ kind }) => kinds.push(kind));
      expect(kinds).toContain("overrun");
      expect(kinds.length).toBeLessThan(200);
      netlink.addRoute({ destination: "10.1.0.0/24", nextHops: [{ index }] });
      const later: NetworkEvent[] = [];
      monitor.read((event) => later.push(event));
      expect(later).toMatchObject([{ kind: "route", gone: false, route: { destination: "10.1.0.0/24" } }]);
    } finally {
      monitor.close();
    }
  });
});
