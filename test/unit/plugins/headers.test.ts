import { describe, expect, it } from "vitest";
import { CONTINUE, HOOK_REQUEST_HEAD, HOOK_RESPONSE_HEAD, REPLY } from "#pipeline/filter.ts";
import { made, requestOf, through } from "./exchange.ts";

const NONE = { set: {}, add: {}, remove: [] };

describe("headers", () => {
  it("removes, sets and adds on the way in", () => {
    const filter = made("headers", {
      request: { remove: ["x-gone", "x-back"], set: { "x-one": "1", "x-back": "b" }, add: { "x-more": "2" } },
      response: NONE,
    });
    expect(filter.hooks).toBe(HOOK_REQUEST_HEAD);
    const exchange = requestOf("GET /", "X-Gone: a", "x-gone: b", "x-one: 0", "x-one: 00", "x-more: 1", "x-back: a");
    expect(through(filter, exchange)).toBe(CONTINUE);
    expect(exchange.request.entries()).toEqual([
      ["host", "shop.example"],
      ["x-one", "1"],
      ["x-more", "1"],
      ["x-back", "b"],
      ["x-more", "2"],
    ]);
  });

  it("and on the way back, where nothing costs nothing", () => {
    const filter = made("headers", { request: NONE, response: { ...NONE, set: { server: "edge" }, remove: ["x-by"] } });
    expect(filter.hooks).toBe(HOOK_RESPONSE_HEAD);
    const exchange = requestOf("GET /").respondWith(
      "HTTP/1.1 200 OK\r\nServer: a\r\nx-by: b\r\ncontent-length: 0\r\n\r\n",
    );
    expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
    expect(exchange.response.entries()).toEqual([
      ["server", "edge"],
      ["content-length", "0"],
    ]);
    expect(made("headers", { request: NONE, response: NONE }).hooks).toBe(0);
  });

  it("sends nothing on that it could not write whole", () => {
    const filter = made("headers", { request: { ...NONE, set: { "x-auth": "yes" } }, response: NONE });
    const exchange = requestOf("GET /");
    // All of the scratch region but a few bytes.
    exchange.request.reserve(32_768 - 8);
    expect(through(filter, exchange)).toBe(REPLY);
    expect(exchange.reply).toMatchObject({ status: 500, body: "the headers do not fit\n" });
  });
});
