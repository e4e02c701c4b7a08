import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { BalancedNetwork, ENDPOINTS, VIP4, VIP6, type Clients } from "#test/support/balanced-network.ts";
import { BalancerRig, PORT, service, type Family } from "#test/support/balancer-rig.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

// A suite within the suite: its own end comes before what is checked at the end of the outer one.
describeKernel("balancer", () =>
  describe("between namespaces", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let rig: BalancerRig;
    let keys = 0;

    beforeAll(async () => {
      removeLeftovers();
      network = new BalancedNetwork();
      await Promise.all([network.serve("one", PORT), network.serve("two", PORT)]);
      clients = network.clients();
    });
    afterAll(() => network.destroy());
    beforeEach(() => {
      rig = new BalancerRig(network);
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
        const { counters, endpoints } = rig.status();
        // Connections of the test before may still be saying goodbye, which makes them flows of this service.
        expect(counters.flows).toBeGreaterThanOrEqual(24);
        expect(endpoints.reduce((sum, each) => sum + each.counters.flows, 0)).toBe(counters.flows);
        expect(counters.returnPackets > 0).toBe(mode === "nat");
        await closeAll(open.keys());
      });

      it.each(["IPv4", "IPv6"] as const)("carries bulk over %s, telling the client what fits", async (family) => {
        rig.declare(service(family, "tcp", mode));
        const key = `k${++keys}`;
        await clients.ask({ op: "open", key, host: host(family), port: PORT });
        expect(await clients.ask({ op: "bulk", key, bytes: 300_000 })).toBe("same");
        const { reasons } = rig.status().counters;
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
      expect(rig.status().counters.reasons.noEndpoint).toBe(1);
    });

    it("gives a new flow the place of the one in its set that was silent for longest", async () => {
      rig.declare(service("IPv4", "udp", "dsr"));
      const open = await openMany("udp", "IPv4", 1);
      const [key = ""] = open.keys();
      const flows = rig.balancer.maps.map("balancer_flows");
      const [set, words] = flows.entries().find(([, each]) => each.some((byte) => byte !== 0)) ?? [];
      if (set === undefined || words === undefined) throw new Error("the flow is nowhere");
      const at = Array.from({ length: 8 }, (_, way) => way * 8).find((way) => words.readBigUInt64LE(way) !== 0n) ?? 0;
      const ours = words.readBigUInt64LE(at);
      const [tag, seen] = [ours >> 40n, ours & 0xfffffn];
      // Eight others, the fourth of them the oldest; what they have besides is ours.
      const others = [1n, 4n, 2n, 9n, 3n, 1n, 0n, 5n].map(
        (age, i) => (ours & 0xff_fff0_0000n) | ((tag ^ BigInt(i + 1)) << 40n) | ((seen - age) & 0xfffffn),
      );
      others.forEach((word, way) => words.writeBigUInt64LE(word, way * 8));
      flows.update(set, words);
      await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });
      expect(rig.status().counters.flows).toBe(2);
      const after = flows.lookup(set) ?? Buffer.alloc(64);
      const tags = Array.from({ length: 8 }, (_, way) => after.readBigUInt64LE(way * 8) >> 40n);
      expect(tags).toEqual(others.map((word, way) => (way === 3 ? tag : word >> 40n)));
      await closeAll([key]);
    });

    it("forgets silent flows", async () => {
      const short = service("IPv4", "udp", "dsr", { flowTimeoutMs: 200 });
      rig.declare(short);
      const open = await openMany("udp", "IPv4", 1);
      await sleep(400);
      for (const key of open.keys()) await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });
      expect(rig.status().counters.flows).toBe(2);
      await closeAll(open.keys());
    });
  }),
);
