/** The tables against a matcher that a reader can see to be right, over small alphabets so that everything collides. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { numberedAfter } from "#router/numbering.ts";
import { revisingRouter } from "#router/revising.ts";
import { compileRouter, type Router } from "#router/router.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { route, TestHead, type RequestText } from "./request.ts";

/** Sorts first what must win; null where the route does not take the request. */
type Rank = readonly number[] | null;

function hostRank(hosts: readonly string[], host: string): readonly number[] | null {
  if (hosts.length === 0) return [2, 0];
  const ranks = hosts.flatMap((pattern): (readonly number[])[] => {
    if (pattern === host) return [[0, 0]];
    const suffix = pattern.slice(1);
    if (pattern.startsWith("*.") && host.endsWith(suffix) && host !== suffix) return [[1, -pattern.length]];
    return [];
  });
  return ranks.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0))[0] ?? null;
}

function pathRank({ kind, value }: RouteSpec["match"]["path"], path: string): readonly number[] | null {
  if (kind === "exact") return path === value ? [0, 0] : null;
  const prefix = value.replace(/\/$/, "");
  return `${path}/`.startsWith(`${prefix}/`) || prefix === "" ? [1, -prefix.length] : null;
}

function rank(spec: RouteSpec, index: number, request: Required<RequestText>): Rank {
  const host = hostRank(spec.match.hosts, request.host);
  const path = pathRank(spec.match.path, request.path);
  if (host === null || path === null) return null;
  const { methods, headers } = spec.match;
  if (methods.length > 0 && !methods.includes(request.method)) return null;
  for (const { name, value } of headers) {
    const sent = request.headers.filter(([sentName]) => sentName === name).map(([, sentValue]) => sentValue);
    if (sent.length === 0 || sent.join(",") !== value) return null;
  }
  return [...host, ...path, methods.length > 0 ? 0 : 1, -headers.length, spec.order, index];
}

function naive(routes: readonly RouteSpec[], request: Required<RequestText>): number {
  let best = -1;
  let bestRank: readonly number[] = [];
  routes.forEach((spec, index) => {
    const found = spec.listeners.includes(0) ? rank(spec, index, request) : null;
    if (found === null) return;
    const differing = found.findIndex((value, at) => value !== bestRank[at]);
    if (best < 0 || (found[differing] ?? 0) < (bestRank[differing] ?? 0)) {
      best = index;
      bestRank = found;
    }
  });
  return best;
}

const label = fc.constantFrom("a", "b");
const host = fc.array(label, { minLength: 1, maxLength: 3, size: "max" }).map((labels) => labels.join("."));
const pattern = fc.oneof(
  host,
  host.map((name) => `*.${name}`),
);
const segment = fc.constantFrom("", "a", "ab");
const path = fc.array(segment, { maxLength: 2, size: "max" }).map((segments) => `/${segments.join("/")}`);
const method = fc.constantFrom("GET", "PUT", "PURGE");
const name = fc.constantFrom("x-a", "x-b");
const value = fc.constantFrom("1", "1", "1", "1,1", "");

const spec = fc
  .record({
    hosts: fc.array(pattern, { maxLength: 2, size: "max" }),
    exact: fc.boolean(),
    path,
    methods: fc.oneof(fc.constant([]), fc.array(method, { maxLength: 2 })),
    headers: fc.oneof(fc.constant({}), fc.dictionary(name, value, { maxKeys: 3 })),
    order: fc.nat(3),
    listeners: fc.constantFrom([0], [0, 1], [0], [1]),
  })
  .map(({ exact, path: text, ...rest }) => route({ ...rest, ...(exact ? { exact: text } : { prefix: text }) }));
const routes = fc.array(spec, { minLength: 1, maxLength: 40, size: "max" });
const request = fc.record({
  method,
  host: fc.oneof(host, fc.constantFrom("", ".a", "a..b", ".")),
  path: fc.oneof(path, fc.constant("*")),
  headers: fc.array(fc.tuple(name, value), { maxLength: 4, size: "max" }),
});

it("finds what the naive matcher finds, and explains the same", () => {
  const chosen = { matched: 0, byHeader: 0, byMethod: 0, exactHost: 0 };
  fc.assert(
    fc.property(routes, fc.array(request, { minLength: 20, maxLength: 20 }), fc.integer(), (specs, requests, seed) => {
      const router = compileRouter(specs, 0, seed);
      for (const text of requests) {
        const expected = naive(specs, text);
        const explanation = router.explain(new TestHead(text));
        expect(explanation.route).toBe(expected);
        expect(explanation.considered.find(({ outcome }) => outcome === "chosen")?.route ?? -1).toBe(expected);
        const match = specs[expected]?.match;
        if (match === undefined) continue;
        chosen.matched++;
        if (match.headers.length > 0) chosen.byHeader++;
        if (match.methods.length > 0) chosen.byMethod++;
        if (match.hosts.includes(text.host)) chosen.exactHost++;
      }
    }),
    { numRuns: 1500 },
  );
  // Guards the generators: requests that meet nothing, or only the plainest routes, would prove little.
  for (const count of Object.values(chosen)) expect(count).toBeGreaterThan(400);
  expect(chosen.matched).toBeGreaterThan(10_000);
});

/** What becomes of a list of routes: at each place one is put in, taken out or put in its place, or all turn round. */
const edits = fc.array(
  fc.record({ at: fc.nat(40), kind: fc.constantFrom("in", "out", "change", "turn"), fresh: spec }),
  { minLength: 1, maxLength: 4 },
);

function edited(before: readonly RouteSpec[], made: readonly { at: number; kind: string; fresh: RouteSpec }[]) {
  let after = [...before];
  for (const { at, kind, fresh } of made) {
    if (kind === "in") after.splice(at, 0, fresh);
    else if (kind === "out") after.splice(at, 1);
    else if (kind === "turn") after = after.toReversed();
    else if (at < after.length) after[at] = { ...fresh, name: after[at]?.name ?? "" };
  }
  return after;
}

function completed<T>(work: Generator<void, T, void>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

it("a router that is revised finds what one compiled anew would, and the one before what it did", () => {
  const answers = (router: Router, requests: readonly Required<RequestText>[]) =>
    requests.map((text) => router.match(new TestHead(text)));
  fc.assert(
    fc.property(
      routes.map((specs) => specs.map((one, i) => ({ ...one, name: `r${i}` }))),
      fc.array(edits, { minLength: 1, maxLength: 5 }),
      fc.array(request, { minLength: 20, maxLength: 20 }),
      (specs, steps, requests) => {
        let list: readonly RouteSpec[] = specs;
        let router = compileRouter(specs, 0);
        for (const step of steps) {
          const before = answers(router, requests);
          const after = edited(list, step);
          const numbered = defined(numberedAfter(router.routes, list, after), "numbers");
          expect(new Set(numbered.routes)).toEqual(new Set(after));
          expect(numbered.routes).toHaveLength(after.length);
          const next = defined(completed(revisingRouter(router, numbered.routes, numbered.changed)), "a router");
          expect(answers(next, requests)).toEqual(requests.map((text) => naive(numbered.routes, text)));
          expect(answers(router, requests)).toEqual(before);
          [list, router] = [after, next];
        }
      },
    ),
    { numRuns: 300 },
  );
});

it("a route keeps its number while it is there", () => {
  const specs = Array.from({ length: 600 }, (_, i) => route({ name: `r${i}`, prefix: `/${i}` }));
  const fresh = route({ name: "new" });
  const [, second, ...rest] = specs;
  const out = defined(numberedAfter(specs, specs, specs.toSpliced(0, 1)), "numbers");
  expect([out.routes[0], out.routes[1], out.changed]).toEqual([specs[599], second, [0, 599]]);
  const changed = defined(numberedAfter(specs, specs, [fresh, second as RouteSpec, ...rest]), "numbers");
  expect([changed.routes[0], changed.changed]).toEqual([fresh, [0]]);
  expect(numberedAfter(specs, specs, specs.toReversed())).toEqual({ routes: specs, changed: [] });
  expect(numberedAfter(specs, specs, [])).toBeNull();
});

it("what is revised again and again is compiled anew in the end", () => {
  const specs = Array.from({ length: 20 }, (_, i) => route({ name: `r${i}`, hosts: ["a"], prefix: `/${i}` }));
  let router: Router | null = compileRouter(specs, 0);
  let times = 0;
  for (; router !== null; times++) {
    const after = router.routes.with(
      times % 20,
      route({ name: `r${times % 20}`, hosts: ["a"], prefix: `/new-${times}` }),
    );
    router = completed(revisingRouter(router, after, [times % 20]));
  }
  expect(times).toBe(1001);
});
