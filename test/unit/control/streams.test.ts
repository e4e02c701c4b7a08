/** Listeners and routes of streams: what is taken, what they compile to, and what is refused where. */
import { afterAll, describe, expect, test } from "vitest";
import { checkDeclaration } from "#control/config/check.ts";
import { compile } from "#control/compile.ts";
import { TestAuthority } from "#test/support/certificates.ts";

interface Declared {
  listeners: Record<string, unknown>[];
  routes: Record<string, unknown>[];
  upstreams: Record<string, unknown>[];
  tenants: Record<string, unknown>[];
  certificates: Record<string, unknown>[];
}

const authority = new TestAuthority();
const issued = authority.issue();
afterAll(() => authority.dispose());

function declared(): Declared {
  return {
    listeners: [
      { name: "db", address: "127.0.0.1:5432", protocol: "tcp" },
      { name: "dns", address: "127.0.0.1:5432", protocol: "udp", sessionsMax: 100, idleTimeoutMs: 5000 },
      { name: "pass", address: "127.0.0.1:443", protocol: "tls-passthrough" },
      { name: "steered", address: "127.0.0.1:18000", protocol: "tcp", transparent: true },
      { name: "web", address: "127.0.0.1:80", protocol: "http", proxyProtocol: { trusted: ["10.0.0.0/8"] } },
      { name: "mqtts", address: "127.0.0.1:8883", protocol: "tcp", tls: { certificates: ["site"] } },
    ],
    certificates: [{ name: "site", certificate: issued.certificate, privateKey: issued.key }],
    upstreams: [
      { name: "up", endpoints: [{ address: "127.0.0.1:1" }], proxyProtocol: "v2" },
      { name: "local", endpoints: [{ address: "unix:/run/x.sock" }] },
      { name: "plain", endpoints: [{ address: "127.0.0.1:1" }] },
      { name: "broker", endpoints: [{ address: "127.0.0.1:1" }], proxyProtocol: "v1", tls: { alpn: ["mqtt"] } },
    ],
    tenants: [{ name: "t", hosts: ["*.t.example"] }],
    routes: [
      { name: "db", tenant: "t", listeners: ["db"], match: { sources: ["10.0.0.0/8"] }, upstream: "up" },
      { name: "dns", tenant: "t", listeners: ["dns"], upstream: "plain" },
      {
        name: "pass",
        tenant: "t",
        listeners: ["pass"],
        match: { hosts: ["a.t.example"] },
        filters: [{ builtin: "ip-access", config: { deny: ["192.0.2.0/24"] } }],
        upstream: "up",
      },
      {
        name: "steered",
        tenant: "t",
        listeners: ["steered"],
        match: { destinations: [{ prefix: "10.1.0.0/16", port: 443 }, { port: 25 }] },
        upstream: "original",
      },
      { name: "web", tenant: "t", upstream: "up" },
      { name: "named", tenant: "t", listeners: ["mqtts"], match: { hosts: ["m.t.example"] }, upstream: "broker" },
      { name: "rest", tenant: "t", listeners: ["mqtts", "db"], upstream: "plain" },
    ],
  };
}

function check(input: unknown, actor?: string) {
  return checkDeclaration(input, { modulesRequired: true, moduleBytes: () => undefined, actor });
}

/** `POINTER CODE` of each finding. */
function findings(change: (d: Declared) => void, actor?: string): string[] {
  const input = declared();
  change(input);
  const checked = check(input, actor);
  return checked.ok ? [] : checked.findings.map((one) => `${one.pointer} ${one.code.replace("PENSTOCK_CONFIG_", "")}`);
}

describe("streams", () => {
  test("compile to routes of their own, with the defaults of their protocol", () => {
    const checked = check(declared());
    if (!checked.ok) throw new Error(JSON.stringify(checked.findings));
    const ages = ["db", "dns", "pass", "steered", "web", "named", "rest"].map((name) => `t/${name}`);
    const sealedKey = () => "sealed";
    const snapshot = compile(checked.resolved, { revision: 1, ages, meteredDigest: (digest) => digest, sealedKey });
    expect(snapshot.routes.map((route) => [route.name, route.listeners])).toEqual([["web", [4]]]);
    expect(snapshot.listeners.map((one) => [one.name, one.stream])).toEqual([
      ["db", { idleTimeoutMs: 600_000, sessionsMax: 0 }],
      ["dns", { idleTimeoutMs: 5000, sessionsMax: 100 }],
      ["pass", { idleTimeoutMs: 600_000, sessionsMax: 0 }],
      ["steered", { idleTimeoutMs: 600_000, sessionsMax: 0 }],
      ["web", undefined],
      ["mqtts", { idleTimeoutMs: 600_000, sessionsMax: 0 }],
    ]);
    expect(snapshot.listeners[5]?.tls).toMatchObject({ certificates: [0], alpn: [], minVersion: "1.2" });
    expect(snapshot.listeners[4]?.proxyProtocol).toEqual({ trusted: ["10.0.0.0/8"], required: true });
    expect(snapshot.upstreams.map((one) => one.proxyProtocol)).toEqual(["v2", undefined, undefined, "v1"]);
    expect(snapshot.upstreams[3]?.tls).toMatchObject({ alpn: ["http/1.1"], streamAlpn: ["mqtt"] });
    expect(snapshot.streamRoutes?.map((route) => route.match)).toEqual([
      { serverNames: [], sources: ["10.0.0.0/8"], destinations: [] },
      { serverNames: [], sources: [], destinations: [] },
      { serverNames: ["a.t.example"], sources: [], destinations: [] },
      {
        serverNames: [],
        sources: [],
        destinations: [
          { prefix: "10.1.0.0/16", port: 443 },
          { prefix: "", port: 25 },
        ],
      },
      { serverNames: ["m.t.example"], sources: [], destinations: [] },
      // Not the tenant's hosts: clients of TCP need not name one.
      { serverNames: [], sources: [], destinations: [] },
    ]);
    expect(snapshot.streamRoutes?.[2]?.filters).toMatchObject([{ kind: "builtin", name: "ip-access" }]);
    expect(snapshot.streamRoutes?.[3]?.action).toEqual({ kind: "original" });
  });

  const cases: [string, (d: Declared) => void, string[]][] = [
    ["nothing", () => {}, []],
    ["a time-out of HTTP", (d) => set(d.listeners[4], { idleTimeoutMs: 1 }), ["/listeners/4/idleTimeoutMs VALUE"]],
    ["sessions of TCP", (d) => set(d.listeners[0], { sessionsMax: 1 }), ["/listeners/0/sessionsMax VALUE"]],
    ["splicing of TCP", (d) => set(d.listeners[0], { splice: "sockmap" }), []],
    ["splicing by a word", (d) => set(d.listeners[0], { splice: "kernel" }), ["/listeners/0/splice VALUE"]],
    ["splicing of datagrams", (d) => set(d.listeners[1], { splice: "sockmap" }), ["/listeners/1/splice VALUE"]],
    ["splicing of what is upgraded from HTTP", (d) => set(d.listeners[4], { splice: "sockmap" }), []],
    [
      "PROXY headers over UDP",
      (d) => set(d.listeners[1], { proxyProtocol: { trusted: ["::/0"] } }),
      ["/listeners/1/proxyProtocol VALUE"],
    ],
    [
      "nobody to be trusted",
      (d) => set(d.listeners[0], { proxyProtocol: { trusted: [] } }),
      ["/listeners/0/proxyProtocol/trusted VALUE"],
    ],
    [
      "who is trusted left out",
      (d) => set(d.listeners[0], { proxyProtocol: {} }),
      ["/listeners/0/proxyProtocol/trusted REQUIRED"],
    ],
    [
      "a trusted name",
      (d) => set(d.listeners[0], { proxyProtocol: { trusted: ["lb"] } }),
      ["/listeners/0/proxyProtocol/trusted/0 VALUE"],
    ],
    ["version 3", (d) => set(d.upstreams[0], { proxyProtocol: "v3" }), ["/upstreams/0/proxyProtocol VALUE"]],
    ["UDP on a Unix socket", (d) => set(d.listeners[1], { address: "unix:/x" }), ["/listeners/1/address ADDRESS"]],
    [
      "two of one port",
      (d) => set(d.listeners[1], { protocol: "tcp", sessionsMax: undefined }),
      ["/listeners/1/address DUPLICATE"],
    ],
    ["two protocols", (d) => set(d.routes[0], { listeners: ["db", "dns"] }), ["/routes/0/listeners VALUE"]],
    ["HTTP among them", (d) => set(d.routes[0], { listeners: ["web", "db"] }), ["/routes/0/listeners VALUE"]],
    [
      "hosts of TCP, with TLS and without",
      (d) => set(d.routes[6], { match: { hosts: ["a.t.example"] } }),
      ["/routes/6/match/hosts VALUE"],
    ],
    [
      "a foreign name of TCP with TLS",
      (d) => set(d.routes[5], { match: { hosts: ["b.example"] } }),
      ["/routes/5/match/hosts/0 HOST_FOREIGN"],
    ],
    ["TLS of UDP", (d) => set(d.listeners[1], { tls: { certificates: ["site"] } }), ["/listeners/1/tls VALUE"]],
    ["TLS that passes", (d) => set(d.listeners[2], { tls: { certificates: ["site"] } }), ["/listeners/2/tls VALUE"]],
    ["any name by ALPN", (d) => set(d.listeners[5], { tls: { certificates: ["site"], alpn: ["mqtt", "h2"] } }), []],
    [
      "an empty name by ALPN",
      (d) => set(d.listeners[5], { tls: { certificates: ["site"], alpn: [""] } }),
      ["/listeners/5/tls/alpn/0 VALUE"],
    ],
    [
      "a request field of TCP",
      (d) =>
        set(d.listeners[5], {
          tls: {
            certificates: ["site"],
            clientAuth: { mode: "required", fingerprints: ["0".repeat(64)], header: "x" },
          },
        }),
      ["/listeners/5/tls/clientAuth/header VALUE"],
    ],
    ["datagrams to TLS", (d) => set(d.upstreams[2], { tls: {} }), ["/routes/1 VALUE"]],
    ["HTTP/2 of streams", (d) => set(d.upstreams[3], { tls: { alpn: ["h2"] } }), []],
    [
      "HTTP/2 of requests",
      (d) => {
        set(d.routes[4], { upstream: "broker" });
        set(d.routes[5], { upstream: "plain" });
        set(d.upstreams[3], { tls: { alpn: ["http/1.1", "h2"] } });
      },
      ["/upstreams/3/tls/alpn/1 UNSUPPORTED"],
    ],
    ["hosts of TCP", (d) => set(d.routes[0], { match: { hosts: ["a.t.example"] } }), ["/routes/0/match/hosts VALUE"]],
    ["a path of TLS", (d) => set(d.routes[2], { match: { path: { prefix: "/" } } }), ["/routes/2/match/path VALUE"]],
    [
      "a foreign server name",
      (d) => set(d.routes[2], { match: { hosts: ["b.example"] } }),
      ["/routes/2/match/hosts/0 HOST_FOREIGN"],
    ],
    ["sources of HTTP", (d) => set(d.routes[4], { match: { sources: ["::/0"] } }), ["/routes/4/match/sources VALUE"]],
    [
      "a bad source",
      (d) => set(d.routes[0], { match: { sources: ["10.0.0.1/8"] } }),
      ["/routes/0/match/sources/0 VALUE"],
    ],
    [
      "destinations that nobody knows",
      (d) => set(d.routes[0], { match: { destinations: [{ port: 1 }] } }),
      ["/routes/0/match/destinations VALUE"],
    ],
    [
      "an empty destination",
      (d) => set(d.routes[3], { match: { destinations: [{}] } }),
      ["/routes/3/match/destinations/0 VALUE"],
    ],
    [
      "a filter of HTTP",
      (d) => set(d.routes[0], { filters: [{ builtin: "cors", config: { origins: ["*"] } }] }),
      ["/routes/0/filters/0/builtin VALUE"],
    ],
    [
      "a rate by header",
      (d) => set(d.routes[0], { filters: [{ builtin: "rate-limit", config: { perSecond: 1, key: "header:x" } }] }),
      ["/routes/0/filters/0/config/key VALUE"],
    ],
    ["datagrams behind PROXY headers", (d) => set(d.routes[1], { upstream: "up" }), ["/routes/1 VALUE"]],
    ["datagrams to a Unix socket", (d) => set(d.routes[1], { upstream: "local" }), ["/routes/1 VALUE"]],
    [
      "`original` of a plain listener",
      (d) => set(d.routes[0], { upstream: "original" }),
      ["/routes/0/upstream REFERENCE"],
    ],
  ];
  test.each(cases)("with %s", (_what, change, expected) => {
    expect(findings(change)).toEqual(expected);
  });

  test("a tenant's own token takes a listener without hosts only where it was granted", () => {
    const grants = (names: string[] | undefined) => (d: Declared) => {
      d.routes.splice(1);
      d.tenants[0] = { name: "t", hosts: [], allow: names === undefined ? {} : { listeners: names } };
    };
    expect(findings(grants(undefined), "t")).toEqual(["/routes/0/listeners GRANT"]);
    expect(findings(grants(["db"]), "t")).toEqual([]);
    expect(findings(grants(undefined))).toEqual([]);
    const only = (name: string) => (d: Declared) => {
      d.routes = d.routes.filter((one) => one["name"] === name);
    };
    expect(findings(only("named"), "t")).toEqual([]);
    expect(findings(only("rest"), "t")).toEqual(["/routes/0/listeners GRANT"]);
  });
});

function set(target: Record<string, unknown> | undefined, values: Record<string, unknown>): void {
  if (target === undefined) throw new Error("nothing to change");
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) Reflect.deleteProperty(target, key);
    else target[key] = value;
  }
}
