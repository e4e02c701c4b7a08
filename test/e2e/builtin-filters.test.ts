/** Every built-in filter, from a declaration to what client and upstream see, and the filters of one route together. */
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Answer, type Ask, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { RawClient } from "#test/support/raw-client.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

/** Answers with what it was asked. */
const upstream = http.createServer((request, response) => {
  const seen = { method: request.method, url: request.url, headers: request.headersDistinct };
  response.setHeader("server", "upstream");
  response.end(JSON.stringify(seen));
});

const KEY_QUERY = { query: "key", keys: [{ name: "shop", sha256: sha256("k-shop") }] };
const USER = { name: "kim", salt: "salt-of-kim", sha256: sha256("salt-of-kimsecret") };

const ROUTES: Readonly<Record<string, readonly object[]>> = {
  headers: [
    {
      builtin: "headers",
      config: {
        request: { set: { "x-set": "1" }, add: { "x-add": "2" }, remove: ["x-gone"] },
        response: { set: { server: "edge" } },
      },
    },
  ],
  denied: [{ builtin: "ip-access", config: { deny: ["127.0.0.0/8"] } }],
  allowed: [{ builtin: "ip-access", config: { allow: ["127.0.0.0/8"] } }],
  redirect: [{ builtin: "redirect", config: { status: 301, scheme: "https", host: "www.{host}" } }],
  rewrite: [
    {
      builtin: "rewrite",
      config: { prefix: { from: "/rewrite", to: "/v2" }, query: "{query}&via=edge", host: "app.internal" },
    },
  ],
  basic: [{ builtin: "basic-auth", config: { users: [USER], userHeader: "x-user" } }],
  key: [{ builtin: "key-auth", config: KEY_QUERY }],
  cors: [{ builtin: "cors", config: { origins: ["https://shop.example"], credentials: true } }],
  rate: [{ builtin: "rate-limit", config: { perSecond: 0.01, burst: 2 } }],
  static: [{ builtin: "static-response", config: { body: "closed\n", headers: { "x-a": "1" } } }],
  delay: [{ builtin: "fault", config: { delay: { ms: 300 } } }],
  held: [{ builtin: "fault", config: { delay: { ms: 60_000 } } }],
  abort: [{ builtin: "fault", config: { delay: { ms: 1 }, abort: { status: 503 } } }],
  chain: [
    { builtin: "cors", config: { origins: ["*"] } },
    { builtin: "headers", config: { response: { set: { "x-frame-options": "DENY" } } } },
    { builtin: "basic-auth", config: { users: [USER] } },
    { builtin: "rewrite", config: { prefix: { from: "/chain", to: "/" } } },
  ],
};

describe.each(["io_uring", "epoll"])("built-in filters over %s", (io) => {
  let gateway: Gateway;
  let config: { readonly routes: object[] } & Record<string, unknown>;

  beforeAll(async () => {
    const port = await new Promise<number>((resolve) => {
      upstream.listen(0, "127.0.0.1", () => resolve((upstream.address() as AddressInfo).port));
    });
    config = {
      listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
      upstreams: [{ name: "api", endpoints: [{ address: `127.0.0.1:${port}` }] }],
      tenants: [{ name: "acme", hosts: ["*"] }],
      routes: Object.entries(ROUTES).map(([name, filters]) => ({
        name,
        tenant: "acme",
        match: { path: { prefix: `/${name}` } },
        filters,
        upstream: "api",
      })),
      settings: { accessLog: "json" },
    };
    gateway = await startGateway({ env: { PENSTOCK_IO: io }, config });
  });

  afterAll(async () => {
    await gateway?.stop();
    upstream.closeAllConnections();
    await new Promise((resolve) => upstream.close(resolve));
  });

  const ask = (path: string, more: Ask = {}): Promise<Answer> => gateway.request("web", path, more);
  const seenBy = async (path: string, more: Ask = {}): Promise<Seen> => {
    const { status, body } = await ask(path, more);
    expect(status).toBe(200);
    return JSON.parse(body) as Seen;
  };

  it("headers: both ways", async () => {
    const answer = await ask("/headers", {
      // A client must not get rid of a field by calling it the connection's.
      headers: { "x-set": "0", "x-add": "1", "x-gone": "1", connection: "close, x-set" },
    });
    expect(answer.headers["server"]).toBe("edge");
    const { headers } = JSON.parse(answer.body) as Seen;
    expect([headers["x-set"], headers["x-add"], headers["x-gone"]]).toEqual([["1"], ["1", "2"], undefined]);
  });

  it("ip-access: by the client's address", async () => {
    expect(await ask("/denied")).toMatchObject({ status: 403, body: "this address has no access\n" });
    expect((await ask("/allowed")).status).toBe(200);
  });

  it("redirect and rewrite", async () => {
    const { status, headers } = await ask("/redirect/a?b=1", { headers: { host: "shop.example" } });
    expect([status, headers.location]).toEqual([301, "https://www.shop.example/redirect/a?b=1"]);
    const seen = await seenBy("/rewrite/a?b=1");
    expect([seen.url, seen.headers["host"]]).toEqual(["/v2/a?b=1&via=edge", ["app.internal"]]);
  });

  it("basic-auth and key-auth: the secret reaches neither upstream nor log", async () => {
    const authorization = `Basic ${Buffer.from("kim:secret").toString("base64")}`;
    const { headers } = await seenBy("/basic", { headers: { authorization } });
    expect([headers["x-user"], headers["authorization"]]).toEqual([["kim"], undefined]);
    expect((await ask("/basic")).headers["www-authenticate"]).toBe('Basic realm="restricted", charset="UTF-8"');
    expect((await ask("/key?key=k-wrong")).status).toBe(401);
    expect((await seenBy("/key?key=k-shop")).url).toBe("/key?key=******");
    await expect.poll(() => gateway.logs.filter((line) => line.includes("/key?key=***")).length).toBe(2);
    expect(gateway.logs.filter((line) => /k-shop|k-wrong|a2ltOnNlY3JldA/.test(line))).toEqual([]);
  });

  it("cors: a preflight, and what follows it", async () => {
    const origin = "https://shop.example";
    const preflight = await ask("/cors", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
    expect(preflight).toMatchObject({
      status: 204,
      headers: { "access-control-allow-origin": origin, "access-control-allow-methods": "GET, HEAD, POST" },
    });
    const { headers } = await ask("/cors", { method: "POST", headers: { origin }, body: "x" });
    expect(headers).toMatchObject({ "access-control-allow-origin": origin, vary: "origin" });
  });

  it("rate-limit: the burst and no more, also after another revision", async () => {
    const statuses = [(await ask("/rate")).status, (await ask("/rate")).status, (await ask("/rate")).status];
    expect(statuses).toEqual([200, 200, 429]);
    const etag = (await gateway.admin("GET", "/v1/config")).headers.etag ?? "";
    const routes = config.routes.filter((route) => !("name" in route) || route.name !== "denied");
    const changed = await gateway.admin("PUT", "/v1/config", { ...config, routes }, { "if-match": etag });
    expect(changed.status).toBe(200);
    expect((await ask("/denied")).status).toBe(404);
    expect(await ask("/rate")).toMatchObject({
      status: 429,
      headers: { "retry-after": expect.stringMatching(/^\d+$/) },
    });
  });

  it("static-response", async () => {
    expect(await ask("/static")).toMatchObject({ status: 200, body: "closed\n", headers: { "x-a": "1" } });
    expect(await ask("/static", { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  });

  it("fault: a delay holds up nobody else", async () => {
    const held = Array.from({ length: 20 }, () => new RawClient(gateway.port("web")));
    for (const client of held) client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    for (let i = 0; i < 5; i++) expect((await ask("/abort")).status).toBe(503);
    // Those that came before are still held.
    for (const client of held) {
      expect(client.received).toBe("");
      client.socket.destroy();
    }
  });

  it("fault: a delay ends", async () => {
    const started = performance.now();
    const delayed = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(`/delay/${i}`)));
    expect(delayed.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    // Not before: a busy machine makes it later only.
    expect(performance.now() - started).toBeGreaterThan(290);
  });

  it("one after the other, and back again also for a refusal", async () => {
    const refused = await ask("/chain/a", { headers: { origin: "https://any.example" } });
    expect(refused).toMatchObject({
      status: 401,
      headers: { "x-frame-options": "DENY", "access-control-allow-origin": "*" },
    });
    const authorization = `Basic ${Buffer.from("kim:secret").toString("base64")}`;
    expect((await seenBy("/chain/a?b", { headers: { authorization } })).url).toBe("/a?b");
  });

  it("are named by explain", async () => {
    const url = encodeURIComponent("http://shop.example/chain/a");
    const { status, body } = await gateway.admin("GET", `/v1/explain?method=GET&url=${url}`);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      route: { tenant: "acme", name: "chain" },
      filters: ["cors", "headers", "basic-auth", "rewrite"].map((name) => ({ name, runs: "built-in" })),
    });
  });
});

it("rate-limit: two workers together give no more than the burst", async () => {
  const gateway = await startGateway({
    workers: 2,
    config: {
      listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
      upstreams: [{ name: "none", endpoints: [{ address: `127.0.0.1:${await freePort()}` }] }],
      tenants: [{ name: "acme", hosts: ["*"] }],
      routes: [
        {
          name: "all",
          tenant: "acme",
          filters: [
            { builtin: "rate-limit", config: { perSecond: 0.01, burst: 8 } },
            { builtin: "static-response", config: {} },
          ],
          upstream: "none",
        },
      ],
      settings: { accessLog: "off" },
    },
  });
  try {
    let passed = 0;
    // Each on a connection of its own: the kernel spreads them.
    for (let i = 0; i < 60; i++) if ((await gateway.request("web", "/")).status === 200) passed++;
    expect(passed).toBeGreaterThanOrEqual(4);
    expect(passed).toBeLessThanOrEqual(8);
  } finally {
    await gateway.stop();
  }
});
