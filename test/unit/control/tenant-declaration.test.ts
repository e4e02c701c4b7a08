import { describe, expect, it } from "vitest";
import { isGranted, grantFault } from "#control/config/endpoint-grants.ts";
import { tenantFindings, tenantPart, withTenantPart, moduleFindings } from "#control/config/tenant-declaration.ts";
import { mergePatch } from "#control/admin/merge-patch.ts";
import { exampleDeclaration, DIGEST } from "./example.ts";

const bravo = { name: "b", tenant: "bravo", match: {}, filters: [], upstream: "api" };

function whole() {
  const declaration = exampleDeclaration();
  declaration.routes.splice(1, 0, bravo);
  return declaration;
}

describe("a tenant's part", () => {
  it("put back is the same declaration, byte for byte", () => {
    const declaration = whole();
    const merged = withTenantPart(declaration, "acme", tenantPart(declaration, "acme"));
    expect(JSON.stringify(merged.declaration)).toBe(JSON.stringify({ ...declaration }));
  });

  it("replaces the tenant's entries and nobody else's, and findings point into what was sent", () => {
    const declaration = whole();
    const { declaration: after, placeOf } = withTenantPart(declaration, "acme", {
      upstreams: [{ name: "own", endpoints: [{ address: "127.0.0.1:1" }] }],
      routes: [
        { name: "new", upstream: "own" },
        { name: "all", upstream: "api" },
      ],
    });
    expect(after.routes?.map(({ tenant, name }) => `${tenant}/${name}`)).toEqual(["bravo/b", "acme/all", "acme/new"]);
    expect(after.upstreams?.at(-1)).toMatchObject({ name: "own", tenant: "acme" });
    expect(after.plugins).toEqual([]);
    expect(after.tenants).toEqual(declaration.tenants);
    const at = (pointer: string) => placeOf({ pointer, code: "", detail: "" }).pointer;
    expect(["/routes/2/upstream", "/routes/1", "/upstreams/2/name", "/tenants/0"].map(at)).toEqual([
      "/routes/0/upstream",
      "/routes/1",
      "/upstreams/0/name",
      "",
    ]);
  });

  it("names no other tenant, and nothing that tenants don't have", () => {
    const given = { listeners: [], routes: [{ tenant: "bravo" }, 5, { tenant: "acme" }], plugins: {} };
    expect(tenantFindings(given, "acme").map(({ pointer }) => pointer)).toEqual([
      "/listeners",
      "/plugins",
      "/routes/0/tenant",
      "/routes/1",
    ]);
    expect(tenantFindings([], "acme")).toHaveLength(1);
    expect(tenantFindings(null, "acme")).toHaveLength(1);
  });

  it("names only modules that the tenant has uploaded", () => {
    const plugins = (tenantVersion: string, digest: string) => ({
      plugins: [{ name: "token-check", version: tenantVersion, digest }],
    });
    expect(moduleFindings(whole(), "acme", plugins("1", DIGEST))).toEqual([]);
    expect(moduleFindings(whole(), "acme", plugins("2", "b".repeat(64)))).toHaveLength(1);
    expect(moduleFindings(whole(), "bravo", plugins("1", DIGEST))).toHaveLength(1);
    const declaration = whole();
    declaration.plugins.push({ name: "token-check", tenant: "acme", version: "2", digest: "b".repeat(64) });
    expect(moduleFindings(declaration, "acme", plugins("1", "b".repeat(64)))).toMatchObject([
      { detail: expect.stringContaining("never changes") },
    ]);
  });
});

describe("endpoint grants", () => {
  it.each([
    ["10.1.2.3:80", ["10.1.0.0/16"], true],
    ["10.2.2.3:80", ["10.1.0.0/16"], false],
    ["[::ffff:10.1.2.3]:80", ["10.1.0.0/16"], true],
    ["127.0.0.1:80", ["::/0"], false],
    ["127.0.0.1:80", ["127.0.0.1:80"], true],
    ["127.0.0.1:81", ["127.0.0.1:80"], false],
    ["unix:/run/app.sock", ["0.0.0.0/0", "::/0"], false],
    ["unix:/run/app.sock", ["unix:/run/app.sock"], true],
    ["unix:/run/app.sock2", ["unix:/run/app.sock"], false],
    ["nonsense", ["0.0.0.0/0"], false],
    ["10.1.2.3:80", [], false],
  ])("%s under %j: %s", (address, grants, granted) => {
    expect(isGranted(address, grants)).toBe(granted);
  });

  it.each([
    ["10.0.0.0/8", true],
    ["fd00::/8", true],
    ["127.0.0.1:80", true],
    ["unix:/run/app.sock", true],
    ["10.0.0.1/8", false],
    ["10.0.0.1", false],
    ["example.com:80", true],
    ["example.com", false],
  ])("%s is one: %s", (text, valid) => {
    expect(grantFault(text) === undefined).toBe(valid);
  });
});

// RFC 7396, appendix A.
it.each<[unknown, unknown, unknown]>([
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])("merge patch: %j with %j", (target, patch, result) => {
  expect(mergePatch(target, patch)).toEqual(result);
});

it("a merge patch can't reach a prototype", () => {
  const patched = mergePatch({}, JSON.parse('{"__proto__":{"x":1}}')) as Record<string, unknown>;
  expect(Object.getPrototypeOf(patched)).toBe(Object.prototype);
  expect(Object.keys(patched)).toEqual(["__proto__"]);
});
