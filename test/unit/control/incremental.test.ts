/** What is remembered from one change to the next must never be seen: the outcome is that of a gateway that begins anew. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "#control/canonical.ts";
import { agesAfter, compile } from "#control/compile.ts";
import { checkDeclaration } from "#control/config/check.ts";
import type { Declaration } from "#control/config/declaration.ts";
import type { Verified } from "#control/config/verified.ts";
import { diff } from "#control/diff.ts";
import { KnownSpecs } from "#control/known-specs.ts";
import { equal, sharing } from "#control/sharing.ts";

const OWNERSHIP = { moduleBytes: () => 1, modulesRequired: true, actor: undefined };

/** Small, and wrong now and then: names that are not there, hosts of others, fields that are none. */
const route = fc.record({
  name: fc.constantFrom("a", "b", "c", "d"),
  tenant: fc.constantFrom("acme", "zeta"),
  match: fc.record({
    hosts: fc.constantFrom(["x.acme.example"], ["x.zeta.example"]),
    path: fc.record({ prefix: fc.constantFrom("/", "/p", "no") }),
  }),
  upstream: fc.constantFrom("one", "two"),
});
const declaration = fc.record({
  listeners: fc.constantFrom([{ name: "web", address: "127.0.0.1:80", protocol: "http" }]),
  upstreams: fc.constantFrom(
    [{ name: "one", endpoints: [{ address: "127.0.0.1:1" }] }],
    [
      { name: "two", endpoints: [{ address: "127.0.0.1:2" }] },
      { name: "one", endpoints: [{ address: "127.0.0.1:1" }] },
    ],
  ),
  tenants: fc.constantFrom(
    [
      { name: "acme", hosts: ["*.acme.example"] },
      { name: "zeta", hosts: ["*.zeta.example"] },
    ],
    [
      { name: "acme", hosts: ["*.acme.example", "*.zeta.example"] },
      { name: "zeta", hosts: [] },
    ],
  ),
  routes: fc.array(route, { maxLength: 5 }),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<Declaration>;

function outcome(given: Declaration, ages: readonly string[], verified?: Verified, knownSpecs?: KnownSpecs) {
  const context = verified === undefined ? OWNERSHIP : { ...OWNERSHIP, verified };
  const checked = checkDeclaration(given, context);
  if (!checked.ok) return { findings: checked.findings };
  const now = agesAfter(ages, checked.resolved.routes);
  const known = knownSpecs === undefined ? {} : { knownSpecs };
  const snapshot = compile(checked.resolved, { revision: 1, ages: now, meteredDigest: () => "", ...known });
  return { snapshot, ages: now, verified: checked.verified };
}

describe("changes one after the other", () => {
  it("have the outcome of each by itself", () => {
    fc.assert(
      fc.property(fc.array(declaration, { minLength: 2, maxLength: 6 }), (steps) => {
        const knownSpecs = new KnownSpecs();
        let ages: readonly string[] = [];
        let verified: Verified | undefined;
        let before: Declaration = {};
        for (const step of steps) {
          const shared = sharing(before, step);
          expect(JSON.stringify(shared)).toBe(canonicalJson(step));
          const fresh = outcome(structuredClone(step), ages);
          const known = outcome(shared, ages, verified, knownSpecs);
          expect(known.findings).toEqual(fresh.findings);
          expect(known.snapshot).toEqual(fresh.snapshot);
          // What is refused, as two routes of one name are, has no diff.
          if (known.snapshot === undefined) continue;
          expect(diff(before, shared)).toEqual(diff(structuredClone(before), structuredClone(step)));
          ({ ages, verified } = known);
          before = shared;
        }
      }),
      { numRuns: 100 },
    );
  });

  it("leave what stays the very object it was", () => {
    const routes = ["a", "b", "c"].map((name) => ({ name, tenant: "acme", upstream: "one" }));
    const before: Declaration = { routes };
    const changed = structuredClone(routes).with(1, { name: "b", tenant: "acme", upstream: "two" });
    const shared = sharing(before, { routes: changed }).routes ?? [];
    expect(shared.map((one, i) => one === routes[i])).toEqual([true, false, true]);
  });
});

it("compares as JSON does", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      expect(equal(a, structuredClone(a))).toBe(true);
      const sorted = (_: string, part: unknown) =>
        typeof part === "object" && part !== null && !Array.isArray(part)
          ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => (x < y ? -1 : 1)))
          : part;
      expect(equal(a, b)).toBe(JSON.stringify(a, sorted) === JSON.stringify(b, sorted));
    }),
  );
});
