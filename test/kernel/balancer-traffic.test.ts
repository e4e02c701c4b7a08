import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseAddress, parseIp } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import { AF_INET, AF_INET6, close, connect, send, socket } from "#sys/socket.ts";
import {
  BalancedNetwork,
  ENDPOINTS,
  VIP4,
  VIP6,
  type Clients,
  type EndpointLabel,
} from "#test/support/balanced-network.ts";
import { BalancerRig, PORT, service, type Family } from "#test/support/balancer-rig.ts";
import { Datagrams } from "#test/support/datagrams.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { removeLeftovers } from "#test/support/netns.ts";

const FLOOD = path.join(import.meta.dirname, "../support/flood.ts");
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;
const IPPROTO_UDP = 17;
const IPPROTO_ICMPV6 = 58;
const MTU = 1300;
/** A set of the flow table in which there is nobody. */
const NO_FLOWS = Buffer.alloc(64);
const LABELS = Object.keys(ENDPOINTS) as EndpointLabel[];

/** "Too big", quoting a datagram of the service to the client, as a router on the way would send it. */
function tooBig(family: Family, clientPort: number): Buffer {
  const [from, to] = family === "IPv4" ? [VIP4, "10.77.1.2"] : [VIP6, "fd00:77:1::2"];
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(PORT, 0);
  udp.writeUInt16BE(clientPort, 2);
  udp.writeUInt16BE(1400, 4);
  udp.writeUInt16BE(0x1234, 6);
  if (family === "IPv6") {
    const icmp = Buffer.from([2, 0, 0, 0, 0, 0, MTU >> 8, MTU & 255]);
    const ip = Buffer.alloc(40);
    ip[0] = 0x60;
    ip.writeUInt16BE(1400, 4);
    ip[6] = IPPROTO_UDP;
    ip[7] = 63;
    ip.set(parseIp(from), 8);
    ip.set(parseIp(to), 24);
    // The kernel takes the checksum of what a raw socket of ICMPv6 sends.
    return Buffer.concat([icmp, ip, udp]);
  }
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.writeUInt16BE(1420, 2);
  ip.writeUInt16BE(0x4000, 6);
  ip[8] = 63;
  ip[9] = IPPROTO_UDP;
  ip.set(parseIp(from).subarray(12), 12);
  ip.set(parseIp(to).subarray(12), 16);
  ip.writeUInt16BE(checksum(ip), 10);
  const error = Buffer.concat([Buffer.from([3, 4, 0, 0, 0, 0, MTU >> 8, MTU & 255]), ip, udp]);
  error.writeUInt16BE(checksum(error), 2);
  return error;
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

describeKernel("balancer under traffic", () =>
  describe("between namespaces", () => {
    let network: BalancedNetwork;
    let clients: Clients;
    let rig: BalancerRig;
    let port = 20_000;

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

    function sendRaw(family: Family, bytes: Buffer): void {
      const v4 = family === "IPv4";
      const fd = inNetworkNamespace(network.client.path, () =>
        socket(v4 ? AF_INET : AF_INET6, SOCK_RAW, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6),
      );
      try {
        connect(fd, parseAddress(v4 ? `${VIP4}:0` : `[${VIP6}]:0`));
        expect(send(fd, Number(addressOf(bytes)), bytes.length)).toBe(bytes.length);
      } finally {
        close(fd);
      }
    }

    /** What an endpoint's kernel has learnt about the way to an address. */
    function pathMtu(label: EndpointLabel, to: string): number | null {
      const family = to.includes(":") ? ["-6"] : [];
      const found = network.endpoints[label].ip(...family, "route", "get", to);
      return Number(/mtu (\d+)/.exec(found)?.[1] ?? 0) || null;
    }

    it.each([
      ["dsr", "IPv4"],
      ["dsr", "IPv6"],
      ["nat", "IPv4"],
      ["nat", "IPv6"],
    ] as const)("%s: delivers %s too-big to the endpoint that owns the flow, and to no other", async (mode, family) => {
      rig.declare(service(family, "udp", mode));
      for (const label of LABELS) network.endpoints[label].ip("route", "flush", "cache");
      for (const label of LABELS) network.endpoints[label].ip("-6", "route", "flush", "cache");
      const key = `e${++port}`;
      const host = family === "IPv4" ? VIP4 : VIP6;
      const text = await clients.ask({ op: "datagram", key, host, port: PORT, text: "hi", localPort: port });
      const owner = text.split(" ")[0] as EndpointLabel;
      expect(LABELS).toContain(owner);
      sendRaw(family, tooBig(family, port));
      await sleep(50);
      expect(rig.status().counters.reasons.icmpError).toBe(1);
      for (const label of LABELS) {
        const network3 = label === "one" ? 2 : 3;
        const balancer = family === "IPv4" ? `10.77.${network3}.1` : `fd00:77:${network3}::1`;
        const client = family === "IPv4" ? "10.77.1.2" : "fd00:77:1::2";
        // With NAT the balancer is the endpoint's client.
        expect(pathMtu(label, mode === "nat" ? balancer : client), label).toBe(label === owner ? MTU : null);
      }
      await clients.ask({ op: "close", key });
    });

    it.each(["IPv4", "IPv6"] as const)("nat: tells the %s client what its endpoint's kernel says", async (family) => {
      const closed = service(family, "udp", "nat");
      rig.declare({ ...closed, endpoints: closed.endpoints.map((each) => ({ ...each, port: PORT + 1 })) });
      const host = family === "IPv4" ? VIP4 : VIP6;
      const ask = { op: "datagram", key: `e${++port}`, host, port: PORT, text: "hi", localPort: port } as const;
      await clients.ask(ask);
      // Nobody listens there: "port unreachable" came back, quoting what the client has sent.
      expect(rig.status().counters.reasons.icmpError).toBeGreaterThan(0);
      expect(await clients.ask({ ...ask, key: `${ask.key}b`, localPort: 0, op: "refused" })).toBe(
        "error: ECONNREFUSED",
      );
      await clients.ask({ op: "close", key: ask.key });
    });

    it("moves few flows when a weight changes, and none that is known", async () => {
      const both = service("IPv4", "udp", "dsr");
      rig.declare(both);
      const before = new Map<string, string>();
      for (let i = 0; i < 60; i++) {
        const key = `w${++port}`;
        const text = await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x", localPort: port });
        before.set(key, text);
      }
      rig.declare({ ...both, endpoints: both.endpoints.map((each, i) => ({ ...each, weight: i === 0 ? 3 : 2 })) });
      for (const [key, text] of before)
        expect(await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" })).toBe(text);
      expect(rig.status().counters.flows).toBe(60);
      // Forgotten, they are where the new ring says: the heavier one gains a tenth, and what it did not gain stays.
      rig.close();
      rig = new BalancerRig(network);
      rig.declare({ ...both, endpoints: both.endpoints.map((each, i) => ({ ...each, weight: i === 0 ? 3 : 2 })) });
      let [gained, lost] = [0, 0];
      for (const [key, text] of before) {
        const now = await clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });
        if (now === text) continue;
        if (now.startsWith("one")) gained++;
        else lost++;
      }
      expect(gained).toBeLessThan(20);
      expect(lost).toBeLessThanOrEqual(2);
      for (const key of before.keys()) await clients.ask({ op: "close", key });
    });

    it("takes in an endpoint under traffic without moving a flow", async () => {
      const both = service("IPv4", "tcp", "nat");
      rig.declare({ ...both, endpoints: both.endpoints.slice(0, 1) });
      const keys = Array.from({ length: 10 }, () => `t${++port}`);
      for (const key of keys) expect(await clients.ask({ op: "open", key, host: VIP4, port: PORT })).toBe("one");
      let asked = 0;
      const talking = (async () => {
        for (let i = 0; i < 20; i++)
          for (const key of keys) {
            expect(await clients.ask({ op: "say", key, text: "on" })).toBe("on");
            asked++;
          }
      })();
      rig.declare(both);
      await talking;
      expect(asked).toBe(200);
      const labels = new Set<string>();
      for (let i = 0; i < 20; i++) {
        const key = `t${++port}`;
        keys.push(key);
        labels.add(await clients.ask({ op: "open", key, host: VIP4, port: PORT }));
      }
      expect([...labels].toSorted()).toEqual(["one", "two"]);
      for (const key of keys) await clients.ask({ op: "close", key });
    });

    it("nat: gives no flow another's port, and each its own again when its place in the table is lost", async () => {
      rig.declare(service("IPv4", "udp", "nat"));
      const key = `n${++port}`;
      const say = (): Promise<string> => clients.ask({ op: "datagram", key, host: VIP4, port: PORT, text: "x" });
      const label = await say();
      const returns = rig.balancer.maps.map("balancer_returns");
      const [first, entry] = returns.entries()[0] ?? [];
      if (first === undefined || entry === undefined) throw new Error("there is no way back");
      // Another client's now: the next packet has to take another port, and the one after that has to find it.
      const [client, its] = [8, entry.subarray(8, 24)];
      const stranger = Buffer.from(entry);
      stranger.writeUInt8(entry.readUInt8(client + 15) ^ 1, client + 15);
      returns.update(first, stranger);
      expect([await say(), await say()]).toEqual([label, label]);
      const flows = rig.balancer.maps.map("balancer_flows");
      for (const [set, words] of flows.entries()) if (words.some((byte) => byte !== 0)) flows.update(set, NO_FLOWS);
      expect([await say(), await say()]).toEqual([label, label]);
      const ways = returns.entries();
      expect(ways.filter(([, value]) => value.subarray(client, client + 16).equals(its))).toHaveLength(1);
      expect(ways).toHaveLength(2);
      await clients.ask({ op: "close", key });
    });

    it("drops and counts fragments that name a service, and passes what is none's", async () => {
      rig.declare(service("IPv4", "udp", "dsr"));
      const text = "x".repeat(4000);
      expect(await clients.ask({ op: "datagram", key: `f${++port}`, host: VIP4, port: PORT, text })).toBe("timeout");
      expect(rig.status().counters.reasons.fragment).toBe(1);
      const [host] = ENDPOINTS.one;
      expect(await clients.ask({ op: "datagram", key: `f${++port}`, host, port: PORT, text })).toBe(`one ${text}`);
    });

    it("loses no packet of 30 000 while its program is replaced again and again", async () => {
      const flooded = PORT + 7;
      const one = service("IPv4", "udp", "dsr", { port: flooded });
      rig.declare({ ...one, endpoints: one.endpoints.slice(0, 1) });
      const receiver = new Datagrams(network.endpoints.one, `${VIP4}:${flooded}`);
      const flood = network.client.spawn(process.execPath, FLOOD, "30000", "10.77.1.2:0", `${VIP4}:${flooded}`);
      let flooding = true;
      const ended = once(flood, "close").then(() => (flooding = false));
      let [arrived, replaced] = [0, 0];
      try {
        while (flooding) {
          rig.replace();
          replaced++;
          arrived += receiver.drain();
          await sleep(1);
        }
        arrived += receiver.drainUpTo(30_000 - arrived);
        const { counters } = rig.status();
        // What a full device ring refused was lost before or behind the program, and not by it.
        const before = network.client.dropped("cl0");
        expect(counters.packets).toBeGreaterThanOrEqual(30_000 - before);
        expect(before).toBeLessThan(1000);
        expect(arrived).toBeGreaterThanOrEqual(counters.packets - network.balancer.dropped("gw1"));
        expect(replaced).toBeGreaterThan(5);
        process.stdout.write(`balancer: ${replaced} replacements under 30 000 packets: ${arrived} arrived\n`);
      } finally {
        flood.kill("SIGKILL");
        await ended;
        receiver.close();
      }
    });
  }),
);
