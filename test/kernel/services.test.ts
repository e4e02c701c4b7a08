import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Declaration } from "#bpf/manager/declarations.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import { BalancedNetwork, ENDPOINTS, VIP4, type Clients } from "#test/support/balanced-network.ts";
import { PORT, service } from "#test/support/balancer-rig.ts";
import { removeLeftoverBpffs, TestBpffs } from "#test/support/bpffs.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const BLOCKLIST = {
  name: "blocklist",
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  valueBytes: 8,
  maxEntries: 64,
} as const;

function declare(services: readonly ServiceDeclaration[], firewall = false): Declaration {
  const interfaces = firewall
    ? [{ device: "gw0", mode: "native" as const, firewall: { blocklist: 0, limits: [], synsPerSecond: 0 } }]
    : [];
  return { maps: firewall ? [BLOCKLIST] : [], kernel: { interfaces, steering: [], services }, listeners: [] };
}

describeKernel("services of the manager", () =>
  describe("between namespaces", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let manager: KernelManager;
    let keys = 0;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      await Promise.all([network.serve("one", PORT), network.serve("two", PORT)]);
      clients = network.clients();
    });
    afterAll(() => network.destroy());
    beforeEach(() => {
      manager = KernelManager.open();
    });
    afterEach(() => manager.close());

    const commit = (declaration: Declaration): void =>
      network.inside(() => manager.commit(manager.prepare(declaration)));
    const ask = (): Promise<string> =>
      clients.ask({ op: "datagram", key: `s${++keys}`, host: VIP4, port: PORT, text: "x" });
    const places = (): string[] =>
      network.inside(() => manager.status()).programs.map(({ name, attachedTo }) => `${name} ${attachedTo}`);

    it("stand behind the firewall of their device, come and go without it", async () => {
      commit(declare([service("IPv4", "udp", "dsr")], true));
      expect(await ask()).toMatch(/^(one|two) x$/);
      expect(places()).toEqual(["firewall xdp:gw0 (native)", "balancer xdp:gw0 (native)"]);
      manager.put("blocklist", "10.77.1.2", {});
      expect(await ask()).toBe("timeout");
      manager.delete("blocklist", "10.77.1.2");
      commit(declare([], true));
      expect(places()).toEqual(["firewall xdp:gw0 (native)"]);
      commit(declare([service("IPv4", "udp", "dsr")]));
      expect(places()).toEqual(["balancer xdp:gw0 (native)"]);
      expect(await ask()).toMatch(/^(one|two) x$/);
      commit(declare([]));
      expect(places()).toEqual([]);
    });

    it("go on where a gateway was that is gone: open connections by NAT, endpoints and all", async () => {
      removeLeftoverBpffs();
      const bpffs = new TestBpffs();
      const before = KernelManager.open({ pins: bpffs.directory });
      const nat = service("IPv4", "tcp", "nat");
      const on = (which: KernelManager, declaration: Declaration): void =>
        network.inside(() => which.commit(which.prepare(declaration)));
      try {
        on(before, declare([nat]));
        const open = { key: "kept", host: VIP4, port: PORT } as const;
        const label = await clients.ask({ op: "open", ...open });
        expect(label).toMatch(/^(one|two)$/);
        // The next one takes up what is pinned while the packets go on; then the first one's descriptors go.
        const after = KernelManager.open({ pins: bpffs.directory });
        try {
          // Another endpoint in front moves nobody.
          const [first, ...rest] = nat.endpoints;
          const more = first === undefined ? rest : [...rest, { ...first, port: PORT + 1, drain: true }, first];
          on(after, declare([{ ...nat, endpoints: more }]));
          network.inside(() => before.letGo());
          expect(await clients.ask({ op: "say", key: "kept", text: "still here" })).toBe("still here");
          const { counters } = network.inside(() => after.status());
          expect(counters.find(({ name }) => name === "kernel_service_flows")?.samples).toMatchObject([{ value: 1 }]);
          expect(await clients.ask({ op: "open", key: "new", host: VIP4, port: PORT })).toMatch(/^(one|two)$/);
        } finally {
          network.inside(() => after.close());
        }
      } finally {
        bpffs.destroy();
      }
    });

    it("leave everything as it was when something is refused", async () => {
      commit(declare([service("IPv4", "udp", "dsr")]));
      await ask();
      const refused: [Declaration, RegExp][] = [
        [declare([service("IPv4", "udp", "dsr", { devices: ["nope0"] })]), /nope0/],
        [declare([service("IPv4", "udp", "dsr"), service("IPv4", "udp", "nat", { name: "b" })]), /two services/],
        [declare([service("IPv4", "udp", "nat", { endpoints: service("IPv6", "udp", "nat").endpoints })]), /family/],
      ];
      for (const [declaration, message] of refused) expect(() => commit(declaration)).toThrow(message);
      expect(await ask()).toMatch(/^(one|two) x$/);
      const { counters } = network.inside(() => manager.status());
      expect(counters.find(({ name }) => name === "kernel_service_flows")?.samples).toEqual([
        { labels: { service: "echo" }, value: 2 },
      ]);
    });

    it("are told of: facts for people, counters by service, endpoint and reason", async () => {
      const both = service("IPv4", "udp", "dsr");
      commit(declare([{ ...both, endpoints: both.endpoints.map((each, i) => ({ ...each, drain: i === 0 })) }]));
      expect(await ask()).toBe("two x");
      const { facts, counters } = network.inside(() => manager.status());
      expect(facts).toContainEqual(
        `service echo ${VIP4}:${PORT}/udp: dsr on gw0; 1 of 2 endpoints get new flows; ${ENDPOINTS.one[0]}:${PORT} is draining`,
      );
      const samples = (name: string) => counters.find((each) => each.name === name)?.samples;
      expect(samples("kernel_service_endpoint_flows")).toEqual([
        { labels: { service: "echo", endpoint: `${ENDPOINTS.one[0]}:${PORT}` }, value: 0 },
        { labels: { service: "echo", endpoint: `${ENDPOINTS.two[0]}:${PORT}` }, value: 1 },
      ]);
      expect(samples("kernel_service_endpoint_active")?.map(({ value }) => value)).toEqual([0, 1]);
      expect(samples("kernel_service_exceptions")).toContainEqual({
        labels: { service: "echo", reason: "no_endpoint" },
        value: 0,
      });
    });
  }),
);
