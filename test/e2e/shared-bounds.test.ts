/** What all workers count together: rates, and connections of all clients and of each, also when a worker dies. */
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, startGateway } from "#test/support/gateway.ts";

let upstream: Server;
let gateway: Gateway;

beforeAll(async () => {
  upstream = createServer((_, answer) => answer.end("up"));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port } = upstream.address() as AddressInfo;
  const limit = { builtin: "rate-limit", config: { perSecond: 0.001, burst: 10, key: "route" } };
  gateway = await startGateway({
    workers: 2,
    config: {
      listeners: [
        { name: "web", address: "127.0.0.1:0", protocol: "http" },
        { name: "raw", address: "127.0.0.1:0", protocol: "tcp" },
      ],
      upstreams: [{ name: "app", endpoints: [{ address: `127.0.0.1:${port}` }] }],
      tenants: [{ name: "ops", hosts: ["*"] }],
      routes: [
        {
          name: "limited",
          tenant: "ops",
          listeners: ["web"],
          match: { path: { prefix: "/limited" } },
          filters: [limit],
          upstream: "app",
        },
        {
          name: "mapped",
          tenant: "ops",
          listeners: ["web"],
          match: { path: { prefix: "/mapped" } },
          filters: [{ builtin: "rate-limit", config: { perSecond: 0.001, burst: 10, map: "buckets" } }],
          upstream: "app",
        },
        { name: "all", tenant: "ops", listeners: ["web"], upstream: "app" },
        { name: "raw", tenant: "ops", listeners: ["raw"], upstream: "app" },
      ],
      kernel: { maps: [{ name: "buckets", type: "lru-hash", key: "ip", value: "counter", maxEntries: 1024 }] },
      settings: { accessLog: "off", connectionsPerClientMax: 6 },
    },
  });
});
afterAll(async () => {
  await gateway.stop();
  upstream.close();
  upstream.closeAllConnections();
});

test("a rate is the gateway's: of forty requests on forty connections ten pass, whoever serves them", async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) statuses.push((await gateway.request("web", "/limited")).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(30);
});

test("a rate in a map is the gateway's too, and seen by the API", async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++) statuses.push((await gateway.request("web", "/mapped")).status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  const { status, body } = await gateway.admin("GET", "/v1/kernel/maps/buckets/entries/127.0.0.1");
  expect([status, JSON.stringify(body)]).toEqual([200, expect.stringContaining("value")]);
});

/** A connection that has been answered, or null for one that was refused. */
function visit(listener: string, open: Socket[]): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(gateway.port(listener), "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.once("data", () => {
      open.push(socket);
      resolve(true);
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

async function served(count: number, open: Socket[]): Promise<number> {
  const outcomes: boolean[] = [];
  for (let i = 0; i < count; i++) outcomes.push(await visit(i % 2 === 0 ? "web" : "raw", open));
  return outcomes.filter(Boolean).length;
}

test("a client has as many connections as it may at all workers and listeners together, and gets a dead worker's back", async () => {
  const open: Socket[] = [];
  expect(await served(16, open)).toBe(6);
  const [victim = 0] = await gateway.workers();
  process.kill(victim, "SIGKILL");
  await expect.poll(async () => (await gateway.workers()).includes(victim), { timeout: 20_000 }).toBe(false);
  for (const socket of open.splice(0)) socket.destroy();
  await expect
    .poll(
      async () => {
        const count = await served(8, open);
        for (const socket of open.splice(0)) socket.destroy();
        return count;
      },
      { timeout: 30_000 },
    )
    .toBe(6);
}, 60_000);
