/**
 * Plugins made for Envoy through the whole gateway: unchanged binaries in C++ and Rust, written against the published
 * interface, each configured by a route like any plugin.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildCpp, buildRust, missingCpp, missingRust } from "#test/support/foreign/build.ts";
import { type Answer, type Ask, startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { RawClient } from "#test/support/raw-client.ts";

/** What reached it, as text: the request line, the fields, the body, the trailers. */
const api = http.createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    const lines = [`${request.method} ${request.url}`];
    for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`);
    for (const [name, value] of Object.entries(request.trailers)) lines.push(`trailer ${name}: ${value}`);
    const body = Buffer.from(`${lines.join("\n")}\n\n${Buffer.concat(parts).toString()}`);
    response.writeHead(200, { "content-length": body.length, "x-api": "yes" }).end(body);
  });
});

/** Says who is asked about, or 401 for nobody. */
const auth = http.createServer((request, response) => {
  request.resume().on("end", () => {
    const user = new URL(request.url ?? "", "http://auth").search.slice(1);
    response.statusCode = user === "" ? 401 : 200;
    response.setHeader("x-kind", `${request.method} ${request.headers["x-from"]} ${request.headers.host}`);
    response.end(user === "" ? "nobody\n" : `id-of-${user}`);
  });
});

/** A gateway starts in two seconds, or in thirty where eight others do the same. */
const START_MS = 90_000;

/** What it is sent goes back, its end too. */
const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}).pipe(socket));

async function listening(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const missing = missingCpp === "" ? missingRust : missingCpp;

describe.skipIf(missing !== "")(`plugins of other gateways${missing && ` (${missing})`}`, () => {
  let folder: string;
  let gateway: Gateway;
  /** Words that a plugin gets as its configuration, and paths of their routes. */
  const modes = [
    "headers",
    "body",
    "call",
    "gone",
    "count",
    "ticks",
    "properties",
    "refused",
    "trap",
    "wait",
    "log",
    "trailers",
  ];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "penstock-proxy-wasm-"));
    writeFileSync(join(folder, "http.wasm"), buildCpp("http.cpp"));
    writeFileSync(join(folder, "handler.wasm"), buildCpp("handler.cpp"));
    writeFileSync(join(folder, "limit.wasm"), buildRust("filter.rs"));
    writeFileSync(join(folder, "tcp.wasm"), buildCpp("tcp.cpp"));
    const [apiPort, authPort, echoPort] = [await listening(api), await listening(auth), await listening(echo)];
    const route = (name: string, filter: object): object => ({
      name: name.replace("/", "-"),
      tenant: "acme",
      match: { path: { prefix: `/${name}` } },
      filters: [filter],
      upstream: "api",
    });
    const allow = { upstreams: ["auth", "gone"], keyValue: true };
    // Forty answers at once take their time on a busy machine.
    const limits = { deadlineMs: 30_000 };
    const ofMode = (mode: string): object =>
      route(mode, { plugin: "http@1", config: mode, vm: { rootId: `root-of-${mode}`, id: "shared" }, limits, allow });
    const ofHandler = (mode: string): object => route(`handler/${mode}`, { plugin: "handler@1", config: mode });
    gateway = await startGateway({
      timeoutMs: START_MS,
      config: {
        listeners: [
          { name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" },
          { name: "lines", address: `127.0.0.1:${await freePort()}`, protocol: "tcp" },
          { name: "asked", address: `127.0.0.1:${await freePort()}`, protocol: "tcp" },
        ],
        upstreams: [
          { name: "api", endpoints: [{ address: `127.0.0.1:${apiPort}` }] },
          { name: "echo", endpoints: [{ address: `127.0.0.1:${echoPort}` }] },
          { name: "auth", endpoints: [{ address: `127.0.0.1:${authPort}` }] },
          { name: "secret", endpoints: [{ address: `127.0.0.1:${authPort}` }] },
          { name: "gone", endpoints: [{ address: `127.0.0.1:${await freePort()}` }] },
        ],
        tenants: [{ name: "acme", hosts: ["*"] }],
        plugins: ["http", "handler", "limit", "tcp"].map((name) => {
          return { name, tenant: "acme", version: "1", file: join(folder, `${name}.wasm`) };
        }),
        routes: [
          ...modes.map(ofMode),
          ...["heads", "bodies", "trailers", "misuse", "log"].map(ofHandler),
          route("limited", { plugin: "limit@1", config: { limit: 2 } }),
          ...["lines", "asked"].map((listener) => ({
            name: listener,
            tenant: "acme",
            listeners: [listener],
            filters: [{ plugin: "tcp@1", config: listener === "asked" ? "ask" : "lines", limits, allow }],
            upstream: "echo",
          })),
        ],
        settings: { accessLog: "off" },
      },
    });
  }, 2 * START_MS);

  afterAll(async () => {
    await gateway?.stop();
    echo.close();
    for (const server of [api, auth]) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = (path: string, more: Ask = {}): Promise<Answer> => gateway.request("web", path, more);

  describe("Proxy-Wasm in C++", () => {
    it("reads and edits heads, pseudo-header fields included", async () => {
      const denied = await ask("/headers?a=1");
      expect(denied).toMatchObject({ status: 401, body: "no token\n", headers: { "x-why": "token" } });
      const passed = await ask("/headers?a=1", { headers: { "x-token": "s3cret" } });
      expect(passed.status).toBe(202);
      expect(passed.headers).toMatchObject({ "x-status-was": "200", server: "plugin", "x-api": "yes" });
      expect(passed.body).toContain("GET /headers?a=1&by=plugin");
      expect(passed.body).toMatch(/x-seen: \d/);
      expect(passed.body).toContain("x-last: 1");
      expect(passed.body).not.toContain("x-token");
    });

    it("holds a body back, replaces it, or answers instead", async () => {
      const rewritten = await ask("/body", { method: "POST", body: "hello" });
      expect(rewritten.body).toContain("<HELLO>");
      expect(rewritten.body).toContain("POST /BODY");
      expect(await ask("/body", { method: "POST", body: "forbidden" })).toMatchObject({
        status: 403,
        body: "not that\n",
      });
      const long = "x".repeat(16_000);
      const whole = await ask("/body", { method: "POST", body: long });
      expect(whole.status, gateway.logs.join("\n")).toBe(200);
      expect(whole.body).toContain(`<${long.toUpperCase()}>`);
      const much = await ask("/body", { method: "POST", body: "x".repeat(1_100_000) });
      expect(much.status).toBe(413);
    });

    it("pauses heads until the bodies are whole", async () => {
      const answer = await ask("/wait", { method: "POST", body: "0123456789" });
      expect(answer.body).toContain("x-length: 10");
      expect(answer.body).toContain("0123456789(read)");
      expect(Number(answer.headers["x-body-bytes"])).toBe(answer.body.length - "(read)".length);
    });

    it("adds trailers where there are none, and changes those that come", async () => {
      const added = await ask("/trailers", { method: "POST", body: "hello" });
      expect(added.headers["transfer-encoding"]).toBe("chunked");
      expect(added.trailers).toEqual({ "x-added": "once and again" });
      // Nobody was told of the request's: it left with its length.
      expect(added.body).toContain("content-length: 5\n");
      expect(added.body).not.toContain("trailer x-added");
      const chunked = { method: "POST", body: "hello", headers: { "transfer-encoding": "chunked" } };
      expect((await ask("/trailers", chunked)).body).toContain("trailer x-added: to the request\n");
      const came = await ask("/trailers", { ...chunked, trailers: { "x-sum": "7" } });
      expect(came.body).toContain("trailer x-sum: 7\ntrailer x-trailers: 1\n");
    });

    it("calls an upstream, and goes on or answers by what it says", async () => {
      const passed = await ask("/call", { headers: { "x-user": "ann" } });
      expect(passed.body).toContain("x-user-id: id-of-ann");
      expect(passed.body).toContain("x-kind: POST plugin auth.test");
      expect(await ask("/call")).toMatchObject({ status: 403, body: "auth says 401 nobody\n" });
      expect(await ask("/gone")).toMatchObject({ status: 502, body: "no answer\n" });
      const posted = await ask("/call", { method: "POST", body: "the body", headers: { "x-user": "bob" } });
      expect(posted.body).toContain("id-of-bob");
      expect(posted.body).toContain("the body");
      const many = await Promise.all(
        Array.from({ length: 40 }, (_, n) => ask("/call", { headers: { "x-user": `u${n}` } })),
      );
      many.forEach((answer, n) => expect(answer.body).toContain(`x-user-id: id-of-u${n}\n`));
    });

    it("counts in shared data, where a stale write is refused", async () => {
      const first = await ask("/count");
      const second = await ask("/count");
      expect(first.body).toContain("x-count: 1\n");
      expect(second.body).toContain("x-count: 2\n");
      expect(second.body).toContain("x-stale: 8\n");
    });

    it("is called by its timer, and for what is in its queue", async () => {
      await ask("/ticks", { headers: { "x-job": "sweep" } });
      await ask("/ticks", { headers: { "x-job": "mop" } });
      await expect
        .poll(async () => (await ask("/ticks")).body, { timeout: 10_000 })
        .toMatch(/x-ticks: [1-9]\d*\nx-jobs: sweep;mop;/);
    });

    it("is told what is known of a request", async () => {
      const { body, headers } = await ask("/properties?q=1", { headers: { "x-probe": "p", host: "shop.test" } });
      for (const line of [
        "x-p-request-path: /properties?q=1",
        "x-p-request-method: GET",
        "x-p-request-host: shop.test",
        "x-p-request-scheme: http",
        "x-p-request-protocol: HTTP/1.1",
        "x-p-request-headers-x-probe: p",
        "x-p-plugin-name: http",
        "x-p-plugin-root-id: root-of-properties",
        "x-p-route-name: properties",
        "x-p-cluster-name: api",
        "x-p-connection-mtls: false",
        "x-p-no-such-thing: absent",
      ]) {
        expect(body).toContain(`${line}\n`);
      }
      expect(body).toMatch(/x-p-source-address: 127\.0\.0\.1:\d+\n/);
      expect(headers["x-mine"]).toBe("yes");
    });

    it("is refused what is not there and what the route does not allow, with the status for it", async () => {
      const { body } = await ask("/refused");
      expect(body).toContain("x-grpc: 12\n");
      expect(body).toContain("x-foreign: 1\n");
      expect(body).toContain("x-denied: 2\n");
      expect(body).toContain("x-break: 2\n");
      expect(body).not.toContain("x-b: b");
    });

    it("takes nothing but its own request along when it traps", async () => {
      expect((await ask("/trap", { headers: { "x-trap": "now" } })).status).toBe(503);
      expect((await ask("/trap")).status).toBe(200);
    });

    it("logs when the exchange is over", async () => {
      await ask("/log/this");
      await expect.poll(() => gateway.logs.join("\n"), { timeout: 10_000 }).toContain("done /log/this 200 yes");
      expect((await gateway.admin("GET", "/metrics")).body).toMatch(/logged[^\n]* 1\n/);
    });

    it("says why it does not take its configuration", async () => {
      const { body, headers } = await gateway.admin("GET", "/v1/config");
      const config = JSON.parse(body) as { routes: { filters: object[] }[] };
      const [first] = config.routes;
      const filters = first?.filters.map((filter) => ({ ...filter, config: "refuse" }));
      const routes = [{ ...first, filters }, ...config.routes.slice(1)];
      const refused = await gateway.admin(
        "PUT",
        "/v1/config",
        { ...config, routes },
        {
          "if-match": headers.etag ?? "",
        },
      );
      expect(refused.status).toBe(422);
      expect(refused.body).toContain("this configuration is not for me");
      expect(refused.body).toContain("route acme/headers, filter 1, http@1: ");
    });

    it("is shown for what it is", async () => {
      const { body } = await gateway.admin("GET", "/v1/tenants/acme/plugins/http/versions/1");
      expect(JSON.parse(body)).toMatchObject({ facts: { abi: "proxy-wasm 0.2.1" } });
    });
  });

  describe("Proxy-Wasm in C++ on TCP", () => {
    const withoutPorts = (text: string): string => text.replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:…");

    it("holds bytes until there is a line, and changes both directions", async () => {
      const client = new RawClient(gateway.port("lines"));
      client.send("hel").send("lo\n");
      await client.until(() => client.received.endsWith("HELLO\n"));
      expect(withoutPorts(client.received)).toBe("127.0.0.1:… SAYS HELLO\n");
      client.send("more\n").end();
      await client.until(() => client.ended);
      expect(withoutPorts(client.received)).toBe("127.0.0.1:… SAYS HELLO\n127.0.0.1:… SAYS MORE\n");
      await expect.poll(() => gateway.logs.join("\n"), { timeout: 10_000 }).toContain("a client has gone");
    });

    it("closes a stream", async () => {
      const client = new RawClient(gateway.port("lines"));
      client.send("DENY me\n");
      await client.until(() => client.closed || client.ended);
      expect(client.received).toBe("");
    });

    it("goes on, end and all, when an upstream has allowed it, and closes when not", async () => {
      const allowed = new RawClient(gateway.port("asked"));
      allowed.send("ann\n").end();
      await allowed.until(() => allowed.ended);
      expect(withoutPorts(allowed.received)).toBe("127.0.0.1:… SAYS ANN\n");
      const refused = new RawClient(gateway.port("asked"));
      refused.send("\n");
      await refused.until(() => refused.closed || refused.ended);
      expect(refused.received).toBe("");
    });
  });

  it("Proxy-Wasm in Rust: keeps counts in its own memory, and answers for itself past the limit", async () => {
    const asks = (user: string): Promise<Answer> => ask("/limited", { headers: { "x-user": user } });
    for (let n = 0; n < 2; n++) expect(await asks("ann")).toMatchObject({ status: 200, headers: { "x-by": "rust" } });
    expect(await asks("ann")).toMatchObject({ status: 429, body: "ann has asked 3 times\n" });
    expect((await asks("bob")).status).toBe(200);
    expect((await asks("panic")).status).toBe(503);
    // The next instance has counts of its own.
    expect((await asks("ann")).status).toBe(200);
  });

  describe("http-wasm in C++", () => {
    it("reads and edits heads, and hands a context from request to response", async () => {
      const denied = await ask("/handler/heads?a=1");
      expect(denied).toMatchObject({ status: 401, body: "no token\n", headers: { "x-why": "token" } });
      const passed = await ask("/handler/heads?a=1", { headers: { "x-token": "s3cret" } });
      expect(passed.status).toBe(202);
      expect(passed.headers).toMatchObject({ "x-early": "said before", "x-status": "200", "x-api": "yes" });
      expect(passed.headers["x-context"]).toMatch(/^(\d+)\/\1\/0$/);
      expect(passed.body).toContain("PUT /handler/heads?a=1&by=plugin\n");
      expect(passed.body).toContain("x-was: GET /handler/heads?a=1 HTTP/1.1\n");
      expect(passed.body).toMatch(/x-source: 127\.0\.0\.1:\d+\n/);
      expect(passed.body).not.toContain("x-token");
    });

    it("has a guest for each request that is under way", async () => {
      const all = Array.from({ length: 30 }, () => ask("/handler/heads?a=1", { headers: { "x-token": "s3cret" } }));
      for (const { headers } of await Promise.all(all)) expect(headers["x-context"]).toMatch(/^(\d+)\/\1\/0$/);
    });

    it("reads and replaces whole bodies of requests and responses", async () => {
      const body = "0123456789".repeat(500);
      const answer = await ask("/handler/bodies", { method: "POST", body });
      expect(answer.body).toContain(`<${body}>`);
      expect(answer.body).toContain("x-features: 7\n");
      const [, length, rest] = /^(\d+):([^]*)$/.exec(answer.body) ?? [];
      expect(rest?.length).toBe(Number(length));
      expect((await ask("/handler/bodies")).status).toBe(200);
      expect((await ask("/handler/bodies", { method: "POST", body: "x".repeat(1_100_000) })).status).toBe(413);
    });

    it("sets trailers of both messages, and reads those of a body that is there", async () => {
      const set = await ask("/handler/trailers", { method: "POST", body: "hello" });
      expect(set.trailers).toEqual({ "x-said": "before", "x-status": "200" });
      expect(set.body).toContain("trailer x-by: plugin\n");
      const chunked = { "transfer-encoding": "chunked" };
      const sent = { method: "POST", body: "hello", headers: chunked, trailers: { "x-sum": "7" } };
      const read = await ask("/handler/bodies", sent);
      expect(read.body).toContain("trailer x-sum: 7\ntrailer x-size: 7/5\n");
      expect(read.trailers["x-size"]).toMatch(/^\d+$/);
    });

    it("gets the route's answer when it misuses the host, and logs", async () => {
      expect((await ask("/handler/misuse")).status).toBe(503);
      await ask("/handler/log");
      await expect.poll(() => gateway.logs.join("\n"), { timeout: 10_000 }).toContain('"message":"handled"');
      const { body } = await gateway.admin("GET", "/v1/tenants/acme/plugins/handler/versions/1");
      expect(JSON.parse(body)).toMatchObject({ facts: { abi: "http-wasm http-handler" } });
    });
  });
});
