/** The gateway is killed, all of it: its firewall goes on, the next one takes over with no packet let through, a stop lets go. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { inNetworkNamespace } from "#sys/netns.ts";
import { networkInterface } from "#bpf/netlink/interfaces.ts";
import { removeLeftoverBpffs, TestBpffs } from "#test/support/bpffs.ts";
import { Datagrams } from "#test/support/datagrams.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";

const FLOOD = path.join(import.meta.dirname, "../support/flood.ts");
const CONFIG = {
  listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
  kernel: {
    maps: [{ name: "blocklist", type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 64 }],
    interfaces: [{ device: "sv0", mode: "auto", programs: ["blocklist"] }],
  },
};

describeKernel("a gateway that is killed", () => {
  let client: Namespace;
  let server: Namespace;
  let bpffs: TestBpffs;
  let data: string;
  let gateway: Gateway | null = null;

  beforeEach(() => {
    removeLeftovers();
    removeLeftoverBpffs();
    bpffs = new TestBpffs();
    data = mkdtempSync(path.join(tmpdir(), "penstock-adoption-"));
    [client, server] = [new Namespace("ad-c"), new Namespace("ad-s")];
    connect(client, { device: "cl0", addresses: ["10.78.1.2/24"] }, server, {
      device: "sv0",
      addresses: ["10.78.1.1/24"],
    });
  });
  afterEach(async () => {
    await gateway?.kill();
    gateway = null;
    client.destroy();
    server.destroy();
    bpffs.destroy();
    rmSync(data, { recursive: true, force: true });
  });

  const start = (): Promise<Gateway> =>
    startGateway({ config: CONFIG, data, netns: server.path, env: { PENSTOCK_PINS: bpffs.directory } });
  const xdp = (): number => inNetworkNamespace(server.path, () => networkInterface("sv0").xdp.programIds.length);
  // The kernel's own files are in every bpffs.
  const pinned = (): string[] => readdirSync(bpffs.directory).filter((name) => !name.endsWith(".debug"));
  const flood = (packets: number, port = 7000): string =>
    client.run(process.execPath, FLOOD, String(packets), "10.78.1.2:0", `10.78.1.1:${port}`);

  it("goes on dropping, is taken over, entries and all, and lets go when it is stopped", async () => {
    const receiver = new Datagrams(server, "10.78.1.1:7000");
    try {
      gateway = await start();
      flood(50);
      expect(receiver.drainUpTo(50)).toBe(50);
      const entry = "/v1/kernel/maps/blocklist/entries/10.78.1.2";
      expect((await gateway.admin("PUT", entry, { ttlSeconds: null })).status).toBe(200);
      await gateway.kill();
      expect(xdp()).toBe(1);
      flood(500);
      expect(receiver.drain()).toBe(0);

      // Takes over under a flood: not one gets past on the way from one program to the next.
      const flooding = client.spawn(process.execPath, FLOOD, "15000", "10.78.1.2:0", "10.78.1.1:7000");
      gateway = await start();
      flooding.kill("SIGKILL");
      expect(receiver.drain()).toBe(0);
      expect(JSON.parse((await gateway.admin("GET", entry)).body)).toMatchObject({ ttlSeconds: null });
      expect(xdp()).toBe(1);

      expect(await gateway.stop()).toBe(0);
      expect([xdp(), pinned()]).toEqual([0, []]);
    } finally {
      receiver.close();
    }
  }, 60_000);

  it("hands links and maps to its successor, without a bpffs: not a packet meets no program, not an entry is lost", async () => {
    const receiver = new Datagrams(server, "10.78.1.1:7000");
    const later = new Datagrams(server, "10.78.1.1:7001");
    try {
      gateway = await startGateway({ config: CONFIG, data, netns: server.path });
      const entry = "/v1/kernel/maps/blocklist/entries/10.78.1.2";
      expect((await gateway.admin("PUT", entry, { ttlSeconds: null })).status).toBe(200);
      const flooding = client.spawn(process.execPath, FLOOD, "200000", "10.78.1.2:0", "10.78.1.1:7000");
      await gateway.upgrade();
      flooding.kill("SIGKILL");
      expect(receiver.drain()).toBe(0);
      expect(JSON.parse((await gateway.admin("GET", entry)).body)).toMatchObject({ ttlSeconds: null });
      expect((await gateway.admin("DELETE", entry)).status).toBe(204);
      // By another port: of the flood, some may still be on their way.
      flood(50, 7001);
      expect(later.drainUpTo(50)).toBe(50);
      await gateway.stop();
      expect(xdp()).toBe(0);
    } finally {
      receiver.close();
      later.close();
    }
  }, 120_000);
});
