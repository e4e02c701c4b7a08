/** The sample plugins, compiled and metered, as filters over real heads. */
import { beforeAll, describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, HOOK_RESPONSE_HEAD, REPLY } from "#pipeline/filter.ts";
import { hex, TestExchange, TestServices } from "#test/support/wasm.ts";
import type { WasmFilter } from "#wasm/create-filter.ts";
import { build, fromWasm, sample } from "./plugins.ts";

const request = (...headers: string[]) =>
  new TestExchange(["GET / HTTP/1.1", "host: shop.example", ...headers, "", ""].join("\r\n"));

describe("token-check", () => {
  let wasm: Uint8Array;
  let filter: WasmFilter;
  beforeAll(async () => {
    wasm = await build(sample("token-check"));
    ({ filter } = await fromWasm(wasm, { config: { token: "s3cret" } }));
  });

  const CASES: readonly (readonly [string, readonly string[], number])[] = [
    ["the token", ["x-token: s3cret"], CONTINUE],
    ["the token under a name in capitals", ["X-TOKEN: s3cret"], CONTINUE],
    ["no token", [], REPLY],
    ["an empty token", ["x-token:"], REPLY],
    ["another token", ["x-token: s3creT"], REPLY],
    ["a shorter one", ["x-token: s3cre"], REPLY],
    ["a longer one", ["x-token: s3cret1"], REPLY],
    ["the right one second", ["x-token: no", "x-token: s3cret"], REPLY],
    ["a huge one", [`x-token: ${"a".repeat(9000)}`], REPLY],
  ];
  for (const [name, headers, verdict] of CASES) {
    it(name, () => {
      const exchange = request(...headers);
      expect(filter.requestHead(exchange, 0)).toBe(verdict);
      expect(exchange.request.get("x-checked")).toBe(verdict === CONTINUE ? "1" : undefined);
      if (verdict === REPLY) expect(exchange.reply).toEqual({ status: 401, headers: [], body: "no token\n" });
    });
  }

  it("has one hook, and takes the same fuel for the same request", () => {
    expect(filter.hooks).toBe(HOOK_REQUEST_HEAD);
    const spend = () => {
      const before = filter.stats.fuel;
      filter.requestHead(request("x-token: s3cret"), 0);
      return filter.stats.fuel - before;
    };
    const first = spend();
    expect(first).toBeGreaterThan(100);
    expect([spend(), spend(), spend()]).toEqual([first, first, first]);
    expect(filter.stats.faults).toBe(0);
  });

  it("does not start without a token", async () => {
    const outcome = await fromWasm(wasm).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(PenstockError);
    expect(outcome).toMatchObject({
      code: "PENSTOCK_WASM_CONFIGURE",
      message: expect.stringContaining("`token` is not set"),
    });
  });

  it("does not overwrite a header that the client made up", () => {
    const exchange = request("x-token: s3cret", "x-checked: forged", "x-checked: twice");
    filter.requestHead(exchange, 0);
    expect(exchange.request.get("x-checked")).toBe("1");
  });

  it("serves many requests from one page of memory", () => {
    for (let count = 0; count < 5000; count++) filter.requestHead(request("x-token: nope"), 0);
    expect(filter.stats.faults).toBe(0);
  });
});

describe("header-rewrite", () => {
  let wasm: Uint8Array;
  beforeAll(async () => {
    wasm = await build(sample("header-rewrite"));
  });

  it("edits the request and the response by its rules", async () => {
    const { filter } = await fromWasm(wasm, {
      config: {
        request: "set X-Tenant: acme\nremove cookie\n\nadd via: 1.1 edge",
        response: "remove server\nset cache-control: no-store",
      },
    });
    expect(filter.hooks).toBe(HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD);
    const exchange = request("cookie: a=1", "cookie: b=2", "x-tenant: other").respondWith(
      "HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-length: 2\r\n\r\n",
    );
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
    expect(exchange.request.entries()).toEqual([
      ["host", "shop.example"],
      ["x-tenant", "acme"],
      ["via", "1.1 edge"],
    ]);
    expect(exchange.response.entries()).toEqual([
      ["content-length", "2"],
      ["cache-control", "no-store"],
    ]);
    expect(filter.stats.faults).toBe(0);
  });

  it("can't touch the framing", async () => {
    const { filter } = await fromWasm(wasm, {
      config: { request: "set content-length: 5\nremove host\nadd transfer-encoding: chunked" },
    });
    const exchange = request();
    filter.requestHead(exchange, 0);
    expect(exchange.request.entries()).toEqual([["host", "shop.example"]]);
  });

  for (const rule of ["replace a: b", "set a", "set : b", "remove", "add a b: c", "set a b: c"]) {
    it(`does not start with the rule ${JSON.stringify(rule)}`, async () => {
      const outcome = await fromWasm(wasm, { config: { response: rule } }).catch((error: unknown) => error);
      expect(outcome).toMatchObject({
        code: "PENSTOCK_WASM_CONFIGURE",
        message: expect.stringContaining(`not a rule: \`${rule}\``),
      });
    });
  }
});

describe("abuse-banner", () => {
  const allow = { maps: [0, 1], upstreams: [] };
  let wasm: Uint8Array;
  beforeAll(async () => {
    wasm = await build(sample("abuse-banner"));
  });

  const CLIENT = "00000000000000000000ffffcb007107";
  const PREFIX = `80000000${CLIENT}`;
  const answer = (filter: WasmFilter, status: number) =>
    filter.responseHead(request().respondWith(`HTTP/1.1 ${status} X\r\ncontent-length: 2\r\n\r\n`), 0);

  it("bans at the threshold, for the time configured, and counts anew", async () => {
    const services = new TestServices();
    const { filter } = await fromWasm(wasm, { allow, config: { threshold: "3", seconds: "60" } }, services);
    const [blocklist, failures] = services.maps;
    for (const status of [200, 401, 500, 403, 404]) answer(filter, status);
    expect([...(failures?.entries ?? [])]).toEqual([[CLIENT, 2n]]);
    expect(blocklist?.entries.size).toBe(0);
    expect(answer(filter, 401)).toBe(CONTINUE);
    // bootMs is 5000: 60 s after that, in ns.
    expect([...(blocklist?.entries ?? [])]).toEqual([[PREFIX, 65_000_000_000n]]);
    expect(failures?.entries.size).toBe(0);
    expect(services.logs).toEqual(["info sample@1 banned 203.0.113.7 for 60 s"]);
    expect(filter.stats.faults).toBe(0);
  });

  it("bans at the fifth refusal by default", async () => {
    const services = new TestServices();
    const { filter } = await fromWasm(wasm, { allow }, services);
    for (let count = 0; count < 4; count++) answer(filter, 401);
    expect(services.maps[0]?.entries.size).toBe(0);
    answer(filter, 401);
    expect(services.maps[0]?.entries.size).toBe(1);
    expect(hex(Uint8Array.from(Buffer.from(PREFIX, "hex")))).toBe([...(services.maps[0]?.entries.keys() ?? [])][0]);
  });

  it("does not start when the route does not allow its maps", async () => {
    const outcome = await fromWasm(wasm, { allow: { maps: [1], upstreams: [] } }).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ message: expect.stringContaining("does not allow the map `blocklist`") });
  });
});
