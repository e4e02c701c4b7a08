import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { parseKey, makeValue } from "#core/map-codec.ts";
import { boottimeNs } from "#sys/clock.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import type {
  Declaration,
  FirewallDeclaration,
  InterfaceDeclaration,
  MapDeclaration,
} from "#bpf/manager/declarations.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { setXdp } from "#bpf/netlink/interfaces.ts";
import { Datagrams } from "#test/support/datagrams.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";
import { frame } from "#test/support/packets.ts";

const FLOOD = path.join(import.meta.dirname, "../support/flood.ts");

/** enum xdp_action */
const XDP_DROP = 1;
const XDP_PASS = 2;

const BLOCKLIST: MapDeclaration = {
  name: "blocklist",
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  valueBytes: 8,
  maxEntries: 16_384,
};

function declare(
  interfaces: readonly InterfaceDeclaration[],
  maps: readonly MapDeclaration[] = [BLOCKLIST],
): Declaration {
  return { maps, kernel: { interfaces, steering: [] }, listeners: [] };
}

describeKernel("firewall, test-run", () => {
  let collection: Collection;
  /** `ago`: in nanoseconds, what is counted from. */
  const deny = (prefix: string, ttlSeconds?: number, ago = 0n): void => put("firewall_deny", prefix, ttlSeconds, ago);

  function put(map: string, prefix: string, ttlSeconds?: number, ago = 0n): void {
    const value = makeValue(BLOCKLIST, ttlSeconds === undefined ? {} : { ttlSeconds }, boottimeNs() - ago);
    collection.map(map).update(parseKey(BLOCKLIST, prefix), value);
  }

  function verdict(packet: Buffer): number {
    return collection.program("firewall").testRun(packet).returned;
  }

  beforeEach(() => {
    collection = Collection.load(committedSpec("firewall"), { globals: { firewall_config: { use_allow_list: 1 } } });
  });
  afterEach(() => collection.close());

  it.each([
    ["203.0.113.7", [], XDP_DROP],
    ["203.0.113.7", [0x8100], XDP_DROP],
    ["203.0.113.7", [0x88a8, 0x8100], XDP_DROP],
    ["203.0.113.8", [], XDP_PASS],
    ["198.51.100.200", [], XDP_DROP],
    ["198.51.100.100", [], XDP_PASS],
    ["2001:db8:1::5", [], XDP_DROP],
    ["2001:db8:1::5", [0x8100], XDP_DROP],
    ["2001:db8:2::5", [], XDP_PASS],
    // Three tags are more than is looked through.
    ["203.0.113.7", [0x8100, 0x8100, 0x8100], XDP_PASS],
  ] as const)("judges %s behind tags %j", (source, tags, expected) => {
    for (const each of ["203.0.113.7", "198.51.100.128/25", "2001:db8:1::/48"]) deny(each);
    expect(verdict(frame(source, tags))).toBe(expected);
  });

  it("never reads beyond a frame, at any length", () => {
    deny("0.0.0.0/0");
    deny("2001:db8::/32");
    for (const [packet, header] of [
      [frame("203.0.113.7", [0x8100]), 14 + 4 + 20],
      [frame("2001:db8::1", [0x88a8, 0x8100]), 14 + 8 + 40],
    ] as const) {
      for (let length = 14; length < packet.length; length++) {
        expect(verdict(packet.subarray(0, length)), `${length} bytes`).toBe(length < header ? XDP_PASS : XDP_DROP);
      }
    }
  });

  it("lets void entries pass, and finds what they hide", () => {
    deny("203.0.113.0/24");
    deny("203.0.113.7", 60);
    deny("192.0.2.1", 60);
    expect([verdict(frame("203.0.113.7")), verdict(frame("192.0.2.1"))]).toEqual([XDP_DROP, XDP_DROP]);
    deny("203.0.113.7", 60, 60_000_000_001n);
    deny("192.0.2.1", 60, 60_000_000_001n);
    expect([verdict(frame("203.0.113.7")), verdict(frame("192.0.2.1"))]).toEqual([XDP_DROP, XDP_PASS]);
  });

  it("asks the allow list first", () => {
    deny("203.0.113.0/24");
    put("firewall_allow", "203.0.113.7");
    expect([verdict(frame("203.0.113.7")), verdict(frame("203.0.113.8"))]).toEqual([XDP_PASS, XDP_DROP]);
  });

  it("judges alike over 10 000 prefixes, and says what a packet takes", () => {
    collection.close();
    collection = Collection.load(committedSpec("firewall"));
    for (let i = 0; i < 10_000; i++)
      deny(i % 2 === 0 ? `10.${i >> 8}.${i & 255}.0/24` : `2001:db8:${i.toString(16)}::/48`);
    for (const [what, source, expected] of [
      ["IPv4, denied", "10.4.4.9", XDP_DROP],
      ["IPv4, passed", "192.0.2.1", XDP_PASS],
      ["IPv6, denied", "2001:db8:65::9", XDP_DROP],
    ] as const) {
      expect(verdict(frame(source))).toBe(expected);
      const rounds = [1, 2, 3].map(
        () => collection.program("firewall").testRun(frame(source), { repeat: 300_000 }).durationNs,
      );
      process.stdout.write(`firewall, 10 000 prefixes, ${what}: ${Math.min(...rounds)} ns a packet\n`);
    }
  });
});

describeKernel("firewall, on a device", () => {
  let client: Namespace;
  let gateway: Namespace;
  let manager: KernelManager;
  const device = "gw0";

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("client");
    gateway = new Namespace("gateway");
    connect(client, { device: "cl0", addresses: ["10.77.1.2/24", "10.77.1.3/24", "fd00:77:1::2/64"] }, gateway, {
      device,
      addresses: ["10.77.1.1/24", "fd00:77:1::1/64"],
    });
  });
  afterAll(() => {
    client.destroy();
    gateway.destroy();
  });
  beforeEach(() => {
    manager = KernelManager.open();
  });
  afterEach(() => manager.close());

  const inside = <T>(work: () => T): T => inNetworkNamespace(gateway.path, work);
  const commit = (declaration: Declaration): void => inside(() => manager.commit(manager.prepare(declaration)));
  const entry = (
    mode: InterfaceDeclaration["mode"],
    firewall: Partial<FirewallDeclaration> = {},
  ): InterfaceDeclaration => ({
    device,
    mode,
    firewall: { blocklist: 0, limits: [], synsPerSecond: 0, ...firewall },
  });

  /** Whether a packet from there arrives. */
  function arrives(source: string): boolean {
    const v6 = source.includes(":");
    const target = v6 ? "[fd00:77:1::1]" : "10.77.1.1";
    const receiver = new Datagrams(gateway, `${target}:7000`);
    const sender = new Datagrams(client, `${v6 ? `[${source}]` : source}:0`, `${target}:7000`);
    try {
      sender.send();
      return receiver.drainUpTo(1) === 1;
    } finally {
      sender.close();
      receiver.close();
    }
  }

  it.each(["native", "generic"] as const)(
    "drops who is listed, %s, from the next packet until the entry is void",
    async (mode) => {
      commit(declare([entry(mode)]));
      expect(arrives("10.77.1.2")).toBe(true);
      manager.put("blocklist", "10.77.1.2", { ttlSeconds: 60 });
      manager.put("blocklist", "fd00:77:1::2/128", {});
      expect(arrives("10.77.1.2")).toBe(false);
      expect(arrives("fd00:77:1::2")).toBe(false);
      expect(arrives("10.77.1.3")).toBe(true);
      manager.put("blocklist", "10.77.1.2", { ttlSeconds: 0.1 });
      await sleep(120);
      expect(arrives("10.77.1.2")).toBe(true);
      expect(manager.delete("blocklist", "fd00:77:1::2/128")).toBe(true);
      expect(arrives("fd00:77:1::2")).toBe(true);
      const status = inside(() => manager.status());
      expect(status).toMatchObject({ interfaces: [{ device, mode, programs: [{ name: "firewall" }] }], foreign: [] });
      expect(status.interfaces[0]?.firewall?.counters.denied).toBeGreaterThanOrEqual(2);
      expect(status.interfaces[0]?.firewall?.counters.expired).toBeGreaterThanOrEqual(1);
      expect(manager.sweep()).toBe(1);
      expect(manager.entries("blocklist", 10)).toEqual([]);
    },
  );

  it("chooses native by itself, and changes mode on request", () => {
    commit(declare([entry("auto")]));
    expect(inside(() => manager.status()).interfaces[0]?.mode).toBe("native");
    commit(declare([entry("generic")]));
    expect(inside(() => manager.status()).interfaces[0]?.mode).toBe("generic");
    commit(declare([]));
    expect(gateway.ip("link", "show", device)).not.toContain("xdp");
  });

  it("keeps the entries of an unchanged map, and replaces the program behind its link when the map changes", () => {
    commit(declare([entry("native")]));
    manager.put("blocklist", "10.77.1.2", {});
    const link = inside(() => manager.status()).interfaces[0]?.programs[0]?.linkId;
    commit(declare([entry("native")]));
    expect(manager.entries("blocklist", 10)).toEqual([{ key: "10.77.1.2/32", ttlSeconds: null }]);
    commit(declare([entry("native")], [{ ...BLOCKLIST, maxEntries: 99 }]));
    const after = inside(() => manager.status());
    expect(after.maps).toMatchObject([{ entries: 0, maxEntries: 99 }]);
    expect(after.interfaces[0]?.programs[0]?.linkId).toBe(link);
    expect(arrives("10.77.1.2")).toBe(true);
  });

  it("replaces the program under a flood of 30 000 packets, losing none and letting none through", async () => {
    commit(declare([entry("native")]));
    manager.put("blocklist", "10.77.1.2", {});
    const [good, bad] = [new Datagrams(gateway, "10.77.1.1:7001"), new Datagrams(gateway, "10.77.1.1:7002")];
    const flood = client.spawn(
      process.execPath,
      FLOOD,
      "15000",
      "10.77.1.3:0",
      "10.77.1.1:7001",
      "10.77.1.2:0",
      "10.77.1.1:7002",
    );
    let flooding = true;
    const ended = once(flood, "close").then(() => (flooding = false));
    const ids = new Set<number | undefined>();
    let arrived = 0;
    try {
      for (let i = 0; flooding; i++) {
        // A second map makes another program; the first map, with its entries, stays.
        const allow = { ...BLOCKLIST, name: `allow${i}` };
        commit(declare([entry("native", { allowlist: 1 })], [BLOCKLIST, allow]));
        ids.add(inside(() => manager.status()).interfaces[0]?.programs[0]?.id);
        arrived += good.drain();
        await sleep(1);
      }
      arrived += good.drainUpTo(15_000 - arrived);
      // On a busy machine the device's ring can run full; what it refused never came to a program.
      const refused = client.dropped("cl0");
      expect(arrived).toBeGreaterThanOrEqual(15_000 - refused);
      expect(refused).toBeLessThan(1000);
      expect(bad.drainUpTo(1)).toBe(0);
      expect(ids.size).toBeGreaterThan(10);
    } finally {
      flood.kill("SIGKILL");
      await ended;
      good.close();
      bad.close();
    }
  });

  it("leaves everything as it was when something is refused", () => {
    commit(declare([entry("native")]));
    manager.put("blocklist", "10.77.1.2", {});
    const before = inside(() => manager.status());
    const other = { ...BLOCKLIST, name: "other", maxEntries: 5 };
    const refused: [Declaration, RegExp][] = [
      [
        declare([entry("native"), { ...entry("native"), device: "nope0" }], [BLOCKLIST, other]),
        /no such network interface: nope0/,
      ],
      [declare([entry("native")], [{ ...BLOCKLIST, type: "hash" }]), /no lpm-trie/],
      [
        {
          ...declare([entry("native")]),
          kernel: { interfaces: [], steering: [{ cgroup: "/nowhere", ports: [80], listener: 0, leaseMs: 1000 }] },
          listeners: [{ name: "l", addresses: ["127.0.0.1:1"] }],
        },
        /\/nowhere/,
      ],
    ];
    for (const [declaration, reason] of refused) {
      expect(() => commit(declaration)).toThrow(reason);
      expect(inside(() => manager.status())).toMatchObject({
        ...before,
        interfaces: [{ programs: before.interfaces[0]?.programs }],
      });
    }
    expect(manager.entries("blocklist", 10)).toHaveLength(1);
  });

  it("touches no program of others, shows it, and undoes what it had begun", () => {
    const second = new Namespace("second");
    connect(second, { device: "se0", addresses: [] }, gateway, { device: "gw1", addresses: [] });
    const foreign = Collection.load(committedSpec("firewall"));
    try {
      inside(() => setXdp("gw1", { program: foreign.program("firewall").fd, flags: 4 }));
      const theirs = foreign.program("firewall").info().id;
      expect(() => commit(declare([entry("native"), { ...entry("native"), device: "gw1" }]))).toThrow(/EBUSY.*gw1/);
      expect(gateway.ip("link", "show", device)).not.toContain("xdp");
      expect(gateway.ip("link", "show", "gw1")).toContain(`prog/xdp id ${theirs}`);
      inside(() => setXdp("gw1", { program: null, flags: 4 }));
      commit(declare([entry("native"), { ...entry("generic"), device: "gw1" }]));
      inside(() =>
        manager
          .status()
          .interfaces.forEach((each) => expect(each.mode).toBe(each.device === "gw1" ? "generic" : "native")),
      );
    } finally {
      foreign.close();
      second.destroy();
    }
  });

  it("notices that a device is another one of the same name", () => {
    const second = new Namespace("again");
    const make = (): void =>
      connect(second, { device: "se0", addresses: [] }, gateway, { device: "gw1", addresses: [] });
    try {
      make();
      const declaration = declare([{ ...entry("native"), device: "gw1" }]);
      commit(declaration);
      gateway.ip("link", "delete", "gw1");
      expect(inside(() => manager.status()).interfaces).toHaveLength(1);
      make();
      commit(declaration);
      expect(gateway.ip("link", "show", "gw1")).toContain("prog/xdp id");
    } finally {
      second.destroy();
    }
  });
});

it("leaves no namespace behind", () => {
  const left = fs.existsSync("/run/netns")
    ? fs.readdirSync("/run/netns").filter((name) => name.startsWith(`pst-${process.pid}-`))
    : [];
  expect(left).toEqual([]);
});
