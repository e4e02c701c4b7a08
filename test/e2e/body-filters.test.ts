/** Filters with bodies, tokens and files, from a declaration to what a client sees of the real gateway. */
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";

const SECRET = Buffer.from("0123456789abcdef0123456789abcdef");
let count = 0;
const upstream = http.createServer((request, response) => {
  count++;
  let bytes = 0;
  request.on("data", (chunk: Buffer) => (bytes += chunk.length));
  request.on("end", () => {
    response.writeHead(200, { "content-type": "text/plain", "cache-control": "max-age=60" });
    response.end(`${count} ${bytes} ${String(request.headers["x-user"])} ${"x".repeat(2000)}`);
  });
});

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
function token(sub: string): string {
  const signed = `${part({ alg: "HS256" })}.${part({ sub, exp: Math.floor(Date.now() / 1000) + 60 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

const ROUTES: Readonly<Record<string, readonly object[]>> = {
  jwt: [
    {
      builtin: "jwt",
      config: { algorithms: ["HS256"], jwksFile: "keys.json", claimHeaders: { "x-user": "sub" } },
    },
  ],
  compress: [{ builtin: "compress", config: {} }],
  buffer: [{ builtin: "buffer", config: { bytesMax: 100 } }],
  cache: [{ builtin: "cache", config: {} }],
  files: [{ builtin: "static-files", config: { directory: "site", stripPrefix: "/files" } }],
};

describe("filters with bodies in the gateway", () => {
  let gateway: Gateway;
  let folder = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "penstock-body-filters-"));
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "index.html"), "<p>hello\n");
    const keys = join(folder, "keys.json");
    writeFileSync(keys, JSON.stringify({ keys: [{ kty: "oct", k: SECRET.toString("base64url") }] }));
    const port = await new Promise<number>((resolve) => {
      upstream.listen(0, "127.0.0.1", () => resolve((upstream.address() as AddressInfo).port));
    });
    const routes = Object.entries(ROUTES).map(([name, filters]) => ({
      name,
      tenant: "acme",
      match: { path: { prefix: `/${name}` } },
      filters: JSON.parse(JSON.stringify(filters).replace("keys.json", keys)) as object[],
      upstream: "api",
    }));
    gateway = await startGateway({
      args: ["--files", `site=${folder}`],
      config: {
        listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
        upstreams: [{ name: "api", endpoints: [{ address: `127.0.0.1:${port}` }] }],
        tenants: [{ name: "acme", hosts: ["*"] }],
        routes,
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("jwt, with keys from a file", async () => {
    expect((await gateway.request("web", "/jwt")).status).toBe(401);
    const { status, body } = await gateway.request("web", "/jwt", {
      headers: { authorization: `Bearer ${token("kim")}` },
    });
    expect([status, body.includes(" kim ")]).toEqual([200, true]);
  });

  it("compress, buffer and cache", async () => {
    const packed = await gateway.request("web", "/compress", { headers: { "accept-encoding": "gzip" } });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    const post = (bytes: number) => gateway.request("web", "/buffer", { method: "POST", body: "x".repeat(bytes) });
    expect([(await post(100)).status, (await post(101)).status]).toEqual([200, 413]);
    const first = await gateway.request("web", "/cache");
    expect((await gateway.request("web", "/cache")).body).toBe(first.body);
  });

  it("static-files, in a worker that sees nothing else", async () => {
    expect(await gateway.request("web", "/files/")).toMatchObject({ status: 200, body: "<p>hello\n" });
    expect((await gateway.request("web", "/files/none")).status).toBe(404);
  });
});
