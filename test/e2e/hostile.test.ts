/**
 * The corpus of hostile modules, uploaded like any other and run on routes of a real gateway, while a route beside them does not
 * notice: refused with the reason, or answered by the route's `onFault`. Printed, since a busy machine says what it likes: how long
 * the answers took (30 ms are allowed), and the neighbour's p99 beside them against its p99 beside a harmless plugin.
 */
import { createHash } from "node:crypto";
import http from "node:http";
import { createServer, type AddressInfo, type Server } from "node:net";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { sampleModule } from "#test/support/sample-plugins.ts";
import { startUpstream, type RawUpstream, requests } from "#test/support/raw-http.ts";
import { type HostileModule, wasmCorpus } from "#test/support/wasm-corpus.ts";

/** Builders that run at one time; more would wait for them. */
const UPLOADS_AT_ONCE = 4;

/**
 * Every upload takes a process of its own, a second of a core: here there is one of each kind, and with PENSTOCK_SOAK all of them. Each
 * by itself is in test/integration/wasm.
 */
const KINDS = new Set(
  (
    "loop-empty loop-log loop-in-response loop-in-end loop-in-body memory-growth table-null recursion trap-unreachable " +
    "call-pointer-outside answer-unknown bomb-straight-line fetch-never-answered fetch-itself import-wasi malformed-text " +
    "bomb-functions start-loop"
  ).split(" "),
);
const all = process.env["PENSTOCK_SOAK"] !== undefined;
const SETUP_MS = all ? 1_200_000 : 240_000;
const corpus = wasmCorpus().filter(({ name, outcome }) => KINDS.has(name) || (all && outcome !== "refused"));
const refused = corpus.filter(({ outcome }) => outcome === "refused");
const unconfigured = corpus.filter(({ outcome }) => outcome === "unconfigured");
const running = corpus.filter(({ outcome }) => outcome !== "refused" && outcome !== "unconfigured");

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function route(name: string, plugin: string, more: object = {}): object {
  const filter = { plugin: `${plugin}@1`, onFault: "deny", limits: { deadlineMs: 300 }, ...more };
  return {
    name,
    tenant: "acme",
    listeners: ["web"],
    match: { path: { prefix: `/${name}` } },
    filters: [filter],
    upstream: "up",
  };
}

const routeOf = ({ name, with: needs }: HostileModule) =>
  route(name, name, needs === "fetch" ? { allow: { upstreams: ["silent", "self"] } } : {});

describe("hostile plugins, through the whole gateway", () => {
  let upstream: RawUpstream;
  let silent: Server;
  let gateway: Gateway;
  let config: { plugins: object[]; routes: object[] } & Record<string, unknown>;
  let web: number;

  const ask = ({ name, with: needs }: HostileModule) =>
    gateway.request("web", `/${name}`, needs === "post" ? { method: "POST", body: "content" } : {});

  async function upload(modules: readonly HostileModule[]): Promise<void> {
    const left = [...modules];
    const next = async (): Promise<void> => {
      for (let module = left.shift(); module !== undefined; module = left.shift()) {
        const bytes = module.bytes();
        const { status, body } = await gateway.admin("PUT", `/v1/modules/${sha256(bytes)}`, bytes);
        expect([module.name, status], body).toEqual([module.name, 200]);
      }
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, next));
  }

  const plugin = (module: HostileModule) => ({
    name: module.name,
    tenant: "acme",
    version: "1",
    digest: sha256(module.bytes()),
  });

  beforeAll(async () => {
    const answered = new WeakMap<object, number>();
    upstream = await startUpstream((socket, all) => {
      const count = requests(all);
      for (let i = answered.get(socket) ?? 0; i < count; i++)
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      answered.set(socket, count);
    });
    silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    web = await freePort();
    const tokenCheck = readFileSync(await sampleModule("token-check"));
    const harmless = { config: { token: "s3cret" } };
    config = {
      listeners: [{ name: "web", address: `127.0.0.1:${web}`, protocol: "http" }],
      upstreams: [
        { name: "up", endpoints: [{ address: upstream.address }] },
        { name: "silent", endpoints: [{ address: `127.0.0.1:${(silent.address() as AddressInfo).port}` }] },
        { name: "self", endpoints: [{ address: `127.0.0.1:${web}` }] },
      ],
      tenants: [{ name: "acme", hosts: ["*"] }],
      plugins: [{ name: "token-check", tenant: "acme", version: "1", digest: sha256(tokenCheck) }],
      routes: [route("neighbour", "token-check", harmless), route("harmless", "token-check", harmless)],
      settings: { accessLog: "off" },
    };
    gateway = await startGateway({ workers: 1, timeoutMs: 60_000, config: { listeners: config["listeners"] } });
    expect((await gateway.admin("PUT", `/v1/modules/${sha256(tokenCheck)}`, tokenCheck)).status).toBe(200);
    await upload([...running, ...unconfigured]);
    config.plugins.push(...[...running, ...unconfigured].map(plugin));
    config.routes.push(...running.map(routeOf));
    const { etag } = (await gateway.admin("GET", "/v1/config")).headers;
    const { status, body } = await gateway.admin("PUT", "/v1/config", config, { "if-match": etag ?? "" });
    expect(status, body).toBe(200);
  }, SETUP_MS);

  afterAll(async () => {
    await gateway?.stop();
    await upstream?.close();
    silent?.close();
  });

  it.each(refused.map((module) => [module.name, module] as const))(
    "%s is refused with the reason",
    async (name, module) => {
      const path = `/v1/tenants/acme/plugins/${name}/versions/1`;
      const { status, body } = await gateway.admin("PUT", path, module.bytes(), { "if-none-match": "*" });
      expect(status, body).toBe(422);
      expect(body).toMatch(module.detail);
      expect(body).toMatch(/at byte \d+/);
    },
  );

  it.each(unconfigured.map((module) => [module.name, module] as const))(
    "%s is refused where it is to run, and the old revision serves",
    async (name, module) => {
      const { tenant: _, name: __, ...wanted } = routeOf(module) as Record<string, unknown>;
      const { status, body } = await gateway.admin("PUT", `/v1/tenants/acme/routes/${name}`, wanted, {
        "if-none-match": "*",
      });
      expect(status, body).toBeGreaterThanOrEqual(409);
      expect(body).toMatch(module.detail);
      expect((await gateway.request("web", "/neighbour", { headers: { "x-token": "s3cret" } })).status).toBe(200);
    },
  );

  it("each ends as its file says, and the worker survives all of it", async () => {
    const [pid] = await gateway.workers();
    const took: [string, number][] = [];
    for (const module of running) {
      const started = performance.now();
      const { status } = await ask(module);
      took.push([module.name, performance.now() - started]);
      if (module.outcome === "fault") expect([module.name, status]).toEqual([module.name, 503]);
      else if (module.outcome === "bounded") expect([200, 503]).toContain(status);
      else expect([module.name, status]).toEqual([module.name, 200]);
    }
    const slowest = took.filter(([name]) => !name.startsWith("fetch-")).toSorted((a, b) => b[1] - a[1]);
    const told = slowest.slice(0, 5).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
    process.stdout.write(
      `${running.length} modules; median ${slowest[slowest.length >> 1]?.[1].toFixed(1)} ms, slowest ${told.join(", ")}\n`,
    );
    const { body } = await gateway.admin("GET", "/metrics");
    for (const { name, outcome } of running) {
      const faults = new RegExp(
        `^penstock_plugin_faults_total\\{tenant="acme",plugin="${name}",[^}]*\\} (\\d+)$`,
        "m",
      ).exec(body);
      if (outcome === "fault" || outcome === "fault-unseen") expect([name, Number(faults?.[1])]).toEqual([name, 1]);
      if (outcome === "passes") expect([name, Number(faults?.[1])]).toEqual([name, 0]);
    }
    expect(await gateway.workers()).toEqual([pid]);
  }, 120_000);

  it("leaves its neighbour served all the time", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const neighbour = async (times: number): Promise<number> => {
      const took: number[] = [];
      for (let i = 0; i < times; i++) {
        const started = performance.now();
        expect(await get(agent, web, "/neighbour")).toBe(200);
        took.push(performance.now() - started);
      }
      return took.toSorted((a, b) => a - b)[Math.floor(times * 0.99)] ?? 0;
    };
    /** The neighbour's p99 while another client asks for these in turn, without a pause. */
    const beside = async (paths: readonly string[]): Promise<number> => {
      let busy = true;
      const others = (async () => {
        for (let i = 0; busy; i++) await gateway.request("web", paths[i % paths.length] ?? "");
      })();
      const p99 = await neighbour(400);
      busy = false;
      await others;
      return p99;
    };
    const hostile = running.filter((one) => one.with === null).map(({ name }) => `/${name}`);
    const ratios: string[] = [];
    for (let round = 0; round < 3; round++) {
      const harmless = await beside(["/harmless"]);
      ratios.push(((await beside(hostile)) / harmless).toFixed(2));
    }
    agent.destroy();
    process.stdout.write(
      `neighbour's p99, beside ${hostile.length} hostile plugins against a harmless one: ${ratios.join(" ")}\n`,
    );
    expect(gateway.logs.filter((line) => /worker.*(died|exited|killed)/.test(line))).toEqual([]);
  }, 120_000);
});

function get(agent: http.Agent, port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { agent, host: "127.0.0.1", port, path, headers: { "x-token": "s3cret" } };
    http
      .get(options, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      })
      .on("error", reject);
  });
}
