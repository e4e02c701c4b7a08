import { expect, it } from "vitest";
import { compileRouter } from "#router/router.ts";
import { route, TestHead } from "./request.ts";

const ROUTES = [
  route({ name: "fallback" }),
  route({ name: "orders", hosts: ["shop.test"], prefix: "/orders", methods: ["GET", "POST"] }),
  route({ name: "beta", hosts: ["shop.test"], prefix: "/orders", headers: { "x-beta": "1" } }),
  route({ name: "one", hosts: ["*.test"], exact: "/orders/1" }),
  route({ name: "other", hosts: ["other.test"] }),
  route({ name: "elsewhere", listeners: [1] }),
];

it("lists the routes of the host in order of precedence, with what each did not like", () => {
  const head = new TestHead({ method: "DELETE", host: "shop.test", path: "/orders/2", headers: [["x-beta", "2"]] });
  const { considered, ...rest } = compileRouter(ROUTES, 0).explain(head);
  expect(rest).toEqual({ route: 0, method: "DELETE", host: "shop.test", path: "/orders/2", otherHosts: 1 });
  expect(considered).toEqual([
    { route: 1, name: "orders", host: "shop.test", outcome: "method", detail: "method DELETE is not GET or POST" },
    { route: 2, name: "beta", host: "shop.test", outcome: "header", detail: 'header x-beta is "2", not "1"' },
    { route: 3, name: "one", host: "*.test", outcome: "path", detail: "path /orders/2 is not /orders/1" },
    { route: 0, name: "fallback", host: "any host", outcome: "chosen", detail: "the first that matches" },
  ]);
});

it("says that a route matches but comes later, and which path or header is missing", () => {
  const details = (path: string) =>
    compileRouter(ROUTES, 0)
      .explain(new TestHead({ host: "shop.test", path }))
      .considered.map(({ name, outcome, detail }) => `${name}: ${outcome}: ${detail}`);
  expect(details("/orders/1")).toEqual([
    "orders: chosen: the first that matches",
    'beta: header: header x-beta is not there; it must be "1"',
    "one: outranked: matches, but comes after the chosen route",
    "fallback: outranked: matches, but comes after the chosen route",
  ]);
  expect(details("/ordersx")[0]).toBe("orders: path: path /ordersx is not below /orders");
});

it("answers −1 and counts what was not asked when no host fits", () => {
  const explanation = compileRouter(ROUTES.slice(1), 0).explain(new TestHead({ host: "nobody" }));
  expect(explanation.route).toBe(-1);
  expect(explanation.considered).toEqual([]);
  expect(explanation.otherHosts).toBe(4);
});
