import { describe, expect, it } from "vitest";
import { checkDeclaration, type CheckContext } from "#control/config/check.ts";
import { defined } from "#core/assert.ts";
import { CONFIG_ERRORS } from "#core/errors/config.ts";
import { DIGEST, exampleDeclaration } from "./example.ts";

const context: CheckContext = {
  moduleBytes: (digest) => (digest === DIGEST ? 1000 : undefined),
  modulesRequired: true,
  actor: undefined,
};

const at = <T>(list: readonly T[], index: number): T => defined(list[index], `entry ${index}`);
type Change = (declaration: ReturnType<typeof exampleDeclaration>) => void;

function findingsAfter(change: Change, actor?: string): string[] {
  const declaration = exampleDeclaration();
  change(declaration);
  const checked = checkDeclaration(declaration, { ...context, actor });
  return checked.ok ? [] : checked.findings.map((one) => `${one.pointer} ${one.code.replace("PENSTOCK_CONFIG_", "")}`);
}

describe("a declaration", () => {
  it("passes as the contract shows it", () => {
    expect(checkDeclaration(exampleDeclaration(), context)).toMatchObject({ ok: true });
  });

  it.each<[string, unknown]>([
    ["nothing", {}],
    ["empty lists", { listeners: [], routes: [], kernel: {} }],
  ])("may declare %s", (_what, input) => {
    expect(checkDeclaration(input, context)).toMatchObject({ ok: true });
  });

  const cases: [string, Change, string[]][] = [
    [
      "a misspelt field",
      (d) => Object.assign(at(d.listeners, 0), { adress: "x" }),
      ["/listeners/0/adress UNKNOWN_FIELD"],
    ],
    ["an unknown kind", (d) => Object.assign(d, { listener: [] }), ["/listener UNKNOWN_FIELD"]],
    [
      "a misspelt required field",
      (d) => {
        Reflect.deleteProperty(at(d.listeners, 0), "protocol");
        Object.assign(at(d.listeners, 0), { protocl: "http" });
      },
      ["/listeners/0/protocl UNKNOWN_FIELD"],
    ],
    [
      "TLS with a certificate that is not there",
      (d) => Object.assign(at(d.listeners, 0), { tls: { certificates: ["site"] } }),
      ["/listeners/0/tls/certificates/0 REFERENCE"],
    ],
    [
      "h2",
      (d) => Object.assign(at(d.listeners, 0), { tls: { certificates: ["site"], alpn: ["h2"] } }),
      ["/listeners/0/tls/alpn/0 UNSUPPORTED", "/listeners/0/tls/certificates/0 REFERENCE"],
    ],
    [
      "ALPN of something else than HTTP",
      (d) => Object.assign(at(d.listeners, 0), { tls: { certificates: ["site"], alpn: ["http/1.1", "mqtt"] } }),
      ["/listeners/0/tls/alpn/1 VALUE", "/listeners/0/tls/certificates/0 REFERENCE"],
    ],
    [
      "a certificate that is none",
      (d) => Object.assign(d, { certificates: [{ name: "site", certificate: "nothing" }] }),
      ["/certificates/0/certificate VALUE"],
    ],
    [
      "a misspelt field of client authentication",
      (d) =>
        Object.assign(at(d.listeners, 0), {
          tls: { certificates: ["site"], clientAuth: { mode: "required", caFil: "ca.pem" } },
        }),
      [
        "/listeners/0/tls/clientAuth/caFil UNKNOWN_FIELD",
        "/listeners/0/tls/certificates/0 REFERENCE",
        "/listeners/0/tls/clientAuth REQUIRED",
      ],
    ],
    [
      "client certificates of nobody in particular",
      (d) => Object.assign(at(d.listeners, 0), { tls: { certificates: ["site"], clientAuth: { mode: "required" } } }),
      ["/listeners/0/tls/certificates/0 REFERENCE", "/listeners/0/tls/clientAuth REQUIRED"],
    ],
    [
      "a listener that became UDP under its HTTP route",
      (d) => Object.assign(at(d.listeners, 0), { protocol: "udp" }),
      [
        // The upstream has a Unix socket.
        "/routes/0 VALUE",
        "/routes/0/match/headers VALUE",
        "/routes/0/match/hosts VALUE",
        "/routes/0/match/methods VALUE",
        "/routes/0/match/path VALUE",
      ],
    ],
    [
      "a made-up protocol",
      (d) => Object.assign(at(d.listeners, 0), { protocol: "gopher" }),
      ["/listeners/0/protocol VALUE"],
    ],
    [
      "a balancer that lacks its key",
      (d) => Object.assign(at(d.upstreams, 0), { balancer: { type: "maglev" } }),
      ["/upstreams/0/balancer REQUIRED"],
    ],
    [
      "a key for a balancer that has none",
      (d) => Object.assign(at(d.upstreams, 0), { balancer: { type: "random", key: "client-ip" } }),
      ["/upstreams/0/balancer/key VALUE"],
    ],
    [
      "a key of no kind",
      (d) => Object.assign(at(d.upstreams, 0), { balancer: { type: "maglev", key: "header:X-User" } }),
      ["/upstreams/0/balancer/key VALUE"],
    ],
    [
      "a slow start of a balancer that can't",
      (d) => Object.assign(at(d.upstreams, 0), { balancer: { type: "maglev", key: "path" }, slowStartMs: 1000 }),
      ["/upstreams/0/slowStartMs VALUE"],
    ],
    [
      "a health check of no type",
      (d) => Object.assign(at(d.upstreams, 0), { healthCheck: {} }),
      ["/upstreams/0/healthCheck/type REQUIRED"],
    ],
    [
      "a TCP check with a path, longer than its interval",
      (d) =>
        Object.assign(at(d.upstreams, 0), {
          healthCheck: { type: "tcp", path: "/", intervalMs: 100, timeoutMs: 200 },
        }),
      ["/upstreams/0/healthCheck/path VALUE", "/upstreams/0/healthCheck/timeoutMs VALUE"],
    ],
    [
      "hedging without a time, and a reason that is none",
      (d) => Object.assign(at(d.upstreams, 0), { retry: { hedging: {}, on: ["200"] } }),
      ["/upstreams/0/retry/hedging/afterMs REQUIRED", "/upstreams/0/retry/on/0 VALUE"],
    ],
    [
      "a queue without a limit",
      (d) => Object.assign(at(d.upstreams, 0), { limits: { queue: 5 } }),
      ["/upstreams/0/limits/queue VALUE"],
    ],
    [
      "an ejection that is shorter than itself",
      (d) => Object.assign(at(d.upstreams, 0), { outlierDetection: { baseEjectionMs: 2000, maxEjectionMs: 1000 } }),
      ["/upstreams/0/outlierDetection/maxEjectionMs VALUE"],
    ],
    [
      "endpoints that all drain",
      (d) => Object.assign(at(d.upstreams, 0), { endpoints: [{ address: "127.0.0.1:1", drain: true }] }),
      ["/upstreams/0/endpoints VALUE"],
    ],
    [
      "nameservers without a port",
      (d) => Object.assign(d, { settings: { nameservers: ["10.0.0.2"] } }),
      ["/settings/nameservers/0 ADDRESS"],
    ],
    [
      "stickiness without a split, or by two things",
      (d) => {
        Object.assign(at(d.routes, 0), { stickiness: { key: "client-ip" } });
      },
      ["/routes/0/stickiness VALUE"],
    ],
    [
      "services at no address, of one address, of families that can't be bridged, without a device",
      (d) =>
        Object.assign(d.kernel, {
          interfaces: [],
          services: [
            { name: "a", address: "10.0.0.10:53", endpoints: [] },
            { name: "b", address: "10.0.0.10:53/udp", devices: ["eth0"], endpoints: [{ address: "10.0.0.1" }] },
            { name: "b", address: "10.0.0.10:53/udp", devices: ["eth0"], endpoints: [] },
            {
              name: "c",
              address: "10.0.0.10:53/tcp",
              mode: "nat",
              source: "172.16.0.0/16",
              devices: ["eth0"],
              endpoints: [
                { address: "fd00::1" },
                { address: "10.0.0.1:0" },
                { address: "10.0.0.1" },
                { address: "10.0.0.1:53" },
              ],
            },
            { name: "d", address: "10.0.0.11:53/tcp", source: "172.0.0.0/8", endpoints: [{ address: "fd00::1" }] },
            { name: "e", address: "[fd00::9]:53/sctp", endpoints: [] },
            { name: "f", address: "[fd00::9]:53/udp", source: "fd00::/64", devices: ["eth0"], endpoints: [] },
          ],
        }),
      [
        "/kernel/services/0/address ADDRESS",
        "/kernel/services/2/address DUPLICATE",
        "/kernel/services/2/name DUPLICATE",
        "/kernel/services/3/endpoints/0/address ADDRESS",
        "/kernel/services/3/endpoints/1/address ADDRESS",
        "/kernel/services/3/endpoints/3/address DUPLICATE",
        "/kernel/services/3/source ADDRESS",
        "/kernel/services/4/devices REQUIRED",
        "/kernel/services/4/endpoints/0/address ADDRESS",
        "/kernel/services/5/address ADDRESS",
        "/kernel/services/6/source ADDRESS",
      ],
    ],
    [
      "a service whose values are none",
      (d) =>
        Object.assign(d.kernel, {
          services: [
            {
              name: "a",
              address: "10.0.0.10:53/udp",
              mode: "l2",
              devices: [],
              flowTimeoutMs: 1,
              endpoints: [{ address: "10.0.0.1", weight: 1001, port: 53 }],
              healthCheck: { type: "icmp", path: "x", intervalMs: 1 },
            },
          ],
        }),
      [
        "/kernel/services/0/devices VALUE",
        "/kernel/services/0/endpoints/0/port UNKNOWN_FIELD",
        "/kernel/services/0/endpoints/0/weight VALUE",
        "/kernel/services/0/flowTimeoutMs VALUE",
        "/kernel/services/0/healthCheck/intervalMs VALUE",
        "/kernel/services/0/healthCheck/path VALUE",
        "/kernel/services/0/healthCheck/type VALUE",
        "/kernel/services/0/mode VALUE",
      ],
    ],
    [
      "a missing field",
      (d) => Reflect.deleteProperty(at(d.listeners, 0), "address"),
      ["/listeners/0/address REQUIRED"],
    ],
    ["a number for text", (d) => Object.assign(at(d.plugins, 0), { version: 1 }), ["/plugins/0/version TYPE"]],
    ["null for a list", (d) => Object.assign(d, { routes: null }), ["/routes TYPE"]],
    [
      "a list for fields",
      (d) => Object.assign(d, { kernel: [] }),
      ["/kernel TYPE", "/routes/0/filters/0/allow/maps/0 REFERENCE", "…"],
    ],
    [
      "a weight of zero",
      (d) => (at(at(d.upstreams, 0).endpoints, 0).weight = 0),
      ["/upstreams/0/endpoints/0/weight VALUE"],
    ],
    ["no endpoints", (d) => (at(d.upstreams, 0).endpoints = []), ["/upstreams/0/endpoints VALUE"]],
    [
      "an upstream by a name that is none",
      (d) => (at(at(d.upstreams, 0).endpoints, 0).address = "-localhost:80"),
      ["/upstreams/0/endpoints/0/address ADDRESS"],
    ],
    [
      "an upstream on port 0",
      (d) => (at(at(d.upstreams, 0).endpoints, 0).address = "127.0.0.1:0"),
      ["/upstreams/0/endpoints/0/address ADDRESS"],
    ],
    ["port 65536", (d) => (at(d.listeners, 0).address = "127.0.0.1:65536"), ["/listeners/0/address ADDRESS"]],
    ["a bare IPv6 address", (d) => (at(d.listeners, 0).address = "::1:80"), ["/listeners/0/address ADDRESS"]],
    [
      "a relative Unix socket",
      (d) => (at(at(d.upstreams, 0).endpoints, 0).address = "unix:app.sock"),
      ["/upstreams/0/endpoints/0/address ADDRESS"],
    ],
    [
      "one address twice",
      (d) => (at(d.listeners, 1).address = at(d.listeners, 0).address),
      ["/listeners/1/address DUPLICATE"],
    ],
    [
      "one name twice",
      (d) => (at(d.upstreams, 1).name = "api"),
      ["/upstreams/1/name DUPLICATE", "/routes/1/split/1/upstream REFERENCE"],
    ],
    ["an unknown upstream", (d) => (at(d.routes, 0).upstream = "apy"), ["/routes/0/upstream REFERENCE"]],
    ["an unknown listener", (d) => (at(d.routes, 0).listeners = ["wbe"]), ["/routes/0/listeners/0 REFERENCE"]],
    [
      "an unknown version",
      (d) => (at(at(d.routes, 0).filters, 0).plugin = "token-check@2"),
      ["/routes/0/filters/0/plugin REFERENCE"],
    ],
    [
      "an unknown map",
      (d) => (at(at(d.routes, 0).filters, 0).allow!.maps = ["blcklist"]),
      ["/routes/0/filters/0/allow/maps/0 REFERENCE"],
    ],
    ["neither upstream nor split", (d) => Reflect.deleteProperty(at(d.routes, 0), "upstream"), ["/routes/0 REQUIRED"]],
    ["both upstream and split", (d) => Object.assign(at(d.routes, 1), { upstream: "api" }), ["/routes/1/split VALUE"]],
    [
      "prefix and exact",
      (d) => (at(d.routes, 0).match.path = { prefix: "/a", exact: "/a" }),
      ["/routes/0/match/path VALUE"],
    ],
    [
      "a path with dots",
      (d) => (at(d.routes, 0).match.path = { prefix: "/a/../b" }),
      ["/routes/0/match/path/prefix VALUE"],
    ],
    [
      "a path with a query",
      (d) => (at(d.routes, 0).match.path = { prefix: "/a?b" }),
      ["/routes/0/match/path/prefix VALUE"],
    ],
    [
      "`original` on a plain listener",
      (d) => (at(d.routes, 0).upstream = "original"),
      ["/routes/0/upstream REFERENCE"],
    ],
    [
      "steering to a plain listener",
      (d) => (at(d.kernel.steering, 0).listener = "web"),
      ["/kernel/steering/0/listener REFERENCE"],
    ],
    [
      "a port steered twice",
      (d) => (at(d.kernel.steering, 0).ports = [80, 80]),
      ["/kernel/steering/0/ports/1 DUPLICATE"],
    ],
    [
      "a firewall without its map",
      (d) => (at(d.kernel.interfaces, 0).blocklist = "nope"),
      ["/kernel/interfaces/0/blocklist REFERENCE"],
    ],
    [
      "one program by two names",
      (d) => (at(d.kernel.interfaces, 0).programs = ["blocklist", "packet-counter" as never, "firewall"]),
      ["/kernel/interfaces/0/programs/2 DUPLICATE"],
    ],
    [
      "settings of programs that are not there",
      (d) =>
        Object.assign(at(d.kernel.interfaces, 0), {
          programs: ["packet-counter"],
          allowlist: "blocklist",
          limits: [{ prefix: "default", packetsPerSecond: 10 }],
          synCookies: { synsPerSecond: 100 },
        }),
      [
        "/kernel/interfaces/0/allowlist VALUE",
        "/kernel/interfaces/0/limits VALUE",
        "/kernel/interfaces/0/synCookies VALUE",
      ],
    ],
    [
      "settings of a counter that is not there",
      (d) => Object.assign(at(d.kernel.interfaces, 0), { counter: { by: "port" } }),
      ["/kernel/interfaces/0/counter VALUE"],
    ],
    [
      "limits that don't make sense",
      (d) =>
        Object.assign(at(d.kernel.interfaces, 0), {
          limits: [
            { prefix: "10.0.0.0/8", packetsPerSecond: 10 },
            { prefix: "10.0.0.1/8", packetsPerSecond: 10 },
            { prefix: "10.0.0.0/8", packetsPerSecond: 0, burst: 1 },
          ],
        }),
      [
        "/kernel/interfaces/0/limits/1/prefix VALUE",
        "/kernel/interfaces/0/limits/2/packetsPerSecond VALUE",
        "/kernel/interfaces/0/limits/2/prefix DUPLICATE",
      ],
    ],
    [
      "a prefix limited twice",
      (d) =>
        Object.assign(at(d.kernel.interfaces, 0), {
          limits: [
            { prefix: "2001:db8::/32", packetsPerSecond: 10 },
            { prefix: "2001:0db8::/32", packetsPerSecond: 20 },
          ],
        }),
      ["/kernel/interfaces/0/limits/1/prefix DUPLICATE"],
    ],
    [
      "interceptors that divert one port twice, to a listener that is not transparent",
      (d) =>
        Object.assign(d.kernel, {
          interceptors: [
            { name: "a", ports: [80], listener: "web" },
            { name: "b", ports: [443, 80], devices: ["eth0"], listener: "nope" },
            { name: "b", ports: [90, 90], devices: ["eth0", "eth1"], listener: "nope" },
          ],
        }),
      [
        "/kernel/interceptors/0/listener REFERENCE",
        "/kernel/interceptors/1/listener REFERENCE",
        "/kernel/interceptors/1/ports/1 DUPLICATE",
        "/kernel/interceptors/2/listener REFERENCE",
        "/kernel/interceptors/2/name DUPLICATE",
        "/kernel/interceptors/2/ports/1 DUPLICATE",
      ],
    ],
    [
      "bindings of one place twice, of a range that is none, of a listener that is not there, or is a Unix socket",
      (d) => {
        d.listeners.push({ name: "local", address: "unix:/run/x.sock", protocol: "http" });
        Object.assign(d.kernel, {
          bindings: [
            { name: "a", listener: "web", match: [{ ports: ["1-100", 443] }], deny: [{ ports: ["9-8"] }] },
            { name: "b", listener: "web", match: [{ ports: [50] }, { prefix: "10.0.0.0/8", ports: [50] }] },
            { name: "c", listener: "nope", match: [] },
            { name: "c", listener: "local", match: [{ prefix: "10.0.0.0/8", ports: ["49-51"] }] },
          ],
        });
      },
      [
        "/kernel/bindings/0/deny/0/ports/0 VALUE",
        "/kernel/bindings/1/match/0/ports/0 DUPLICATE",
        "/kernel/bindings/2/listener REFERENCE",
        "/kernel/bindings/2/match VALUE",
        "/kernel/bindings/3/listener REFERENCE",
        "/kernel/bindings/3/match/0/ports/0 DUPLICATE",
        "/kernel/bindings/3/name DUPLICATE",
      ],
    ],
    [
      "an allow list that is not there",
      (d) => Object.assign(at(d.kernel.interfaces, 0), { allowlist: "nope" }),
      ["/kernel/interfaces/0/allowlist REFERENCE"],
    ],
    [
      "a firewall on a counter",
      (d) => (at(d.kernel.maps, 0).value = "counter"),
      ["/kernel/interfaces/0/blocklist REFERENCE"],
    ],
    ["a trie of plain addresses", (d) => (at(d.kernel.maps, 0).key = "ip"), ["/kernel/maps/0/key VALUE"]],
    ["bytes without a size", (d) => (at(d.kernel.maps, 1).key = "bytes"), ["/kernel/maps/1/keyBytes REQUIRED"]],
    [
      "a host of nobody",
      (d) => (at(d.routes, 0).match.hosts = ["shop.example"]),
      ["/routes/0/match/hosts/0 HOST_FOREIGN"],
    ],
    [
      "a host of another",
      (d) => (at(d.routes, 0).match.hosts = ["bravo.example"]),
      ["/routes/0/match/hosts/0 HOST_FOREIGN"],
    ],
    [
      "one host of two tenants",
      (d) => at(d.tenants, 1).hosts.push("*.acme.example"),
      ["/tenants/1/hosts/1 HOST_TAKEN"],
    ],
    ["more routes than the quota", (d) => (at(d.tenants, 0).quotas = { routes: 1 }), ["/tenants/0 QUOTA"]],
    ["more bytes than the quota", (d) => (at(d.tenants, 0).quotas = { pluginBytes: 999 }), ["/tenants/0 QUOTA"]],
    [
      "more fuel for a call than the quota",
      (d) => (at(at(d.routes, 0).filters, 0).limits = { fuel: 2_000_001, memoryBytes: 65_536 }),
      ["/routes/0/filters/0/limits/fuel QUOTA"],
    ],
    [
      "a cluster that leads to what the filter may not reach",
      (d) => (at(at(d.routes, 0).filters, 0).vm = { clusters: { "outbound|80||a/b": "canary" } }),
      ["/routes/0/filters/0/vm/clusters/outbound|80||a~1b REFERENCE"],
    ],
    [
      "an upstream not granted",
      (d) => (at(d.tenants, 0).allow = { upstreams: ["canary"] }),
      ["/routes/0/filters/0/allow/upstreams/0 GRANT", "/routes/0/upstream GRANT", "/routes/1/split/0/upstream GRANT"],
    ],
    [
      "a file by REST",
      (d) => (d.plugins[0] = { name: "token-check", tenant: "acme", version: "1", file: "x.wasm" }),
      ["/plugins/0/file MODULE"],
    ],
    ["a module that nobody uploaded", (d) => (at(d.plugins, 0).digest = "0".repeat(64)), ["/plugins/0/digest MODULE"]],
    [
      "a target that no head could hold",
      (d) => Object.assign(d, { settings: { headBytesMax: 4096 } }),
      ["/settings/targetBytesMax VALUE"],
    ],
    [
      "a proxy that is no prefix",
      (d) => Object.assign(d, { settings: { trustedProxies: ["10.0.0.0/33"] } }),
      ["/settings/trustedProxies/0 ADDRESS"],
    ],
  ];
  it.each(cases)("is refused with %s", (_what, change, expected) => {
    const found = findingsAfter(change);
    // "…": and what follows from it.
    if (expected.includes("…")) expect(found).toEqual(expect.arrayContaining(expected.filter((one) => one !== "…")));
    else expect(found.toSorted()).toEqual(expected.toSorted());
  });

  it("reports all errors at once, each with a registered code", () => {
    const declaration = exampleDeclaration();
    Object.assign(at(declaration.listeners, 0), { adress: "x" });
    at(at(declaration.upstreams, 0).endpoints, 0).address = "nowhere";
    at(declaration.routes, 0).upstream = "apy";
    at(declaration.routes, 1).tenant = "acm";
    const checked = checkDeclaration(declaration, context);
    if (checked.ok) throw new Error("passed");
    expect(checked.findings.length).toBeGreaterThanOrEqual(4);
    for (const one of checked.findings) expect(CONFIG_ERRORS).toHaveProperty(one.code);
    const details = checked.findings.map((one) => one.detail).join("\n");
    expect(details).toContain('did you mean "address"?');
    expect(details).toContain('did you mean "api"?');
    expect(details).toContain('did you mean "acme"?');
  });

  it("is bounded in what a tenant's own token may grant itself", () => {
    expect(findingsAfter(() => undefined, "acme")).toEqual(["/routes/0/filters/0/allow/maps/0 GRANT"]);
    expect(findingsAfter((d) => (at(d.tenants, 0).allow = { maps: ["blocklist"] }), "acme")).toEqual([]);
  });
});
