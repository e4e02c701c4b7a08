/**
 * CONNECT as users of a proxy meet it: curl through a declared gateway to an HTTPS server, by a route that ends the CONNECT, by one that passes it
 * on to another proxy, and not at all. Ends of TLS are curl and the server; the gateway sees its bytes only.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";

const BODY = "z".repeat(300_000);
const SALT = "5f1c02aa";

let authority: TestAuthority;
let origin: https.Server;
let token: string;

beforeAll(async () => {
  authority = new TestAuthority();
  token = await sampleModule("token-check");
  const { certificate: cert, key } = authority.issue({ names: ["DNS:shop.test"] });
  origin = https.createServer({ cert, key }, (request, response) => response.end(`${request.headers.host} ${BODY}`));
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
}, 120_000);

afterAll(() => {
  origin?.closeAllConnections();
  origin?.close();
  authority?.dispose();
});

interface Asked {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function curl(...args: string[]): Promise<Asked> {
  const all = ["-sS", "-m", "20", "--noproxy", "", "--cacert", authority.certificateFile, ...args];
  return new Promise((resolve) => {
    execFile("curl", all, { maxBuffer: 1 << 24 }, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

describe.each(["io_uring", "epoll"])("curl through a proxy, over %s", (io) => {
  let gateway: Gateway;

  beforeAll(async () => {
    const [own, edge] = [await freePort(), await freePort()];
    const sha256 = createHash("sha256").update(`${SALT}s3cret`).digest("hex");
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      config: `
listeners:
  - { name: own, address: "127.0.0.1:${own}", protocol: http }
  - { name: edge, address: "127.0.0.1:${edge}", protocol: http }
upstreams:
  - { name: shop, endpoints: [{ address: "127.0.0.1:${(origin.address() as AddressInfo).port}" }] }
  - { name: proxy, endpoints: [{ address: "127.0.0.1:${own}" }] }
tenants: [{ name: acme, hosts: ["*.test"] }]
plugins: [{ name: token-check, tenant: acme, version: "1", file: ${token} }]
routes:
  - name: shop
    tenant: acme
    listeners: [own]
    match: { hosts: [shop.test], ports: [443] }
    connect: tunnel
    filters:
      - { builtin: basic-auth, config: { realm: out, users: [{ name: kim, salt: ${SALT}, sha256: ${sha256} }] } }
    upstream: shop
  - name: guarded
    tenant: acme
    listeners: [own]
    match: { hosts: [guarded.test] }
    connect: tunnel
    filters: [{ plugin: "token-check@1", config: { token: t0ken } }]
    upstream: shop
  - { name: onwards, tenant: acme, listeners: [edge], connect: forward, upstream: proxy }
settings: { accessLog: json, drainMs: 1000 }
`,
    });
  }, 120_000);

  afterAll(() => gateway?.stop());

  const proxy = (name: string, user = "") => `http://${user}127.0.0.1:${gateway.port(name)}`;
  const line = async (route: string, more: RegExp): Promise<string> => {
    for (let i = 0; i < 200; i++) {
      const found = gateway.logs.find((one) => one.includes(`"route":"${route}"`) && more.test(one));
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no line of route ${route} matches ${String(more)}:\n${gateway.logs.slice(-5).join("\n")}`);
  };

  it.each(["own", "edge"])("reaches the server by %s", async (name) => {
    const { code, out, err } = await curl("-x", proxy(name, "kim:s3cret@"), "https://shop.test/");
    expect([code, err]).toEqual([0, ""]);
    expect(out).toBe(`shop.test ${BODY}`);
    expect(await line("shop", /"outcome":"tunnel"/)).toMatch(
      /"method":"CONNECT".*"target":"shop\.test:443".*"status":200/,
    );
    if (name === "edge") expect(await line("onwards", /"outcome":"tunnel"/)).toContain('"status":200');
  });

  it.each(["own", "edge"])("is asked who it is by %s", async (name) => {
    const { code, err, out } = await curl("-v", "-x", proxy(name), "https://shop.test/");
    expect(out).toBe("");
    expect(code).toBe(56);
    expect(err).toContain("CONNECT tunnel failed, response 407");
    expect(err).toMatch(/< proxy-authenticate: Basic realm="out"/i);
  });

  it("is let through by a plugin of the tenant, or not", async () => {
    const ask = (...more: string[]) =>
      curl("-x", proxy("own"), ...more, "-k", "--connect-to", "::guarded.test:8443", "https://shop.test/");
    expect((await ask()).err).toMatch(/CONNECT tunnel failed, response 401/);
    const { code, out } = await ask("--proxy-header", "x-token: t0ken");
    expect(code).toBe(0);
    expect(out).toBe(`shop.test ${BODY}`);
  });

  it.each([
    ["another port", "https://shop.test:444/", 404],
    ["a host that no route has", "https://bank.test/", 404],
  ])("%s", async (_, url, status) => {
    const { err } = await curl("-x", proxy("own", "kim:s3cret@"), url);
    expect(err).toContain(`CONNECT tunnel failed, response ${status}`);
  });

  it("no other request comes by such a route", async () => {
    expect((await gateway.request("own", "/", { headers: { host: "shop.test" } })).status).toBe(404);
  });

  it("is explained", async () => {
    const url = encodeURIComponent("https://shop.test/");
    const { body } = await gateway.admin("GET", `/v1/explain?method=CONNECT&url=${url}&listener=own`);
    expect(JSON.parse(body)).toMatchObject({ route: { tenant: "acme", name: "shop" }, action: "upstream shop (1)" });
  });
});
