/**
 * Endpoints that are known to be down stay out when the running program is replaced, and when a worker is killed: whoever begins
 * is told, and sends them nothing until its own checks, or the time of the ejection, say otherwise.
 */
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";

const WORKERS = 2;
/** New connections, which meet every worker. */
const REQUESTS = 40;
const NAMES = ["sick", "failing", "sound"] as const;
type Name = (typeof NAMES)[number];

const servers = new Map<Name, Server>();
const held: ServerResponse[] = [];
/** From then on the sick one says nothing to who checks, and the failing one is well: who does not know sends to both. */
let known = false;
let gateway: Gateway | null = null;

function answer(name: Name, path: string | undefined, response: ServerResponse): void {
  response.setHeader("x-server", name);
  if (path === "/healthz" && name === "sick") {
    if (known) held.push(response);
    else response.writeHead(503).end();
  } else if (path !== "/healthz" && name === "failing" && !known) {
    response.writeHead(500).end();
  } else response.end();
}

beforeAll(async () => {
  for (const name of NAMES) {
    const server = createServer((request, response) => answer(name, request.url, response));
    servers.set(name, server);
    await once(server.listen(0, "127.0.0.1"), "listening");
  }
});

afterAll(async () => {
  await gateway?.stop();
  for (const server of servers.values()) {
    server.closeAllConnections();
    server.close();
  }
});

function addressOf(name: Name): string {
  const server = servers.get(name) ?? expect.fail(name);
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** By name, how each worker sees it. */
async function view(running: Gateway): Promise<Record<string, string[]>> {
  const { body } = await running.admin("GET", "/v1/upstreams/api/endpoints");
  const { items } = JSON.parse(body) as {
    items: { endpoint: string; workers: { usable: boolean; healthy: boolean; ejected: boolean }[] }[];
  };
  const how = ({ healthy, ejected }: { healthy: boolean; ejected: boolean }): string =>
    healthy ? (ejected ? "ejected" : "in") : "unhealthy";
  return Object.fromEntries(
    NAMES.map((name) => [name, items.find((one) => one.endpoint === addressOf(name))?.workers.map(how) ?? []]),
  );
}

const OUT = {
  sick: Array<string>(WORKERS).fill("unhealthy"),
  failing: Array<string>(WORKERS).fill("ejected"),
  sound: Array<string>(WORKERS).fill("in"),
};

async function whoAnswers(running: Gateway): Promise<Set<unknown>> {
  const answers = await Promise.all(Array.from({ length: REQUESTS }, () => running.request("web", "/")));
  return new Set(answers.map(({ headers }) => headers["x-server"]));
}

test("an upgrade and a killed worker forget no endpoint that is out", async () => {
  const running = await startGateway({
    workers: WORKERS,
    config: {
      listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
      upstreams: [
        {
          name: "api",
          endpoints: NAMES.map((name) => ({ address: addressOf(name) })),
          // A check that nobody answers tells as long nothing.
          healthCheck: { type: "http", path: "/healthz", intervalMs: 20_000, timeoutMs: 20_000, unhealthyThreshold: 1 },
          outlierDetection: { consecutiveErrors: 2, baseEjectionMs: 600_000, maxEjectionMs: 600_000 },
        },
      ],
      tenants: [{ name: "t", hosts: ["*"] }],
      routes: [{ name: "all", tenant: "t", upstream: "api" }],
      settings: { accessLog: "off" },
    },
  });
  gateway = running;
  await expect
    .poll(
      async () => {
        await whoAnswers(running);
        return view(running);
      },
      { timeout: 30_000 },
    )
    .toEqual(OUT);
  known = true;

  await running.upgrade();
  expect(await view(running)).toEqual(OUT);
  expect(await whoAnswers(running)).toEqual(new Set(["sound"]));

  const [victim = 0] = await running.workers();
  process.kill(victim, "SIGKILL");
  const serving = async (): Promise<boolean> => {
    const { body } = await running.admin("GET", "/v1/status");
    const { workers } = JSON.parse(body) as { workers: { pid: number; state: string }[] };
    return workers.every(({ pid, state }) => state === "ready" && pid !== victim);
  };
  await expect.poll(serving, { timeout: 30_000 }).toBe(true);
  expect(await view(running)).toEqual(OUT);
  expect(await whoAnswers(running)).toEqual(new Set(["sound"]));
}, 120_000);
