/** What `explain` says of the kernel: only what the listener's packets meet, in their order. */
import { expect, test } from "vitest";
import { kernelWay } from "#main/supervisor/kernel-way.ts";
import { testSnapshot } from "#test/support/snapshot.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";

const snapshot = testSnapshot({ endpoints: [] });
const map = {
  type: "lpm-trie",
  key: "ip-prefix",
  value: "expiry",
  maxEntries: 10,
  keyBytes: 20,
  valueBytes: 8,
} as const;
const others = { name: "other", address: "127.0.0.1:1", protocol: "http", transparent: true } as const;
const limit = { prefix: "default", packetsPerSecond: 100, burst: 200, each: "source" } as const;
const both: Snapshot = {
  ...snapshot,
  listeners: [...snapshot.listeners, others],
  maps: ["blocklist", "friends"].map((name) => ({ name, ...map })),
  kernel: {
    ...snapshot.kernel,
    interfaces: [
      { device: "idle", mode: "auto" },
      {
        device: "eth0",
        mode: "auto",
        firewall: { blocklist: 0, allowlist: 1, limits: [limit], synsPerSecond: 2000 },
        counter: { by: "source", ipv4Bits: 32, ipv6Bits: 128, entriesMax: 10, top: 1, hook: "xdp" },
      },
    ],
    interceptors: [{ name: "take", devices: [], ports: [80, 81], listener: 0, leaseMs: 3000 }],
    bindings: [
      {
        name: "range",
        listener: 0,
        protocol: "tcp",
        match: [
          {
            prefix: "192.0.2.0/24",
            ports: [
              { first: 80, last: 80 },
              { first: 8000, last: 8999 },
            ],
          },
        ],
        deny: [],
        except: [],
        onFailure: "open",
        leaseMs: 3000,
      },
    ],
    steering: [{ cgroup: "/sys/fs/cgroup/apps", ports: [443], listener: 1, leaseMs: 3000 }],
  },
};

const FIREWALL =
  'on eth0: firewall (denies what is in "blocklist"; never what is in "friends"; default: 100 packets/s a source; ' +
  "SYN cookies above 2000 SYNs/s), packet counter";

test.each([
  [
    "web",
    [
      FIREWALL,
      "interceptor take: connections to port 80, 81 by every device come here",
      "binding range: port 80, 8000-8999 of 192.0.2.0/24 come here",
    ],
  ],
  ["other", [FIREWALL, "steering: connections from /sys/fs/cgroup/apps to port 443 come here"]],
])("%s", (listener, lines) => {
  expect(kernelWay(both, listener)).toEqual(lines);
});

test("nothing, where nothing is", () => {
  expect(kernelWay(snapshot, "web")).toEqual([]);
});
