/** The whole gateway, as a program: what a killed process costs, what comes back, and how it ends. */
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { processStatus } from "#sys/process.ts";
import { seccompAvailable } from "#sys/seccomp.ts";
import { childrenOf, startGateway } from "#test/support/gateway.ts";
import type { Gateway, GatewayOptions } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";

const upstream: Server = createServer((incoming, response) => {
  setTimeout(() => response.end(`upstream ${incoming.url}\n`), incoming.url === "/slow" ? 500 : 0);
});
let upstreamPort = 0;
let port = 0;
const running: Gateway[] = [];

beforeAll(async () => {
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  upstreamPort = (upstream.address() as AddressInfo).port;
  port = await freePort();
});
afterAll(() => {
  upstream.closeAllConnections();
  upstream.close();
});
afterEach(async () => {
  for (const each of running.splice(0)) await each.kill();
});

async function start(options: GatewayOptions = {}): Promise<Gateway> {
  const gateway = await startGateway({ config: config(), ...options });
  running.push(gateway);
  return gateway;
}

function config(more: object = {}): Record<string, unknown> {
  return {
    listeners: [{ name: "web", address: `127.0.0.1:${port}`, protocol: "http" }],
    upstreams: [{ name: "up", endpoints: [{ address: `127.0.0.1:${upstreamPort}` }] }],
    tenants: [{ name: "t", hosts: ["*"] }],
    routes: [{ name: "all", tenant: "t", listeners: ["web"], match: { path: { prefix: "/" } }, upstream: "up" }],
    ...more,
  };
}

/** Requests in a row on one connection until told to stop; counts those that failed. */
class Load {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #done: Promise<void>;
  #on = true;
  passed = 0;
  failed = 0;

  constructor(to: number) {
    this.#done = this.#run(to);
  }

  async #run(to: number): Promise<void> {
    while (this.#on) {
      if (await this.#one(to)) this.passed++;
      else this.failed++;
    }
  }

  #one(to: number): Promise<boolean> {
    return new Promise((resolve) => {
      const outgoing = request({ host: "127.0.0.1", port: to, path: "/", agent: this.#agent }, (incoming) => {
        incoming.resume().once("end", () => resolve(incoming.statusCode === 200));
        incoming.once("error", () => resolve(false));
      });
      outgoing.once("error", () => resolve(false));
      outgoing.end();
    });
  }

  async stop(): Promise<void> {
    this.#on = false;
    await this.#done;
    this.#agent.destroy();
  }
}

test("a killed worker under load costs each of its clients one request, and comes back", async () => {
  const gateway = await start({ workers: 2 });
  const loads = Array.from({ length: 8 }, () => new Load(port));
  await vi.waitFor(() => expect(loads.every(({ passed }) => passed > 5)).toBe(true), { timeout: 5000 });
  const [victim = 0, other] = await gateway.workers();
  process.kill(victim, "SIGKILL");
  await vi.waitFor(
    async () => {
      const now = await gateway.workers();
      expect(now).not.toContain(victim);
      expect(now.every((pid) => pid > 0)).toBe(true);
      expect(now).toContain(other);
    },
    { timeout: 10_000 },
  );
  const before = loads.map(({ passed }) => passed);
  await vi.waitFor(() => expect(loads.every(({ passed }, i) => passed > (before[i] ?? 0) + 5)).toBe(true), {
    timeout: 10_000,
  });
  await Promise.all(loads.map((load) => load.stop()));
  for (const { failed } of loads) expect(failed).toBeLessThanOrEqual(1);
});

test("control killed under load: no request lost, and the admin API comes back", async () => {
  const gateway = await start();
  const load = new Load(port);
  const [worker] = await gateway.workers();
  const control = childrenOf(gateway.pid).find((pid) => pid !== worker) ?? 0;
  process.kill(control, "SIGKILL");
  await vi.waitFor(
    async () => {
      expect(childrenOf(gateway.pid)).not.toContain(control);
      expect((await gateway.admin("GET", "/v1/status")).status).toBe(200);
    },
    { timeout: 10_000 },
  );
  await load.stop();
  expect(load.failed).toBe(0);
  expect(load.passed).toBeGreaterThan(10);
});

test("SIGTERM: requests under way end, then nothing is left", async () => {
  const gateway = await start({ workers: 2 });
  const pids = childrenOf(gateway.pid);
  expect(pids).toHaveLength(3);
  const slow = gateway.request("web", "/slow");
  await once(upstream, "request");
  expect(await gateway.stop()).toBe(0);
  expect(await slow).toMatchObject({ status: 200, body: "upstream /slow\n" });
  for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test("a revision that can't be served is refused whole, and the old one goes on", async () => {
  const gateway = await start();
  const taken = createServer();
  await once(taken.listen(0, "127.0.0.1"), "listening");
  const busy = { name: "busy", address: `127.0.0.1:${(taken.address() as AddressInfo).port}`, protocol: "http" };
  const { headers } = await gateway.admin("GET", "/v1/config");
  const next = config({ listeners: [...(config()["listeners"] as object[]), busy] });
  const answer = await gateway.admin("PUT", "/v1/config", next, { "if-match": String(headers["etag"]) });
  taken.close();
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.body).toContain("EADDRINUSE");
  expect(await gateway.request("web", "/")).toMatchObject({ status: 200 });
});

test("a revision of megabytes comes back by a roll-back, though control has nowhere to put temporary files", async () => {
  const routes = Array.from({ length: 250 }, (_, i) => ({
    name: `r${i}`,
    tenant: "t",
    match: { path: { exact: `/${i}` } },
    filters: [{ builtin: "static-response", config: { body: `${i} `.padEnd(16_000, "x") } }],
    upstream: "up",
  }));
  const gateway = await start({ config: config({ routes }) });
  const change = async (method: string, path: string, body?: object): Promise<string> => {
    const { headers } = await gateway.admin("GET", "/v1/config");
    const answer = await gateway.admin(method, path, body, { "if-match": String(headers["etag"]) });
    return `${answer.status} ${answer.status === 200 ? "" : answer.body}`;
  };
  // So that what is gone back to is a whole and what was new to it.
  expect(await change("PUT", "/v1/config", config({ routes: routes.slice(1) }))).toBe("200 ");
  expect(await change("PUT", "/v1/config", config())).toBe("200 ");
  expect(await change("POST", "/v1/revisions/2/rollback")).toBe("200 ");
  expect((await gateway.request("web", "/7")).body).toMatch(/^7 x/);
  expect((await gateway.request("web", "/0")).status).toBe(404);
});

test("a listener added later serves, and one taken away does not", async () => {
  const gateway = await start({ workers: 2 });
  const later = await freePort();
  const { headers } = await gateway.admin("GET", "/v1/config");
  const listeners = [{ name: "later", address: `127.0.0.1:${later}`, protocol: "http" }];
  const routes = [{ name: "all", tenant: "t", listeners: ["later"], match: { path: { prefix: "/" } }, upstream: "up" }];
  const answer = await gateway.admin("PUT", "/v1/config", config({ listeners, routes }), {
    "if-match": String(headers["etag"]),
  });
  expect([answer.status, answer.body]).toEqual([200, expect.any(String)]);
  const load = new Load(later);
  await vi.waitFor(() => expect(load.passed).toBeGreaterThan(5), { timeout: 10_000 });
  await load.stop();
  expect(load.failed).toBe(0);
  await expect(gateway.request("web", "/")).rejects.toThrow(/ECONNREFUSED/);
});

test("it serves from the last good snapshot before control is there", async () => {
  const data = mkdtempSync(join(tmpdir(), "penstock-last-good-"));
  try {
    const first = await start({ data });
    await first.stop();
    const second = await start({ data, config: undefined });
    expect(await second.request("web", "/again")).toMatchObject({ status: 200, body: "upstream /again\n" });
    const lines = second.logs.join("\n");
    expect(lines.indexOf("in force")).toBeGreaterThan(-1);
    expect(lines.indexOf("in force")).toBeLessThan(lines.indexOf("control is ready"));
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});

test("after kill -9 of everything the next start takes over", async () => {
  const data = mkdtempSync(join(tmpdir(), "penstock-killed-"));
  try {
    const first = await start({ data });
    await first.kill();
    const second = await start({ data });
    expect(await second.request("web", "/")).toMatchObject({ status: 200 });
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});

test.runIf(process.getuid?.() === 0)("without root it runs all the same, and says what is off", async () => {
  const uid = 54321;
  const gateway = await start({ uid });
  expect(await gateway.request("web", "/")).toMatchObject({ status: 200 });
  const said = gateway.logs.join("\n");
  expect(said).toMatch(/not root/);
  expect(said).toMatch(/kernel part/);
  for (const pid of childrenOf(gateway.pid)) {
    const status = processStatus(pid);
    expect(status.get("Uid")?.split("\t")).toEqual(Array(4).fill(String(uid)));
    expect(status.get("NoNewPrivs")).toBe("1");
    expect(status.get("Seccomp")).toBe(seccompAvailable() ? "2" : "0");
  }
  expect(await gateway.stop()).toBe(0);
});

test.each(["epoll", "io_uring"])("PENSTOCK_IO=%s is what workers run on", async (io) => {
  const gateway = await start({ env: { PENSTOCK_IO: io } });
  expect(await gateway.request("web", "/")).toMatchObject({ status: 200 });
  expect((await gateway.admin("GET", "/v1/status")).body).toContain(`"driver":"${io}"`);
});

test("a plugin is built in a process of its own, and one that is refused is refused with its reason", async () => {
  const gateway = await start();
  const tries: readonly (readonly [Uint8Array, RegExp])[] = [
    [Buffer.from("not wasm"), /PENSTOCK_WASM_INVALID/],
    [Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), /PENSTOCK_WASM_INTERFACE/],
  ];
  for (const [bytes, reason] of tries) {
    const answer = await gateway.admin("PUT", "/v1/tenants/t/plugins/p/versions/1", bytes, { "if-none-match": "*" });
    expect([answer.status, answer.body]).toEqual([422, expect.stringMatching(reason)]);
  }
  expect(await gateway.request("web", "/")).toMatchObject({ status: 200 });
});

test("a broken declaration is refused with its places, and exit code 1", async () => {
  const broken = config({ upstreams: [{ name: "up", endpoints: "nowhere" }] });
  await expect(startGateway({ config: broken })).rejects.toThrow(/exit code 1[^]*penstock.yaml:\d+:\d+[^]*refused/);
});
