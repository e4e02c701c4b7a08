import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import type { RedirectConfig, RewriteConfig } from "#snapshot/builtin-filters.ts";
import { made, requestOf, targetOf, through } from "./exchange.ts";

describe("redirect", () => {
  it.each<[string, Partial<RedirectConfig>, string, string, string]>([
    ["to https", { scheme: "https" }, "GET /a?b=1", "shop.example", "https://shop.example/a?b=1"],
    ["from a port to https", { scheme: "https" }, "GET /", "shop.example:8080", "https://shop.example/"],
    [
      "another path, the same port",
      { path: "/new{path}" },
      "GET /a",
      "shop.example:8080",
      "http://shop.example:8080/new/a",
    ],
    ["another host", { host: "www.{host}" }, "GET /a", "shop.example:8080", "http://www.shop.example/a"],
    ["a port", { port: 8443, scheme: "https" }, "GET /", "shop.example", "https://shop.example:8443/"],
    ["no query", { query: "" }, "GET /a?b=1", "shop.example", "http://shop.example/a"],
    ["more query", { query: "from=a&{query}" }, "GET /a?b=1", "shop.example", "http://shop.example/a?from=a&b=1"],
    ["more query than none", { query: "from=a&{query}" }, "GET /a", "shop.example", "http://shop.example/a?from=a"],
    [
      "the host in the path",
      { host: "all.example", path: "/{host}{path}" },
      "GET /a",
      "b.example",
      "http://all.example/b.example/a",
    ],
    [
      "a path like a host",
      { path: "{path}" },
      "GET //evil.example",
      "shop.example",
      "http://shop.example//evil.example",
    ],
    ["a dollar sign", { path: "/x{path}" }, "GET /$&", "shop.example", "http://shop.example/x/$&"],
  ])("%s", (_what, config, line, host, location) => {
    const exchange = requestOf(line, `host: ${host}`);
    expect(through(made("redirect", { status: 308, ...config }), exchange)).toBe(REPLY);
    expect(exchange.reply).toEqual({ status: 308, headers: [["location", location]], body: "" });
  });
});

describe("rewrite", () => {
  it.each<[string, RewriteConfig["prefix"], string, string]>([
    ["a prefix", { from: "/old", to: "/new" }, "/old/a?b=1", "/new/a?b=1"],
    ["the whole path", { from: "/old", to: "/new" }, "/old", "/new"],
    ["an empty query", { from: "/old", to: "/new" }, "/old?", "/new?"],
    ["part of a segment", { from: "/old", to: "/new" }, "/older", "/older"],
    ["another path", { from: "/old", to: "/new" }, "/a/old", "/a/old"],
    ["off", { from: "/old", to: "/" }, "/old/a", "/a"],
    ["off to nothing", { from: "/old", to: "/" }, "/old?b", "/?b"],
    ["in front of all", { from: "/", to: "/api" }, "/a", "/api/a"],
    ["in front of the root", { from: "/", to: "/api" }, "/", "/api/"],
    ["slashes at the end", { from: "/old/", to: "/new/" }, "/old/a", "/new/a"],
    ["what is encoded", { from: "/old", to: "/new" }, "/old/a%2Fb", "/new/a%2Fb"],
  ])("%s", (_what, prefix, before, after) => {
    const exchange = requestOf(`GET ${before}`);
    expect(through(made("rewrite", { prefix }), exchange)).toBe(CONTINUE);
    expect(targetOf(exchange)).toBe(after);
  });

  it.each<[string, RewriteConfig, string, string]>([
    ["more query", { query: "from=a&{query}" }, "/a?b=1", "/a?from=a&b=1"],
    ["more query than none", { query: "from=a&{query}" }, "/a", "/a?from=a"],
    ["more query behind none", { query: "{query}&from=a" }, "/a", "/a?from=a"],
    ["no query", { query: "" }, "/a?b=1", "/a"],
    [
      "what came, in a query",
      { prefix: { from: "/old", to: "/new" }, query: "at={host}{path}" },
      "/old/a?b",
      "/new/a?at=shop.example/old/a",
    ],
    ["a query alone where the prefix is another", { prefix: { from: "/old", to: "/new" }, query: "c" }, "/a?b", "/a?c"],
  ])("%s", (_what, config, before, after) => {
    const exchange = requestOf(`GET ${before}`);
    expect(through(made("rewrite", config), exchange)).toBe(CONTINUE);
    expect(targetOf(exchange)).toBe(after);
  });

  it("answers where a query becomes too long", () => {
    const exchange = requestOf(`GET /a?${"b".repeat(1000)}`);
    expect(through(made("rewrite", { query: "{query}".repeat(100) }), exchange)).toBe(REPLY);
    expect([exchange.reply?.status, targetOf(exchange).length]).toEqual([500, 1003]);
  });

  it("the host", () => {
    const exchange = requestOf("GET /a");
    expect(through(made("rewrite", { host: "app.internal:8080" }), exchange)).toBe(CONTINUE);
    expect([exchange.request.hostText(), exchange.request.port, exchange.request.get("host")]).toEqual([
      "app.internal",
      8080,
      "app.internal:8080",
    ]);
  });

  it("leaves * alone, and answers where there is no room", () => {
    const asterisk = requestOf("OPTIONS *");
    expect(through(made("rewrite", { prefix: { from: "/", to: "/api" } }), asterisk)).toBe(CONTINUE);
    expect(asterisk.request.pathText()).toBe("*");
    const full = requestOf("GET /a");
    full.request.reserve(32_768 - 2);
    expect(through(made("rewrite", { prefix: { from: "/", to: "/api" } }), full)).toBe(REPLY);
    expect(full.reply?.status).toBe(500);
  });
});
