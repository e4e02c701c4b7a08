/**
 * The kernel part with three capabilities and no more: steers `CGROUP` to port `PORT`, puts the firewall on `DEVICE` (in
 * the network namespace it is started in), and prints the status and what it was not allowed to.
 */
import { KernelManager } from "#bpf/manager/manager.ts";
import { effectiveCapabilities } from "#sys/capabilities.ts";

const [cgroup = "", device = ""] = process.argv.slice(2);
const manager = KernelManager.open();
const maps = [
  {
    name: "blocklist",
    type: "lpm-trie",
    key: "ip-prefix",
    keyBytes: 20,
    value: "expiry",
    valueBytes: 8,
    maxEntries: 64,
  },
] as const;
const interfaces = [{ device, mode: "auto", firewall: { blocklist: 0, limits: [], synsPerSecond: 0 } }] as const;
const steering = [{ cgroup, ports: [80], listener: 0, leaseMs: 1000 }];
const listeners = [{ name: "l", addresses: ["127.0.0.1:18000"] }];
manager.commit(manager.prepare({ maps, kernel: { interfaces, steering }, listeners }));
manager.renewLeases();
manager.put("blocklist", "203.0.113.0/24", { ttlSeconds: 60 });
const capabilities = [...effectiveCapabilities()].toSorted();
const originals = manager.originalsFd() !== undefined;
process.stdout.write(JSON.stringify({ uid: process.getuid?.(), capabilities, originals, status: manager.status() }));
manager.close();
