import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { parseIp } from "#core/address.ts";
import { StreamRouter } from "#router/stream-router.ts";
import type { RoutedStream } from "#router/stream-condition.ts";
import type { StreamMatch, StreamRouteSpec } from "#snapshot/snapshot.ts";

function route(
  name: string,
  match: Partial<StreamMatch>,
  order = 0,
  listeners: readonly number[] = [0],
): StreamRouteSpec {
  return {
    name,
    tenant: "t",
    listeners,
    match: { serverNames: [], sources: [], destinations: [], ...match },
    filters: [],
    action: { kind: "original" },
    order,
  };
}

function stream(serverName: string, source = "192.0.2.1", destination = "", destinationPort = 0): RoutedStream {
  return {
    serverName,
    source: parseIp(source),
    destination: destination === "" ? null : parseIp(destination),
    destinationPort,
  };
}

const ROUTES = [
  route("any", {}, 9),
  route("office", { sources: ["10.0.0.0/8", "2001:db8::/32"] }, 8),
  route("desk", { sources: ["10.1.0.0/16"] }, 7),
  route("exact", { serverNames: ["db.example.com"] }, 6),
  route("wild", { serverNames: ["*.example.com"] }, 5),
  route("deeper", { serverNames: ["*.eu.example.com"] }, 4),
  route("exact from the office", { serverNames: ["db.example.com"], sources: ["10.0.0.0/8"] }, 3),
  route("net", { destinations: [{ prefix: "198.51.100.0/24", port: 0 }] }, 2),
  route("net 443", { destinations: [{ prefix: "198.51.100.0/24", port: 443 }] }, 1),
  route("port", { destinations: [{ prefix: "", port: 25 }] }, 0),
  route("elsewhere", {}, 0, [1]),
];
const router = new StreamRouter(ROUTES, 0);
const nameOf = (index: number): string => ROUTES[index]?.name ?? "none";

describe("a stream's route", () => {
  test.each([
    [stream(""), "any"],
    [stream("", "10.2.0.1"), "office"],
    [stream("", "10.1.0.1"), "desk"],
    [stream("", "2001:db8::1"), "office"],
    [stream("db.example.com"), "exact"],
    [stream("db.example.com", "10.1.0.1"), "exact from the office"],
    [stream("web.example.com"), "wild"],
    [stream("a.b.example.com"), "wild"],
    [stream("x.eu.example.com"), "deeper"],
    [stream("eu.example.com"), "wild"],
    [stream("example.com"), "any"],
    [stream("notexample.com"), "any"],
    [stream("", "10.1.0.1", "198.51.100.7", 80), "net"],
    [stream("", "10.1.0.1", "198.51.100.7", 443), "net 443"],
    [stream("", "10.1.0.1", "203.0.113.1", 25), "port"],
    [stream("", "10.1.0.1", "198.51.100.7", 25), "net"],
    [stream("", "10.1.0.1", "203.0.113.1", 26), "desk"],
  ])("%j → %s", (one, expected) => {
    expect(nameOf(router.match(one))).toBe(expected);
    const explanation = router.explain(one);
    expect(nameOf(explanation.route)).toBe(expected);
    expect(explanation.considered.filter(({ outcome }) => outcome === "chosen")).toHaveLength(1);
  });

  test("none", () => {
    const few = new StreamRouter([route("a", { sources: ["10.0.0.0/8"] })], 0);
    expect(few.match(stream(""))).toBe(-1);
    expect(few.explain(stream("")).considered).toMatchObject([{ name: "a", outcome: "source" }]);
  });

  test("the older of equals", () => {
    const equals = new StreamRouter([route("young", {}, 2), route("old", {}, 1)], 0);
    expect(equals.match(stream(""))).toBe(1);
  });

  test("the tables agree with the explanation", () => {
    const names = fc.constantFrom("", "a.x", "*.x", "b.a.x", "*.a.x", "c.b.a.x");
    const prefixes = fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::/0");
    const match = fc.record({
      serverNames: fc.array(
        names.filter((name) => name !== ""),
        { maxLength: 2 },
      ),
      sources: fc.array(prefixes, { maxLength: 2 }),
      destinations: fc.array(fc.record({ prefix: prefixes, port: fc.constantFrom(0, 1, 2) }), { maxLength: 2 }),
    });
    const one = fc.record({
      name: names.filter((name) => !name.startsWith("*")),
      source: fc.constantFrom("10.1.2.3", "10.1.0.1", "10.9.9.9", "::1"),
      to: fc.constantFrom("", "10.1.2.3", "10.9.9.9", "::1"),
      port: fc.constantFrom(1, 2, 3),
    });
    fc.assert(
      fc.property(fc.array(match, { maxLength: 8 }), one, (matches, { name, source, to, port }) => {
        const routes = matches.map((each, index) => route(`r${index}`, each, matches.length - index));
        const made = new StreamRouter(routes, 0);
        const asked = stream(name, source, to, port);
        expect(made.match(asked)).toBe(made.explain(asked).route);
      }),
    );
  });
});
