/**
 * The kernel part with three capabilities and no more: steers `CGROUP` to port `PORT`, puts the firewall on `DEVICE` (in
 * the network namespace it is started in), loads every object there is, and prints the status and what it may.
 */
import { readdirSync } from "node:fs";
import path from "node:path";
import { Collection } from "#bpf/kernel/collection.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import { effectiveCapabilities } from "#sys/capabilities.ts";

const OBJECTS = path.join(import.meta.dirname, "../../bpf/obj");
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
const objects = readdirSync(OBJECTS).flatMap((file) => (file.endsWith(".o") ? [file.slice(0, -2)] : []));
for (const name of objects) Collection.load(committedSpec(name)).close();
const capabilities = [...effectiveCapabilities()].toSorted();
const originals = manager.originalsFd() !== undefined;
const uid = process.getuid?.();
process.stdout.write(JSON.stringify({ uid, capabilities, objects, originals, status: manager.status() }));
manager.close();
