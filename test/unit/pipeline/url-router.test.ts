import { describe, expect, it } from "vitest";
import { URLRouter } from "#pipeline/library/url-router.ts";

const router = new URLRouter<string>({
  "/*": "any",
  "/exact": "exact",
  "/api/*": "api",
  "/api/v1/*": "v1",
  "/users/:id": "user",
  "/users/:id/orders/:order": "order",
  "/users/me": "me",
  "/users/:id/*": "of a user",
  "shop.example/*": "shop",
  "shop.example/cart": "cart",
  "*.example/*": "example",
  "*.shop.example/*": "sub",
  "only.test/here": "only",
});

describe("find", () => {
  it.each([
    ["", "/", "any"],
    ["", "", "any"],
    ["", "/exact", "exact"],
    ["", "/exact/", "any"],
    ["", "/exact?q=1", "exact"],
    ["", "/exact#part", "exact"],
    ["", "/api", "api"],
    ["", "/api/", "api"],
    ["", "/apis", "any"],
    ["", "/api/v1", "v1"],
    ["", "/api/v2/x", "api"],
    ["", "/api/v1/../v2", "api"],
    ["", "/api/./v1/x", "v1"],
    ["", "/%61pi/x", "api"],
    ["", "/api%2Fv1", "any"],
    ["", "/a/../../x", undefined],
    ["", "x", undefined],
    ["", "/users/7", "user"],
    ["", "/users/me", "me"],
    ["", "/users/me/orders/1", "order"],
    ["", "/users/7/orders/1", "order"],
    ["", "/users/7/else", "of a user"],
    ["", "/users/", "any"],
    ["", "/users//orders/1", "any"],
    ["shop.example", "/cart", "cart"],
    ["shop.example", "/cart/", "shop"],
    ["SHOP.example.:8080", "/cart", "cart"],
    ["a.shop.example", "/cart", "sub"],
    ["a.b.shop.example", "/", "sub"],
    ["other.example", "/", "example"],
    ["example", "/", "any"],
    ["only.test", "/here", "only"],
    ["only.test", "/api/x", "api"],
    ["[2001:db8::1]:80", "/", "any"],
    [undefined, "/exact", "exact"],
  ])("%s %s", (host, path, expected) => {
    expect(router.find(host, path)).toBe(expected);
  });

  it("finds nothing where nothing stands", () => {
    expect(new URLRouter({ "a.example/x": 1 }).find("b.example", "/x")).toBeUndefined();
    expect(new URLRouter().find("", "/")).toBeUndefined();
  });

  it("does not depend on the order in which patterns were added", () => {
    const entries = [
      ["/a/*", 1],
      ["/a/:b", 2],
      ["/a/b", 3],
      ["h.example/*", 4],
    ] as const;
    for (const order of [entries, entries.toReversed()]) {
      const other = new URLRouter(Object.fromEntries(order));
      expect(other.find("", "/a/b")).toBe(3);
      expect(other.find("", "/a/c")).toBe(2);
      expect(other.find("", "/a/c/d")).toBe(1);
      expect(other.find("h.example", "/a/b")).toBe(4);
    }
  });

  it("values may be anything, undefined and false too", () => {
    const other = new URLRouter<unknown>({ "/f": false, "/*": 0 });
    expect(other.find("", "/f")).toBe(false);
    expect(other.find("", "/x")).toBe(0);
  });
});

describe("match", () => {
  it("gives what was captured, by name", () => {
    expect(router.match("", "/users/42/orders/7?x")).toEqual({ value: "order", params: { id: "42", order: "7" } });
    expect(router.match("", "/users/a%20b/x/y")).toEqual({ value: "of a user", params: { id: "a%20b", "*": "x/y" } });
    expect(router.match("", "/api")).toEqual({ value: "api", params: { "*": "" } });
    expect(router.match("", "/exact")).toEqual({ value: "exact", params: {} });
  });
});

describe("patterns", () => {
  it.each([
    "",
    "users",
    "a b/x",
    "*.a.*/x",
    "a.*.example/",
    "/a*",
    "/*/a",
    "/:1",
    "/:a/:a",
    "/..",
    "/a?b",
    "http://a/b",
  ])("%s is refused with its text", (pattern) => {
    expect(() => new URLRouter({ [pattern]: 1 })).toThrow(JSON.stringify(pattern));
  });

  it("the same requests can't belong to two", () => {
    expect(() => new URLRouter({ "/users/:id": 1, "/users/:name": 2 })).toThrow("/users/:name");
    expect(() => new URLRouter({ "A.example/": 1, "a.example/": 2 })).toThrow("a.example/");
  });
});
