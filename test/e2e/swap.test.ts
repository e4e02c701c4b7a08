/**
 * Changes under load: revisions, versions of a plugin, listeners that come and go. Two workers, clients on kept and on new
 * connections; every request is answered, and by 200.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";
import { sleep } from "#test/support/data-plane.ts";

const REVISIONS = 50;
const VERSIONS = 20;
/** Versions next to each other differ; those further apart need not, and save a build. */
const DIGESTS = 4;
const KEPT = 8;
const NEW = 4;

/** The same plugin under another digest: with a custom section (core specification, 5.5.3) that holds one byte. */
function version(module: Uint8Array, n: number): Uint8Array {
  return Buffer.concat([module, Uint8Array.of(0, 3, 1, 0x76, n)]);
}

/** Clients that ask one request after the other until told to stop; what came of it is counted. */
class Load {
  readonly outcomes = new Map<string, number>();
  readonly #clients: Promise<void>[] = [];
  #on = true;

  constructor(port: number) {
    for (let i = 0; i < KEPT; i++) {
      this.#clients.push(this.#client(port, new http.Agent({ keepAlive: true, maxSockets: 1 })));
    }
    for (const agent of newConnections(NEW)) this.#clients.push(this.#client(port, agent, 2));
  }

  get total(): number {
    let total = 0;
    for (const count of this.outcomes.values()) total += count;
    return total;
  }

  async #client(port: number, agent: http.Agent, pauseMs = 0): Promise<void> {
    while (this.#on) {
      const { outcome } = await ask(agent, port);
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
      if (pauseMs > 0) await sleep(pauseMs);
    }
    agent.destroy();
  }

  async stop(): Promise<void> {
    this.#on = false;
    await Promise.all(this.#clients);
  }
}

function newConnections(count: number): http.Agent[] {
  return Array.from({ length: count }, () => new http.Agent({ keepAlive: false }));
}

interface Answered {
  /** The status, or why there is none. */
  readonly outcome: string;
  readonly version: string | undefined;
}

function ask(agent: http.Agent, port: number, path = "/"): Promise<Answered> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve({ outcome: error.message, version: undefined });
    http
      .get({ agent, host: "127.0.0.1", port, path }, (response) => {
        const version = response.headers["x-version"]?.toString();
        response.resume();
        response.on("end", () => resolve({ outcome: String(response.statusCode), version }));
        response.on("error", failed);
      })
      .on("error", failed);
  });
}

const upstream = http.createServer((request, response) => {
  const slow = request.url === "/slow";
  setTimeout(() => response.end("ok\n"), slow ? 200 : 0);
  if (slow) upstream.emit("slow");
});
let gateway: Gateway;
let web: number;

beforeAll(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  web = await freePort();
  gateway = await startGateway({ workers: 2, config: declared() });
  const module = readFileSync(await sampleModule("header-rewrite"));
  for (let n = 0; n < VERSIONS; n++) {
    const path = `/v1/tenants/acme/plugins/rewrite/versions/${n}`;
    expect((await gateway.admin("PUT", path, version(module, n % DIGESTS), { "if-none-match": "*" })).status).toBe(201);
  }
});

afterAll(async () => {
  await gateway?.stop();
  upstream.closeAllConnections();
  upstream.close();
});

function declared(listeners: readonly object[] = [], routes: readonly object[] = []): object {
  const { port } = upstream.address() as AddressInfo;
  return {
    listeners: [{ name: "web", address: `127.0.0.1:${web}`, protocol: "http" }, ...listeners],
    upstreams: [{ name: "up", endpoints: [{ address: `127.0.0.1:${port}` }] }],
    tenants: [{ name: "acme", hosts: ["*"] }],
    routes: [{ name: "all", tenant: "acme", match: { path: { prefix: "/" } }, upstream: "up" }, ...routes],
    settings: { accessLog: "off", drainMs: 2000 },
  };
}

async function put(path: string, body: object): Promise<void> {
  const { headers } = await gateway.admin("GET", path);
  const answer = await gateway.admin("PUT", path, body, { "if-match": String(headers["etag"]) });
  expect(answer.status, answer.body).toBe(200);
  expect(JSON.parse(answer.body)).not.toMatchObject({ state: "unchanged" });
}

/** What changes under load, and what clients saw of it: nothing. */
async function unnoticed(change: () => Promise<void>): Promise<void> {
  const load = new Load(web);
  try {
    await sleep(100);
    await change();
  } finally {
    await load.stop();
  }
  process.stdout.write(`${load.total} requests\n`);
  expect(Object.fromEntries(load.outcomes)).toEqual({ 200: load.total });
  expect(load.total).toBeGreaterThan(500);
}

it(`${VERSIONS} versions of the plugin in front of it`, () =>
  unnoticed(async () => {
    const kept = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = 0; n < VERSIONS; n++) {
      await put("/v1/tenants/acme/routes/all", {
        match: { path: { prefix: "/" } },
        filters: [{ plugin: `rewrite@${n}`, config: { response: `set x-version: ${n}` } }],
        upstream: "up",
      });
      const seen = await Promise.all([kept, ...newConnections(4)].map((agent) => ask(agent, web)));
      expect(seen.map(({ version: seenVersion }) => seenVersion)).toEqual(seen.map(() => String(n)));
    }
    kept.destroy();
  }));

it(`${REVISIONS} revisions`, () =>
  unnoticed(async () => {
    for (let n = 0; n < REVISIONS; n++) {
      const match = { path: { prefix: `/other/${n}` } };
      await put("/v1/config", declared([], [{ name: "other", tenant: "acme", match, upstream: "up" }]));
    }
  }));

it("listeners that come and go beside it", () =>
  unnoticed(async () => {
    for (let n = 0; n < 5; n++) {
      const later = await freePort();
      await put("/v1/config", declared([{ name: "later", address: `127.0.0.1:${later}`, protocol: "http" }]));
      const seen = await Promise.all(newConnections(32).map((agent) => ask(agent, later)));
      expect(new Set(seen.map(({ outcome }) => outcome))).toEqual(new Set(["200"]));
      const underWay = ask(new http.Agent(), later, "/slow");
      await once(upstream, "slow");
      await put("/v1/config", declared());
      expect((await underWay).outcome).toBe("200");
      expect((await ask(new http.Agent(), later)).outcome).toMatch(/ECONNREFUSED/);
    }
  }));

it("a listener with any port, of which the very one it got is asked for", async () => {
  const later = (port: number) => declared([{ name: "later", address: `127.0.0.1:${port}`, protocol: "http" }]);
  await put("/v1/config", later(0));
  const { body } = await gateway.admin("GET", "/v1/status");
  const { listeners } = JSON.parse(body) as { listeners: { name: string; address: string }[] };
  const given = Number(
    listeners
      .find(({ name }) => name === "later")
      ?.address.split(":")
      .at(-1),
  );
  const load = new Load(given);
  const more = async (count: number) => {
    const enough = load.total + count;
    await expect.poll(() => load.total, { timeout: 20_000 }).toBeGreaterThan(enough);
  };
  await more(50);
  await put("/v1/config", later(given));
  await more(50);
  await load.stop();
  expect(Object.fromEntries(load.outcomes)).toEqual({ 200: load.total });
  await put("/v1/config", declared());
});

it("by both workers, as their metrics tell", async () => {
  const { body } = await gateway.admin("GET", "/metrics");
  for (const worker of [0, 1]) {
    const answered = new RegExp(`^penstock_responses_2xx_total\\{worker="${worker}"\\} (\\d+)$`, "m").exec(body)?.[1];
    expect(Number(answered)).toBeGreaterThan(100);
  }
  expect(body).toMatch(/^# TYPE penstock_buffers_free gauge$/m);
  expect(body).not.toContain("_total_total");
});
