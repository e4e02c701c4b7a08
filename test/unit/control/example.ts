/** The contract's example, without what this version refuses. Mutable, so that each test can spoil its own copy. */

export const DIGEST = "a".repeat(64);

interface Endpoint {
  address: string;
  weight?: number;
}

interface Route {
  name: string;
  tenant: string;
  listeners?: string[];
  match: {
    hosts?: string[];
    path?: { prefix?: string; exact?: string };
    methods?: string[];
    headers?: Record<string, string>;
  };
  filters: {
    plugin: string;
    config?: Record<string, string | number | boolean>;
    limits?: { fuel?: number; memoryBytes?: number };
    onFault?: "deny" | "allow" | "skip";
    vm?: { clusters?: Record<string, string> };
    allow?: { upstreams?: string[]; maps?: string[] };
  }[];
  upstream?: string;
  split?: { upstream: string; weight: number }[];
}

export interface Example {
  listeners: { name: string; address: string; protocol: "http"; transparent?: boolean }[];
  upstreams: { name: string; endpoints: Endpoint[]; timeouts?: { connectMs?: number } }[];
  tenants: {
    name: string;
    hosts: string[];
    quotas?: { routes?: number; pluginBytes?: number; fuelPerCall?: number };
    allow?: { upstreams?: string[]; maps?: string[]; listeners?: string[] };
  }[];
  plugins: { name: string; tenant: string; version: string; file?: string; digest?: string }[];
  routes: Route[];
  kernel: {
    maps: {
      name: string;
      type: "lpm-trie" | "hash";
      key: "ip-prefix" | "ip" | "bytes";
      value: "expiry" | "counter";
      maxEntries: number;
    }[];
    interfaces: { device: string; mode?: "auto"; programs: ("blocklist" | "firewall")[]; blocklist?: string }[];
    steering: { cgroup: string; ports: number[]; listener: string; leaseMs?: number }[];
  };
}

export function exampleDeclaration(): Example {
  return {
    listeners: [
      { name: "web", address: "127.0.0.1:8080", protocol: "http" },
      { name: "steered", address: "[::1]:18000", protocol: "http", transparent: true },
    ],
    upstreams: [
      {
        name: "api",
        endpoints: [{ address: "127.0.0.1:9001", weight: 2 }, { address: "unix:/run/app.sock" }],
        timeouts: { connectMs: 500 },
      },
      { name: "canary", endpoints: [{ address: "[::1]:9002" }] },
    ],
    tenants: [
      { name: "acme", hosts: ["*.acme.example"], quotas: { routes: 100, pluginBytes: 16_777_216 } },
      { name: "bravo", hosts: ["bravo.example"] },
    ],
    plugins: [{ name: "token-check", tenant: "acme", version: "1", digest: DIGEST }],
    routes: [
      {
        name: "orders",
        tenant: "acme",
        listeners: ["web"],
        match: {
          hosts: ["shop.acme.example"],
          path: { prefix: "/orders" },
          methods: ["GET", "POST"],
          headers: { "x-beta": "1", "x-alpha": "2" },
        },
        filters: [
          {
            plugin: "token-check@1",
            config: { token: "s3cret", limit: 5 },
            limits: { fuel: 200_000, memoryBytes: 1_048_576 },
            onFault: "deny",
            allow: { upstreams: ["api"], maps: ["blocklist"] },
          },
        ],
        upstream: "api",
      },
      {
        name: "all",
        tenant: "acme",
        match: {},
        filters: [],
        split: [
          { upstream: "api", weight: 9 },
          { upstream: "canary", weight: 1 },
        ],
      },
    ],
    kernel: {
      maps: [
        { name: "blocklist", type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 65_536 },
        { name: "failures", type: "hash", key: "ip", value: "counter", maxEntries: 1024 },
      ],
      interfaces: [{ device: "veth0", mode: "auto", programs: ["blocklist"] }],
      steering: [{ cgroup: "/sys/fs/cgroup/unified/apps", ports: [80, 8080], listener: "steered", leaseMs: 3000 }],
    },
  };
}
