import { describe, expect, it } from "vitest";
import { ConnectRouter } from "#router/connect-router.ts";
import { compileRouter } from "#router/router.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { route, TestHead, type RouteText } from "./request.ts";

function connecting({ ports, ...text }: RouteText & { ports?: readonly number[] }): RouteSpec {
  const made = route(text);
  const match = ports === undefined ? made.match : { ...made.match, ports };
  return { ...made, match, connect: "tunnel" };
}

class ConnectHead extends TestHead {
  readonly port: number;
  constructor(host: string, port: number, headers: readonly (readonly [string, string])[] = []) {
    super({ method: "CONNECT", host, path: "", headers });
    this.port = port;
  }
}

const ROUTES = [
  route({ name: "plain", hosts: ["db.test"] }),
  connecting({ name: "any", order: 1 }),
  connecting({ name: "wild", hosts: ["*.test"], order: 2 }),
  connecting({ name: "db", hosts: ["db.test"], order: 3 }),
  connecting({ name: "db-sql", hosts: ["db.test"], ports: [5432, 5433], order: 4 }),
  connecting({ name: "wild-tls", hosts: ["*.test"], ports: [443], order: 5 }),
  connecting({ name: "beta", hosts: ["db.test"], headers: { "x-beta": "1" }, order: 6 }),
  connecting({ name: "elsewhere", hosts: ["x.example"], listeners: [1], order: 7 }),
  connecting({ name: "older-sql", hosts: ["db.test"], ports: [5433], order: 0 }),
];

describe("the route of a CONNECT", () => {
  const router = new ConnectRouter(ROUTES, 0);
  const named = (host: string, port: number, headers?: readonly (readonly [string, string])[]) =>
    ROUTES[router.match(new ConnectHead(host, port, headers))]?.name;

  it.each([
    ["db.test", 22, "db"],
    ["db.test", 5432, "db-sql"],
    ["db.test", 5433, "older-sql"],
    // An exact host goes before a port.
    ["db.test", 443, "db"],
    ["web.test", 443, "wild-tls"],
    ["web.test", 444, "wild"],
    ["x.example", 443, "any"],
    ["x.example", 1, "any"],
    ["", 65_535, "any"],
  ])("%s:%i: %s", (host, port, name) => {
    expect(named(host, port)).toBe(name);
  });

  it("counts header fields before the port", () => {
    expect(named("db.test", 5432, [["x-beta", "1"]])).toBe("beta");
    expect(named("db.test", 5432, [["x-beta", "2"]])).toBe("db-sql");
  });

  it("is none of another listener, nor one of other requests", () => {
    expect(new ConnectRouter(ROUTES, 1).match(new ConnectHead("x.example", 1))).toBe(7);
    expect(new ConnectRouter(ROUTES, 1).match(new ConnectHead("db.test", 1))).toBe(-1);
    expect(new ConnectRouter(ROUTES.slice(0, 1), 0).empty).toBe(true);
    expect(router.empty).toBe(false);
  });

  it("is not found for any other request", () => {
    const requests = compileRouter(ROUTES, 0);
    expect(requests.match(new TestHead({ host: "db.test" }))).toBe(0);
    expect(requests.match(new TestHead({ host: "web.test" }))).toBe(-1);
    expect(requests.explain(new TestHead({ host: "db.test" })).considered.map(({ name }) => name)).toEqual(["plain"]);
  });

  it("says why it is that one", () => {
    const { route: number, considered } = router.explain(new ConnectHead("db.test", 5432));
    expect(ROUTES[number]?.name).toBe("db-sql");
    expect(considered.map((one) => `${ROUTES[one.route]?.name} ${one.name}: ${one.outcome}, ${one.detail}`)).toEqual([
      'beta beta: header, header x-beta is not there; it must be "1"',
      "older-sql older-sql: port, port 5432 is not 5433",
      "db-sql db-sql: chosen, the first that matches",
      "db db: outranked, matches, but comes after the chosen route",
      "wild-tls wild-tls: port, port 5432 is not 443",
      "wild wild: outranked, matches, but comes after the chosen route",
      "any any: outranked, matches, but comes after the chosen route",
    ]);
  });
});
