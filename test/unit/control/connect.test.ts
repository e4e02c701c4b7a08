/** Routes that take CONNECT: what they compile to, and what is refused where. */
import { describe, expect, test } from "vitest";
import { checkDeclaration } from "#control/config/check.ts";
import { compile } from "#control/compile.ts";

type Fields = Record<string, unknown>;

function declared(route: Fields): Fields {
  return {
    listeners: [
      { name: "web", address: "127.0.0.1:80", protocol: "http" },
      { name: "db", address: "127.0.0.1:81", protocol: "tcp" },
      { name: "steered", address: "127.0.0.1:82", protocol: "http", transparent: true },
    ],
    upstreams: [{ name: "up", endpoints: [{ address: "127.0.0.1:1" }] }],
    tenants: [{ name: "t", hosts: ["*.t.example"] }],
    routes: [{ name: "r", tenant: "t", listeners: ["web"], upstream: "up", ...route }],
  };
}

function check(route: Fields) {
  return checkDeclaration(declared(route), { modulesRequired: true, moduleBytes: () => undefined, actor: undefined });
}

/** Pointer below the route, and what is said of it. */
function findings(route: Fields): string[] {
  const checked = check(route);
  return checked.ok
    ? []
    : checked.findings.map(({ pointer, detail }) => `${pointer.slice("/routes/0".length)} ${detail}`);
}

function builtin(name: string, config: Fields = {}): Fields {
  return { connect: "forward", filters: [{ builtin: name, config }] };
}

describe("routes that take CONNECT", () => {
  test("compile", () => {
    const checked = check({
      connect: "tunnel",
      match: { hosts: ["db.t.example"], ports: [5432], methods: ["CONNECT"] },
    });
    if (!checked.ok) throw new Error(JSON.stringify(checked.findings));
    const snapshot = compile(checked.resolved, { revision: 1, ages: ["t/r"], meteredDigest: (digest) => digest });
    expect(snapshot.routes[0]).toMatchObject({ connect: "tunnel", match: { hosts: ["db.t.example"], ports: [5432] } });
  });

  test.each<[string, Fields]>([
    ["all ports", { connect: "forward" }],
    ["the path that is every path", { connect: "forward", match: { path: { prefix: "/" } } }],
    [
      "a split by a header field",
      {
        connect: "tunnel",
        upstream: undefined,
        split: [{ upstream: "up", weight: 1 }],
        stickiness: { key: "header:x-user" },
      },
    ],
    ["an intercepted client's own proxy", { connect: "forward", listeners: ["steered"], upstream: "original" }],
    [
      "filters that look at the head",
      {
        connect: "tunnel",
        filters: [
          { builtin: "ip-access", config: { deny: ["192.0.2.0/24"] } },
          { builtin: "rate-limit", config: { perSecond: 5 } },
          { builtin: "static-response", config: { status: 403 } },
        ],
      },
    ],
  ])("take %s", (_what, route) => {
    expect(findings(route)).toEqual([]);
  });

  test.each<[string, Fields, RegExp[]]>([
    ["the method by itself", { match: { methods: ["GET", "CONNECT"] } }, [/^\/match\/methods\/1 .*`connect: tunnel`/]],
    ["ports of other requests", { match: { ports: [80] } }, [/^\/match\/ports .*`connect: tunnel`/]],
    ["another word", { connect: "open" }, [/^\/connect connect is one of tunnel, forward/]],
    ["no port", { connect: "tunnel", match: { ports: [] } }, [/^\/match\/ports name a port/]],
    ["port 0", { connect: "tunnel", match: { ports: [0] } }, [/^\/match\/ports\/0 expected a whole number from 1/]],
    ["a path", { connect: "tunnel", match: { path: { prefix: "/a" } } }, [/^\/match\/path a CONNECT has no path/]],
    ["an exact path", { connect: "tunnel", match: { path: { exact: "/" } } }, [/^\/match\/path a CONNECT has no path/]],
    [
      "another method",
      { connect: "tunnel", match: { methods: ["CONNECT", "GET"] } },
      [/^\/match\/methods\/1 .*CONNECT alone/],
    ],
    ["a bound on bodies", { connect: "tunnel", bodyBytesMax: 1 }, [/^\/bodyBytesMax a CONNECT has no body/]],
    ["a listener of TCP", { connect: "tunnel", listeners: ["db"] }, [/^\/connect .*"db" does not speak it/]],
    [
      "an intercepted client's proxy as its target",
      { connect: "tunnel", listeners: ["steered"], upstream: "original" },
      [/^\/connect .*`connect: forward`/],
    ],
    [
      "a cookie",
      {
        connect: "tunnel",
        upstream: undefined,
        split: [{ upstream: "up", weight: 1 }],
        stickiness: { cookie: "part" },
      },
      [/^\/stickiness\/cookie .*no cookies; use `key`/],
    ],
    [
      "a path to balance by",
      {
        connect: "tunnel",
        upstream: undefined,
        split: [{ upstream: "up", weight: 1 }],
        stickiness: { key: "path" },
      },
      [/^\/stickiness\/key a CONNECT has no path/],
    ],
    ["a redirect", builtin("redirect", { host: "a.t.example" }), [/^\/filters\/0\/builtin .*no redirect of CONNECT/]],
    ["a rewrite", builtin("rewrite", { query: "" }), [/^\/filters\/0\/builtin .*goes to the host that it names/]],
    ["a mirror", builtin("mirror", { upstream: "up" }), [/^\/filters\/0\/builtin .*second tunnel/]],
    ["a cache", builtin("cache"), [/^\/filters\/0\/builtin .*can't be kept/]],
    ["a coding", builtin("compress"), [/^\/filters\/0\/builtin .*no content/]],
    ["a success without a tunnel", builtin("static-response"), [/^\/filters\/0\/config\/status .*300 or more/]],
    [
      "a key in a query",
      builtin("key-auth", { query: "k", keys: [{ name: "a", sha256: "0".repeat(64) }] }),
      [/^\/filters\/0\/config\/query .*use `header`/],
    ],
  ])("refuse %s", (_what, route, expected) => {
    const found = findings(route);
    expect(found.length, found.join("\n")).toBe(expected.length);
    for (const [index, pattern] of expected.entries()) expect(found[index]).toMatch(pattern);
  });
});
