import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import type { CorsConfig } from "#snapshot/builtin-filters.ts";
import { made, requestOf, through } from "./exchange.ts";

const config = (more: Partial<CorsConfig>): CorsConfig => ({
  origins: ["https://shop.example", "https://*.shop.example:8443"],
  methods: ["GET", "PUT"],
  headers: ["x-a", "content-type"],
  exposeHeaders: [],
  credentials: false,
  maxAgeSeconds: 60,
  ...more,
});

/** What a response says to a script of `origin`, when the upstream has said something else. */
function answer(more: Partial<CorsConfig>, origin: string | null): Record<string, string> {
  const filter = made("cors", config(more));
  const exchange = requestOf("GET /", ...(origin === null ? [] : [`origin: ${origin}`]));
  expect(through(filter, exchange)).toBe(CONTINUE);
  exchange.respondWith(
    "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\nvary: a\r\ncontent-length: 0\r\n\r\n",
  );
  expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
  const vary = exchange.response.get("vary") ?? "";
  const said = exchange.response.entries().filter(([name]) => name.startsWith("access-control-"));
  return { ...Object.fromEntries(said), vary };
}

describe("cors", () => {
  const allowed = (origin: string): object => ({ "access-control-allow-origin": origin, vary: "a, origin" });
  const silent = { vary: "a, origin" };

  it.each<[string, string | null, object]>([
    ["an origin", "https://shop.example", allowed("https://shop.example")],
    ["a label more", "https://a.shop.example:8443", allowed("https://a.shop.example:8443")],
    ["two labels more", "https://b.a.shop.example:8443", allowed("https://b.a.shop.example:8443")],
    ["no origin", null, silent],
    ["another scheme", "http://shop.example", silent],
    ["another port", "https://shop.example:444", silent],
    ["a longer name", "https://shop.example.evil", silent],
    ["a name that ends so", "https://evilshop.example:8443", silent],
    ["no label", "https://.shop.example:8443", silent],
    ["a host in the label", "https://evil.example/.shop.example:8443", silent],
    ["a port in the label", "https://evil.example:1@a.shop.example:8443", silent],
    ["null", "null", silent],
  ])("tells %s", (_what, origin, said) => {
    expect(answer({}, origin)).toEqual(said);
  });

  it("tells everyone the same", () => {
    const all = { "access-control-allow-origin": "*", "access-control-expose-headers": "x-a, x-b", vary: "a" };
    expect(answer({ origins: ["*"], exposeHeaders: ["x-a", "x-b"] }, "https://any.example")).toEqual(all);
  });

  it("names the origin where there are credentials", () => {
    expect(answer({ credentials: true }, "https://shop.example")).toEqual({
      ...allowed("https://shop.example"),
      "access-control-allow-credentials": "true",
    });
  });

  const preflight = (origin: string, ...more: string[]) => requestOf("OPTIONS /", `origin: ${origin}`, ...more);
  const METHOD = "access-control-request-method: PUT";

  it("answers a preflight", () => {
    const exchange = preflight("https://shop.example", METHOD);
    expect(through(made("cors", config({ credentials: true })), exchange)).toBe(REPLY);
    expect(exchange.reply).toEqual({
      status: 204,
      headers: [
        ["access-control-allow-origin", "https://shop.example"],
        ["access-control-allow-methods", "GET, PUT"],
        ["access-control-allow-headers", "x-a, content-type"],
        ["access-control-allow-credentials", "true"],
        ["access-control-max-age", "60"],
        ["vary", "origin"],
      ],
      body: "",
    });
  });

  it("answers one from elsewhere with nothing, and any OPTIONS that is none not at all", () => {
    const exchange = preflight("https://evil.example", METHOD);
    expect(through(made("cors", config({})), exchange)).toBe(REPLY);
    expect(exchange.reply).toEqual({ status: 204, headers: [["vary", "origin"]], body: "" });
    expect(through(made("cors", config({})), preflight("https://shop.example"))).toBe(CONTINUE);
    expect(through(made("cors", config({})), requestOf("OPTIONS /", METHOD))).toBe(CONTINUE);
  });

  it("allows no pattern's origin that a later filter has taken away", () => {
    const filter = made("cors", config({}));
    const exchange = requestOf("GET /", "origin: https://a.shop.example:8443").respondWith();
    through(filter, exchange);
    const drop = { set: {}, add: {}, remove: ["origin"] };
    through(made("headers", { request: drop, response: { ...drop, remove: [] } }), exchange);
    filter.responseHead(exchange, 0);
    expect(exchange.response.get("access-control-allow-origin")).toBeUndefined();
  });
});
