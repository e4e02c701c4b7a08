/** An upstream with all its parts, declared in YAML and run by two confined workers: what clients, metrics and the API see of it. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startDns, type DnsServer } from "#test/support/dns-server.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";

let well = true;
let gateway: Gateway;
let dns: DnsServer;

function serve(name: string, answer: (url: string) => number): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    response.statusCode = answer(request.url ?? "");
    response.setHeader("x-server", name);
    response.end(`${name}\n`);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

const portOf = (server: http.Server): number => (server.address() as AddressInfo).port;
const servers: http.Server[] = [];

beforeAll(async () => {
  const sick = await serve("a", (url) => (url === "/healthz" && !well ? 500 : 200));
  const sound = await serve("b", () => 200);
  const busy = await serve("busy", () => 503);
  servers.push(sick, sound, busy);
  dns = await startDns((name) => (name === "api.test" ? ["127.0.0.1"] : null), 60);
  const upstreams = [
    {
      name: "checked",
      endpoints: [{ address: `127.0.0.1:${portOf(sick)}`, weight: 2 }, { address: `127.0.0.1:${portOf(sound)}` }],
      // Whoever is sick says so at once; on a busy machine a sound one may take its time.
      healthCheck: { type: "http", path: "/healthz", intervalMs: 1000, timeoutMs: 1000, healthyThreshold: 1 },
    },
    {
      name: "retried",
      endpoints: [{ address: `127.0.0.1:${portOf(busy)}` }, { address: `127.0.0.1:${portOf(sound)}` }],
      retry: { attempts: 2, on: ["connect-failure", "503"], budgetPercent: 100 },
    },
    { name: "named", endpoints: [{ address: `api.test:${portOf(sound)}` }] },
    {
      name: "sticky",
      endpoints: [{ address: `127.0.0.1:${portOf(sick)}` }, { address: `127.0.0.1:${portOf(sound)}` }],
      balancer: { type: "least-request", sticky: { cookie: "at" } },
    },
  ];
  gateway = await startGateway({
    workers: 2,
    config: {
      listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
      upstreams,
      tenants: [{ name: "acme", hosts: ["*"] }],
      routes: [
        ...upstreams.map(({ name }) => ({
          name,
          tenant: "acme",
          match: { path: { prefix: `/${name}` } },
          upstream: name,
        })),
        {
          name: "small",
          tenant: "acme",
          match: { path: { prefix: "/small" } },
          upstream: "named",
          bodyBytesMax: 4,
          timeouts: { requestMs: 5000 },
        },
      ],
      settings: { accessLog: "off", nameservers: [dns.address], connectionsPerClientMax: 1000 },
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await dns?.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const ask = async (path: string, headers: Record<string, string> = {}): Promise<string> =>
  String((await gateway.request("web", path, { headers })).headers["x-server"]);

it("leaves out whom its checks find sick, and the API and the metrics say so", async () => {
  well = false;
  // An endpoint is usable when all workers find it so; each checks for itself, so they come to know one after the other.
  type View = { items: { endpoint: string; usable: boolean; workers: { usable: boolean }[] }[] };
  const view = async (): Promise<View> =>
    JSON.parse((await gateway.admin("GET", "/v1/upstreams/checked/endpoints")).body) as View;
  const [sick, sound] = servers.map((server) => `127.0.0.1:${portOf(server)}`);
  const byWorker = async (): Promise<object> =>
    Object.fromEntries((await view()).items.map((one) => [one.endpoint, one.workers.map(({ usable }) => usable)]));
  await expect.poll(byWorker).toEqual({ [`${sick}`]: [false, false], [`${sound}`]: [true, true] });
  expect((await view()).items.find((one) => one.endpoint === sick)?.usable).toBe(false);
  for (let i = 0; i < 6; i++) expect(await ask("/checked")).toBe("b");
  const metrics = (await gateway.admin("GET", "/metrics")).body;
  for (const worker of [0, 1]) {
    expect(metrics).toContain(`penstock_endpoint_healthy{upstream="checked",endpoint="${sick}",worker="${worker}"} 0`);
  }
  well = true;
  await expect.poll(async () => (await view()).items.map((one) => one.usable)).toEqual([true, true]);
  expect((await gateway.admin("GET", "/v1/upstreams/none/endpoints")).status).toBe(404);
});

it("tries again elsewhere, resolves names in confined workers, and binds by cookie", async () => {
  for (let i = 0; i < 6; i++) expect(await ask("/retried")).toBe("b");
  expect(await ask("/named")).toBe("b");
  // For both kinds of address, once by each worker, since they hold for a minute; some more where a server was slow.
  expect(dns.queries()).toBeLessThan(8);
  const first = await gateway.request("web", "/sticky");
  const cookie = /at=[0-9a-f]{8}/.exec(String(first.headers["set-cookie"]))?.[0] ?? "";
  for (let i = 0; i < 8; i++) expect(await ask("/sticky", { cookie })).toBe(first.headers["x-server"]);
});

it("bounds a route's bodies", async () => {
  const post = (body: string): Promise<{ status: number }> =>
    gateway.request("web", "/small", { method: "POST", body });
  expect((await post("1234")).status).toBe(200);
  expect((await post("12345")).status).toBe(413);
});
