import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { XdpChain } from "#bpf/kernel/xdp-chain.ts";
import { Balancer, BalancerProgram } from "#bpf/programs/balancer/balancer.ts";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import { BalancedNetwork, DEVICES, ENDPOINTS, VIP4, VIP6, type Clients } from "#test/support/balanced-network.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const PORT = 7000;
type Family = "IPv4" | "IPv6";

/** The balancer on its devices, as the manager would have it, without the manager. */
class Rig {
  readonly balancer = new Balancer();
  readonly #network: BalancedNetwork;
  readonly #chains: XdpChain[] = [];
  readonly #programs: BalancerProgram[] = [];

  constructor(network: BalancedNetwork) {
    this.#network = network;
  }

  declare(...services: ServiceDeclaration[]): void {
    this.#network.inside(() => {
      const tables = this.balancer.plan(services);
      this.balancer.put(tables);
      for (const device of new Set(services.flatMap(({ devices }) => devices))) {
        if (this.#chains.some((chain) => chain.device === device)) continue;
        const chain = new XdpChain(device);
        const program = new BalancerProgram(this.balancer.maps, this.balancer.bitOf(tables, device), chain.map);
        this.#chains.push(chain);
        this.#programs.push(program);
        chain.change({ balancer: program.program }, "native", []);
      }
    });
  }

  counters(name = "echo") {
    const status = this.balancer.status().find((each) => each.name === name);
    if (status === undefined) throw new Error(`no service ${name}`);
    return status;
  }

  close(): void {
    for (const each of [...this.#chains, ...this.#programs, this.balancer]) each.close();
  }
}

function service(
  family: Family,
  protocol: "tcp" | "udp",
  mode: "dsr" | "nat",
  change: Partial<ServiceDeclaration> = {},
): ServiceDeclaration {
  const index = family === "IPv4" ? 0 : 1;
  return {
    name: "echo",
    address: [VIP4, VIP6][index] ?? "",
    port: PORT,
    protocol,
    mode,
    devices: mode === "dsr" ? ["gw0"] : DEVICES,
    flowTimeoutMs: 30_000,
    endpoints: Object.values(ENDPOINTS).map((addresses) => ({
      address: addresses[index] ?? "",
      port: PORT,
      weight: 1,
      drain: false,
    })),
    ...change,
  };
}

// A suite within the suite: its own end comes before what is checked at the end of the outer one.
describeKernel("balancer", () =>
  describe("between namespaces", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let rig: Rig;
    let keys = 0;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      await Promise.all([network.serve("one", PORT), network.serve("two", PORT)]);
      clients = network.clients();
    });
    afterAll(() => network.destroy());
    beforeEach(() => {
      rig = new Rig(network);
    });
    afterEach(() => rig.close());

    const host = (family: Family): string => (family === "IPv4" ? VIP4 : VIP6);

    /** Connections or datagram sockets that stay open: by key, the label of the endpoint they have. */
    async function openMany(protocol: "tcp" | "udp", family: Family, count: number): Promise<Map<string, string>> {
      const found = new Map<string, string>();
      for (let i = 0; i < count; i++) {
        const key = `k${++keys}`;
        const to = { key, host: host(family), port: PORT };
        const text =
          protocol === "tcp"
            ? await clients.ask({ op: "open", ...to })
            : await clients.ask({ op: "datagram", text: "hello", ...to });
        found.set(key, text.split(" ")[0] ?? "");
      }
      return found;
    }

    const closeAll = async (all: Iterable<string>): Promise<void> => {
      for (const key of all) await clients.ask({ op: "close", key });
    };

    describe.each(["dsr", "nat"] as const)("%s", (mode) => {
      it.each([
        ["tcp", "IPv4"],
        ["tcp", "IPv6"],
        ["udp", "IPv4"],
        ["udp", "IPv6"],
      ] as const)("spreads %s over %s, and keeps flows where they are", async (protocol, family) => {
        rig.declare(service(family, protocol, mode));
        const open = await openMany(protocol, family, 24);
        expect([...new Set(open.values())].toSorted()).toEqual(["one", "two"]);
        for (const [key, label] of open) {
          const to = { key, host: host(family), port: PORT };
          if (protocol === "tcp") expect(await clients.ask({ op: "say", key, text: "again" })).toBe("again");
          else expect(await clients.ask({ op: "datagram", text: "again", ...to })).toBe(`${label} again`);
        }
        const { counters, endpoints } = rig.counters();
        expect(counters.flows).toBe(24);
        expect(endpoints.reduce((sum, each) => sum + each.counters.flows, 0)).toBe(24);
        expect(counters.returnPackets > 0).toBe(mode === "nat");
        await closeAll(open.keys());
      });

      it.each(["IPv4", "IPv6"] as const)("carries bulk over %s, telling the client what fits", async (family) => {
        rig.declare(service(family, "tcp", mode));
        const key = `k${++keys}`;
        await clients.ask({ op: "open", key, host: host(family), port: PORT });
        expect(await clients.ask({ op: "bulk", key, bytes: 300_000 })).toBe("same");
        const { reasons } = rig.counters().counters;
        // A header more does not fit a link of the same size; NAT adds nothing.
        expect(reasons.tooBig > 0).toBe(mode === "dsr");
        await closeAll([key]);
      });
    });

    it("keeps the flows of a draining endpoint and gives it no new ones", async () => {
      const both = service("IPv4", "tcp", "dsr");
      rig.declare(both);
      const open = await openMany("tcp", "IPv4", 20);
      rig.declare({ ...both, endpoints: both.endpoints.map((each, i) => ({ ...each, drain: i === 0 })) });
      for (const key of open.keys()) expect(await clients.ask({ op: "say", key, text: "still" })).toBe("still");
      const later = await openMany("tcp", "IPv4", 20);
      expect(new Set(later.values())).toEqual(new Set(["two"]));
      await closeAll([...open.keys(), ...later.keys()]);
    });

    it("takes a dead endpoint's flows from it, and gives it new ones when it is back", async () => {
      rig.declare(service("IPv4", "udp", "dsr"));
      const open = await openMany("udp", "IPv4", 20);
      expect(rig.balancer.setHealth("echo", `${ENDPOINTS.one[0]}:${PORT}`, false)).toBe(true);
      for (const key of open.keys()) {
        const text = await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "now" });
        expect(text).toBe("two now");
      }
      expect(rig.balancer.setHealth("echo", `${ENDPOINTS.one[0]}:${PORT}`, true)).toBe(true);
      const later = await openMany("udp", "IPv4", 20);
      expect([...new Set(later.values())].toSorted()).toEqual(["one", "two"]);
      await closeAll([...open.keys(), ...later.keys()]);
    });

    it("drops what no endpoint is there for, and says so", async () => {
      const none = service("IPv4", "udp", "dsr", { endpoints: [] });
      rig.declare(none);
      expect(await clients.ask({ op: "datagram", key: `k${++keys}`, host: VIP4, port: PORT, text: "x" })).toBe(
        "timeout",
      );
      expect(rig.counters().counters.reasons.noEndpoint).toBe(1);
    });

    it("forgets silent flows", async () => {
      const short = service("IPv4", "udp", "dsr", { flowTimeoutMs: 200 });
      rig.declare(short);
      const open = await openMany("udp", "IPv4", 1);
      await sleep(400);
      for (const key of open.keys()) await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });
      expect(rig.counters().counters.flows).toBe(2);
      await closeAll(open.keys());
    });
  }),
);
