/** The talk's router, and the gateway of chained plugins, as they stand in plugins/scripts. */
import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startScript, type ScriptGateway } from "#test/support/script-gateway.ts";

const servers: Server[] = [];
let [first, second] = ["", ""];

beforeAll(async () => {
  for (const name of ["a", "b"]) {
    const server = createServer((request, response) => {
      response.setHeader("x-server", name);
      response.end(`${request.method} ${request.url} ${request.headers["x-user"] ?? "nobody"}`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
  }
  [first = "", second = ""] = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterAll(async () => {
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
});

describe("the talk's router", () => {
  let script: ScriptGateway;
  beforeAll(async () => {
    script = await startScript("router", {
      "listen<Memory>(8000": 'listen<Memory>("127.0.0.1:0"',
      "127.0.0.1:8080": first,
      "127.0.0.1:8082": second,
    });
  }, 90_000);
  afterAll(() => script.stop());

  it("lets its targets take turns", async () => {
    const names: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      const answer = await script.gateway.request("script 127.0.0.1:0", "/x?y", { method: "POST", body: "content" });
      expect([answer.status, answer.body]).toEqual([200, "POST /x?y nobody"]);
      names.push(answer.headers["x-server"]);
    }
    expect(names).toEqual(["a", "b", "a", "b", "a", "b"]);
  });
});

describe("a gateway of chained plugins", () => {
  let script: ScriptGateway;
  const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    script.gateway.request("script 127.0.0.1:0", path, { headers });

  beforeAll(async () => {
    script = await startScript("gateway", {
      "127.0.0.1:8000": "127.0.0.1:0",
      "127.0.0.1:8080": first,
      "127.0.0.1:8082": second,
    });
  }, 90_000);
  afterAll(() => script.stop());

  it("routes, balances and serves files", async () => {
    expect((await ask("/")).body).toContain("It serves.");
    expect((await ask("/api/x")).body).toBe("GET /api/x nobody");
    expect(await ask("/nowhere")).toMatchObject({ status: 404, body: "no such page\n" });
  });

  it("lets in who has a token, under the name that stands in it", async () => {
    const token = (claims: object, secret = "not-a-secret", alg = "HS256"): string => {
      const parts = [{ alg }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
      return `Bearer ${parts}.${createHmac("sha256", secret).update(parts).digest("base64url")}`;
    };
    const seconds = Date.now() / 1000;
    expect((await ask("/private/x", { authorization: token({ sub: "kim", exp: seconds + 60 }) })).body).toBe(
      "GET /private/x kim",
    );
    for (const bad of [
      {},
      { authorization: token({ sub: "kim", exp: seconds - 60 }) },
      { authorization: token({ sub: "kim" }, "another") },
      { authorization: token({ sub: "kim" }, "not-a-secret", "none") },
      { "x-user": "kim" },
    ]) {
      expect((await ask("/private/x", bad)).status).toBe(401);
    }
    expect((await ask("/api/x", { "x-user": "forged" })).body).toBe("GET /api/x nobody");
  });

  it("counts and logs what it has answered", async () => {
    const { body } = await ask("/chain-metrics");
    expect(body).toMatch(/answers\{class="2xx"\} [1-9]/);
    expect(body).toMatch(/answers\{class="4xx"\} [1-9]/);
    expect(script.gateway.logs.some((line) => /127\.0\.0\.1 GET \/nowhere 404/.test(line))).toBe(true);
  });
});
