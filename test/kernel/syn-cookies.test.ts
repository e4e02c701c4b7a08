/**
 * SYN cookies of the firewall, with real traffic: a bounded flood of SYNs from random addresses inside a namespace, and
 * clients that must be served meanwhile. Checksum offload is off, so that a wrong checksum is a dropped packet.
 */
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { parseAddress, familyOf } from "#core/address.ts";
import { bind, IPPROTO_IPV6, IPV6_V6ONLY, listen, setsockoptInt, socket } from "#sys/socket.ts";
import { inNetworkNamespace } from "#sys/netns.ts";
import type { MapDeclaration } from "#bpf/manager/declarations.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { Link } from "#bpf/kernel/link.ts";
import { PacketCounter } from "#bpf/programs/counter/counter.ts";
import type { FirewallCounters } from "#bpf/programs/firewall/firewall.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

const FLOOD = path.join(import.meta.dirname, "../support/syn-flood.ts");
const CONNECT = path.join(import.meta.dirname, "../support/connect-many.ts");
const SEGMENTS = 30_000;
const CONNECTIONS = 40;
const THRESHOLD = 200;
const GREETING = "served";

const BLOCKLIST: MapDeclaration = {
  name: "blocklist",
  type: "lpm-trie",
  key: "ip-prefix",
  keyBytes: 20,
  value: "expiry",
  valueBytes: 8,
  maxEntries: 16,
};

describeKernel("SYN cookies", () => {
  let client: Namespace;
  let gateway: Namespace;
  let manager: KernelManager;
  let servers: net.Server[] = [];
  let polling: PacketCounter;
  let pollingLink: Link;
  const inside = <T>(work: () => T): T => inNetworkNamespace(gateway.path, work);

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("syn-c");
    gateway = new Namespace("syn-g");
    connect(client, { device: "cl0", addresses: ["10.79.1.2/24", "fd00:79:1::2/64"] }, gateway, {
      device: "gw0",
      addresses: ["10.79.1.1/24", "fd00:79:1::1/64"],
    });
    // The stack's own answers must find a way, or it forgets a SYN at once and has no half-open sockets to show.
    gateway.ip("route", "add", "default", "via", "10.79.1.2");
    gateway.ip("-6", "route", "add", "default", "via", "fd00:79:1::2");
  });
  afterAll(() => {
    client.destroy();
    gateway.destroy();
  });
  beforeEach(() => {
    manager = KernelManager.open();
    // What a program sends back over a veth pair stays in the peer's ring until that polls: it needs a program of its own
    // (veth_xdp_flush; GRO alone makes the ring and does not empty it). Real devices ask for nothing.
    polling = new PacketCounter();
    pollingLink = inNetworkNamespace(client.path, () => polling.attach("cl0", "native").link);
  });
  afterEach(() => {
    manager.close();
    pollingLink.close();
    polling.close();
    for (const server of servers) server.close();
    servers = [];
  });

  function protect(mode: "native" | "generic", synsPerSecond: number): void {
    const interfaces = [{ device: "gw0", mode, firewall: { blocklist: 0, limits: [], synsPerSecond } }] as const;
    const declaration = { maps: [BLOCKLIST], kernel: { interfaces, steering: [] }, listeners: [] };
    inside(() => manager.commit(manager.prepare(declaration)));
  }

  async function serve(address: string): Promise<void> {
    const sockaddr = parseAddress(address);
    const fd = inside(() => socket(familyOf(sockaddr)));
    if (address.startsWith("[")) setsockoptInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    bind(fd, sockaddr);
    listen(fd, 256);
    const server = net.createServer((connection) => connection.on("error", () => undefined).end(GREETING));
    servers.push(server);
    server.listen({ fd });
    await once(server, "listening");
  }

  /** Ends when all are sent. */
  async function flood(target: string, port: number): Promise<void> {
    const [near] = JSON.parse(client.ip("-json", "link", "show", "cl0")) as [{ ifindex: number }];
    const [far] = JSON.parse(gateway.ip("-json", "link", "show", "gw0")) as [{ address: string }];
    const args = [String(near.ifindex), far.address, target, String(port), String(SEGMENTS)];
    const child = client.spawn(process.execPath, FLOOD, ...args);
    const [code] = (await once(child, "close")) as [number];
    expect(code).toBe(0);
  }

  /** What each of so many connections, two at a time, was told. */
  async function ask(target: string, port: number): Promise<string[]> {
    const script = `yes '${target} ${port}' | head -n ${CONNECTIONS} | exec '${process.execPath}' '${CONNECT}' 2`;
    const child = client.spawn("sh", "-c", script);
    let printed = "";
    child.stdout?.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await once(child, "close");
    return printed.trim().split("\n");
  }

  function halfOpen(): number {
    return gateway.run("ss", "-Htn", "state", "syn-recv").trim().split("\n").filter(Boolean).length;
  }

  const counters = (): FirewallCounters => {
    const found = inside(() => manager.status()).interfaces[0]?.firewall?.counters;
    if (found === undefined) throw new Error("no firewall on the device");
    return found;
  };

  const until = async (met: () => boolean): Promise<void> => {
    for (let i = 0; i < 200 && !met(); i++) await sleep(10);
    expect(met()).toBe(true);
  };

  it.each([
    ["10.79.1.1", "native", 7100],
    ["10.79.1.1", "generic", 7101],
    ["fd00:79:1::1", "native", 7100],
    ["fd00:79:1::1", "generic", 7101],
  ] as const)("serves clients of %s under a flood, %s, and keeps nothing half open", async (target, mode, port) => {
    gateway.run("sysctl", "-qw", "net.ipv4.tcp_syncookies=2");
    protect(mode, THRESHOLD);
    await serve(target.includes(":") ? `[${target}]:${port}` : `${target}:${port}`);
    const flooding = flood(target, port);
    await until(() => counters().cookieSent > 1000);
    const replies = await ask(target, port);
    expect(halfOpen()).toBe(0);
    await flooding;
    expect(replies).toEqual(Array.from({ length: CONNECTIONS }, () => GREETING));
    const counted = counters();
    // What came before the threshold was passed went to the stack; a busy machine loses some in the device's ring.
    expect(counted.cookieSent).toBeGreaterThan(SEGMENTS * 0.8);
    expect(counted.cookieInvalid).toBeGreaterThan(SEGMENTS * 0.08);
    expect(counted.cookieValid).toBeGreaterThanOrEqual(CONNECTIONS);
    expect(counted.synUnusual + counted.cookieRefused).toBe(0);
  });

  it("lets the stack do what it does below the threshold, and where the kernel makes no cookies for programs", async () => {
    gateway.run("sysctl", "-qw", "net.ipv4.tcp_syncookies=0");
    protect("native", THRESHOLD);
    await serve("10.79.1.1:7102");
    expect(await ask("10.79.1.1", 7102)).toEqual(Array.from({ length: CONNECTIONS }, () => GREETING));
    expect(counters()).toMatchObject({ cookieSent: 0, cookieRefused: 0 });
    await flood("10.79.1.1", 7102);
    expect(counters().cookieSent).toBe(0);
    expect(counters().cookieRefused).toBeGreaterThan(1000);
  });

  it("without them, the same flood leaves sockets half open: the test can tell", async () => {
    gateway.run("sysctl", "-qw", "net.ipv4.tcp_syncookies=0");
    protect("native", 0);
    await serve("10.79.1.1:7103");
    await flood("10.79.1.1", 7103);
    expect(halfOpen()).toBeGreaterThan(50);
  });
});
