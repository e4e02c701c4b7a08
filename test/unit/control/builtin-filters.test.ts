import { describe, expect, it } from "vitest";
import { checkDeclaration, type CheckContext } from "#control/config/check.ts";
import { FIXED_FIELDS } from "#control/config/builtin/parts.ts";
import { declarationJsonSchema } from "#control/config/json-schema.ts";
import { compile } from "#control/compile.ts";
import { NAME_FIXED, nameFlags, nameText, newestName } from "#http/names.ts";
import { exampleDeclaration, DIGEST } from "./example.ts";

const context: CheckContext = {
  moduleBytes: (digest) => (digest === DIGEST ? 1000 : undefined),
  modulesRequired: true,
  actor: "acme",
};
const PLACE = "/routes/1/filters/0";
const HASH = "b".repeat(64);

function declared(filter: object): ReturnType<typeof exampleDeclaration> {
  const declaration = exampleDeclaration();
  declaration.tenants[0] = {
    ...declaration.tenants[0],
    name: "acme",
    hosts: ["*.acme.example"],
    allow: { maps: ["blocklist"] },
  };
  const route = declaration.routes[1];
  if (route !== undefined) route.filters = [filter as never];
  return declaration;
}

/** `pointer below the filter code: words`. */
function findings(filter: object): string[] {
  const checked = checkDeclaration(declared(filter), context);
  if (checked.ok) return [];
  return checked.findings.map(
    ({ pointer, code, detail }) => `${pointer.replace(PLACE, "")} ${code.replace("PENSTOCK_CONFIG_", "")}: ${detail}`,
  );
}

function compiled(filter: object): unknown {
  const checked = checkDeclaration(declared(filter), context);
  if (!checked.ok) throw new Error(JSON.stringify(checked.findings));
  const ages = ["acme/orders", "acme/all"];
  return compile(checked.resolved, { revision: 1, ages, meteredDigest: (digest) => digest }).routes[1]?.filters[0];
}

const user = { name: "kim", salt: "12345678", sha256: HASH };

describe("built-in filters in a declaration", () => {
  it.each<[string, object, object]>([
    [
      "headers",
      { request: { set: { "x-a": "1" } } },
      { request: { set: { "x-a": "1" }, add: {}, remove: [] }, response: { set: {}, add: {}, remove: [] } },
    ],
    ["ip-access", { deny: ["203.0.113.0/24"] }, { allow: [], deny: ["203.0.113.0/24"] }],
    ["redirect", { scheme: "https" }, { status: 302, scheme: "https" }],
    ["rewrite", { prefix: { from: "/a", to: "/" } }, { prefix: { from: "/a", to: "/" } }],
    ["basic-auth", { users: [user] }, { realm: "restricted", users: [user] }],
    ["key-auth", { header: "x-api-key", keys: [{ name: "a", sha256: HASH }] }, { header: "x-api-key" }],
    ["cors", { origins: ["*"] }, { methods: ["GET", "HEAD", "POST"], credentials: false, maxAgeSeconds: 600 }],
    ["rate-limit", { perSecond: 100 }, { perSecond: 100, burst: 100, key: "client-ip", keysMax: 65_536 }],
    ["rate-limit", { perSecond: 0.1 }, { burst: 1 }],
    ["static-response", { body: "hello" }, { status: 200, headers: {}, body: "hello" }],
    ["fault", { abort: { status: 503 } }, { abort: { status: 503, percent: 100 } }],
  ])("%s is compiled with its defaults", (name, config, result) => {
    expect(compiled({ builtin: name, config })).toMatchObject({ kind: "builtin", name, config: result });
  });

  const headers = (edits: object): object => ({ builtin: "headers", config: { request: edits } });
  const redirect = (config: object): object => ({ builtin: "redirect", config });
  const cors = (config: object): object => ({ builtin: "cors", config });

  it.each<[string, object, string[]]>([
    ["no such filter", { builtin: "header" }, ["/builtin VALUE: builtin is one of headers"]],
    ["a mirror of nothing", { builtin: "mirror", config: {} }, ["/config/upstream"]],
    ["no configuration", { builtin: "rate-limit" }, ["/config REQUIRED"]],
    ["both kinds", { ...cors({ origins: ["*"] }), plugin: "x@1" }, ['/plugin UNKNOWN_FIELD: unknown field "plugin"']],
    ["a plugin's limits", { ...cors({ origins: ["*"] }), limits: {} }, ["/limits UNKNOWN_FIELD"]],
    [
      "a misspelt field",
      headers({ sett: {} }),
      ['/config/request/sett UNKNOWN_FIELD: unknown field "sett"; did you mean'],
    ],
    ["framing", headers({ set: { "content-length": "1" } }), ["/config/request/set/content-length VALUE"]],
    ["the connection", headers({ remove: ["x-a", "connection"] }), ["/config/request/remove/1 VALUE"]],
    [
      "the host",
      headers({ set: { host: "a" } }),
      ["/config/request/set/host VALUE: the host is changed by the filter rewrite"],
    ],
    [
      "where a request came from",
      headers({ set: { "x-forwarded-user": "1" }, add: { forwarded: "for=1" }, remove: ["x-forwarded-host"] }),
      ["/config/request/set/x-forwarded-user VALUE", "/config/request/add/forwarded VALUE"],
    ],
    ["a line break", headers({ add: { "x-a": "1\r\nx-b: 2" } }), ["/config/request/add/x-a VALUE"]],
    ["capital letters", headers({ add: { "X-A": "1" } }), ["/config/request/add/X-A VALUE"]],
    [
      "host bits of a prefix",
      { builtin: "ip-access", config: { allow: ["10.0.0.1/8"] } },
      ['/config/allow/0 VALUE: "10.0.0.1/8" is no prefix such as 203.0.113.0/24: bits are set behind the first 8'],
    ],
    ["nobody named", { builtin: "ip-access", config: {} }, ["/config VALUE: name prefixes"]],
    ["a redirect to itself", redirect({ status: 301 }), ["/config VALUE: a redirect to the same place"]],
    ["a wrong status", redirect({ status: 303, host: "a" }), ["/config/status VALUE: status is one of 301"]],
    ["an unknown placeholder", redirect({ path: "/{file}" }), ["/config/path VALUE: a path is without query"]],
    ["a path from nothing", redirect({ path: "{query}" }), ['/config/path VALUE: a path starts with "/"']],
    ["a path in the host", redirect({ host: "a/b" }), ["/config/host VALUE"]],
    ["nothing to rewrite", { builtin: "rewrite", config: {} }, ["/config VALUE"]],
    [
      "a password",
      { builtin: "basic-auth", config: { users: [{ name: "kim", password: "x" }] } },
      ["/config/users/0/password UNKNOWN_FIELD", "/config/users/0/salt REQUIRED", "/config/users/0/sha256 REQUIRED"],
    ],
    ["a user twice", { builtin: "basic-auth", config: { users: [user, user] } }, ["/config/users VALUE"]],
    [
      "a key in two places",
      { builtin: "key-auth", config: { header: "x-k", query: "k", keys: [{ name: "a", sha256: HASH }] } },
      ["/config VALUE: give either `header` or `query`"],
    ],
    ["credentials for all", cors({ origins: ["*"], credentials: true }), ["/config VALUE: with `credentials`"]],
    ["an origin with a path", cors({ origins: ["https://a.example/"] }), ["/config/origins/0 VALUE"]],
    ["no rate", { builtin: "rate-limit", config: { perSecond: 0 } }, ["/config/perSecond VALUE"]],
    [
      "a map that is none",
      { builtin: "rate-limit", config: { perSecond: 1, map: "nobody" } },
      ["/config/map REFERENCE", "/config/map GRANT"],
    ],
    [
      "a map for what is no client",
      { builtin: "rate-limit", config: { perSecond: 1, key: "route", map: "blocklist" } },
      [
        "/config/key VALUE: a limit in a map counts by client-ip",
        '/config/map VALUE: map "blocklist" has key ip-prefix',
      ],
    ],
    ["an unknown key", { builtin: "rate-limit", config: { perSecond: 1, key: "ip" } }, ["/config/key VALUE"]],
    [
      "a body for 204",
      { builtin: "static-response", config: { status: 204, body: "x" } },
      ["/config VALUE: a response with this status has no body"],
    ],
    ["a long body", { builtin: "static-response", config: { body: "é".repeat(8193) } }, ["/config/body VALUE"]],
    ["no fault", { builtin: "fault", config: {} }, ["/config VALUE"]],
    [
      "more than all",
      { builtin: "fault", config: { delay: { ms: 1, percent: 101 } } },
      ["/config/delay/percent VALUE"],
    ],
  ])("refuses %s", (_what, filter, expected) => {
    const found = findings(filter);
    expect(found.map((one, index) => one.slice(0, expected[index]?.length))).toEqual(expected);
  });

  it("know the fields that no filter may touch", () => {
    const fixed = Array.from({ length: newestName() }, (_, index) => index + 1).filter(
      (id) => (nameFlags(id) & NAME_FIXED) !== 0,
    );
    expect(fixed.map(nameText).toSorted()).toEqual([...FIXED_FIELDS].toSorted());
  });

  it("are described in the JSON Schema", () => {
    const text = JSON.stringify(declarationJsonSchema());
    for (const name of ["headers", "ip-access", "redirect", "rewrite", "basic-auth", "key-auth", "cors"]) {
      expect(text).toContain(`{"const":"${name}"}`);
    }
    for (const field of ["perSecond", "maxAgeSeconds", "onFault"]) expect(text).toContain(`"${field}"`);
  });
});
