import { expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { agesAfter, compile } from "#control/compile.ts";
import { checkDeclaration } from "#control/config/check.ts";
import type { Resolved } from "#control/config/declaration.ts";
import { DIGEST, exampleDeclaration, type Example } from "./example.ts";

const METERED = "b".repeat(64);
const AGES = ["acme/all", "acme/orders"];

function resolved(change: (declaration: Example) => void = () => undefined): Resolved {
  const declaration = exampleDeclaration();
  change(declaration);
  const checked = checkDeclaration(declaration, { moduleBytes: () => 1, modulesRequired: true, actor: undefined });
  if (!checked.ok) throw new Error(JSON.stringify(checked.findings));
  return checked.resolved;
}

function snapshotOf(declared: Resolved, revision = 1) {
  return compile(declared, { revision, ages: AGES, meteredDigest: (digest) => (digest === DIGEST ? METERED : "") });
}

it("resolves every name and fills in every default", () => {
  const snapshot = snapshotOf(resolved());
  expect(snapshot.listeners[1]).toEqual({
    name: "steered",
    address: "[::1]:18000",
    protocol: "http",
    transparent: true,
  });
  expect(snapshot.upstreams[0]).toEqual({
    name: "api",
    endpoints: [
      { address: "127.0.0.1:9001", weight: 2 },
      { address: "unix:/run/app.sock", weight: 1 },
    ],
    timeouts: { connectMs: 500, requestMs: 30_000, idleMs: 60_000 },
    idleConnectionsMax: 64,
  });
  expect(snapshot.plugins).toEqual([{ name: "token-check", tenant: "acme", version: "1", digest: METERED }]);
  expect(snapshot.routes[0]).toEqual({
    name: "orders",
    tenant: "acme",
    listeners: [0],
    match: {
      hosts: ["shop.acme.example"],
      path: { kind: "prefix", value: "/orders" },
      methods: ["GET", "POST"],
      headers: [
        { name: "x-alpha", value: "2" },
        { name: "x-beta", value: "1" },
      ],
    },
    filters: [
      {
        kind: "plugin",
        plugin: 0,
        config: { limit: "5", token: "s3cret" },
        limits: { fuel: 200_000, memoryBytes: 1_048_576, deadlineMs: 1000 },
        onFault: "deny",
        allow: { upstreams: [0], maps: [0] },
      },
    ],
    action: { kind: "upstream", split: [{ upstream: 0, weight: 1 }] },
    order: 1,
  });
  // Without hosts of its own a route serves its tenant's, without listeners all.
  expect(snapshot.routes[1]).toMatchObject({
    listeners: [0, 1],
    order: 0,
    match: { hosts: ["*.acme.example"], path: { kind: "prefix", value: "/" } },
    action: {
      kind: "upstream",
      split: [
        { upstream: 0, weight: 9 },
        { upstream: 1, weight: 1 },
      ],
    },
  });
  expect(snapshot.maps[0]).toMatchObject({ keyBytes: 20, valueBytes: 8 });
  expect(snapshot.kernel).toEqual({
    interfaces: [{ device: "veth0", mode: "auto", firewall: { blocklist: 0, limits: [], synsPerSecond: 0 } }],
    steering: [{ cgroup: "/sys/fs/cgroup/unified/apps", ports: [80, 8080], listener: 1, leaseMs: 3000 }],
  });
  expect(snapshot.settings).toMatchObject({ accessLog: "json", fieldsMax: 128 });
});

it("gives equal declarations equal digests, whatever the order of their keys", () => {
  const one = snapshotOf(resolved());
  const other = snapshotOf(
    resolved((declaration) => {
      const route = defined(declaration.routes[0], "route");
      route.match.headers = { "x-alpha": "2", "x-beta": "1" };
      const filter = defined(route.filters[0], "filter");
      filter.config = { limit: 5, token: "s3cret" };
    }),
    2,
  );
  expect(other.digest).toBe(one.digest);
  expect(other.revision).toBe(2);
  const changed = snapshotOf(
    resolved((declaration) => (defined(declaration.upstreams[0], "upstream").endpoints.length = 1)),
  );
  expect(changed.digest).not.toBe(one.digest);
});

it("gives a tenant without hosts none, and a tenant of every host all", () => {
  const hostsOf = (hosts: string[]) =>
    snapshotOf(
      resolved((declaration) => {
        defined(declaration.tenants[0], "tenant").hosts = hosts;
        declaration.routes.shift();
      }),
    ).routes[0]?.match.hosts;
  expect(hostsOf(["a.example", "*"])).toEqual([]);
  // RFC 6761, 6.4: the name that never is.
  expect(hostsOf([])).toEqual(["invalid"]);
});

it("keeps the ages of routes that stay, and lets new ones be younger", () => {
  const routes = [
    { tenant: "a", name: "new" },
    { tenant: "a", name: "old" },
    { tenant: "b", name: "old" },
  ];
  expect(agesAfter(["b/old", "a/gone", "a/old"], routes)).toEqual(["b/old", "", "a/old", "a/new"]);
  // Empty places go when they are the greater part.
  expect(agesAfter(["b/old", "", "a/gone", "a/old", "", ""], routes)).toEqual(["b/old", "a/old", "a/new"]);
});

it("puts services on the devices of interfaces, with what flows of their protocol live for", () => {
  const { kernel } = snapshotOf(
    resolved((d) =>
      Object.assign(d.kernel, {
        services: [
          {
            name: "dns",
            address: "[fd00::9]:53/udp",
            endpoints: [{ address: "fd00::1" }, { address: "[fd00::2]:5353" }],
          },
          {
            name: "web",
            address: "10.0.0.10:80/tcp",
            mode: "nat",
            devices: ["lan0"],
            endpoints: [{ address: "10.0.0.1", weight: 3, drain: true }],
            healthCheck: { type: "http", path: "/up" },
          },
        ],
      }),
    ),
  );
  const devices = kernel.interfaces.map(({ device }) => device);
  expect(kernel.services).toEqual([
    {
      name: "dns",
      address: "fd00::9",
      port: 53,
      protocol: "udp",
      mode: "dsr",
      devices,
      flowTimeoutMs: 30_000,
      endpoints: [
        { address: "fd00::1", port: 53, weight: 1, drain: false },
        { address: "fd00::2", port: 5353, weight: 1, drain: false },
      ],
    },
    {
      name: "web",
      address: "10.0.0.10",
      port: 80,
      protocol: "tcp",
      mode: "nat",
      devices: ["lan0"],
      flowTimeoutMs: 7_440_000,
      endpoints: [{ address: "10.0.0.1", port: 80, weight: 3, drain: true }],
      healthCheck: {
        type: "http",
        path: "/up",
        intervalMs: 5000,
        timeoutMs: 1000,
        healthyThreshold: 2,
        unhealthyThreshold: 3,
      },
    },
  ]);
});
