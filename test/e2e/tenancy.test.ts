/**
 * A tenant through the whole gateway: entries that two workers share and a killed one does not take along, fuel of a second, a canary
 * that goes back by itself, secrets, and what plugins say, with faults in lines of their source.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { thisInstallation } from "#main/confine/installation.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";
import { readOpenMetrics } from "#test/support/openmetrics.ts";
import { countingPlugin, replyPlugin } from "#test/support/reply-plugins.ts";

const TOKEN_CHECK = join(thisInstallation().root, "wasm-plugins/token-check/build/token-check.wasm");
const PATIENCE_MS = 120_000;

const COUNTING = countingPlugin();
const GOOD = replyPlugin(`(call $reply (i32.const 204) (i32.const 0) (i32.const 0)) (i32.const 1)`);
const TRAPPING = replyPlugin(`(unreachable)`);

let gateway: Gateway;

const route = (name: string, filter: object) => ({
  match: { path: { prefix: `/${name}` } },
  filters: [filter],
  upstream: "up",
});

async function put(path: string, body: object | Uint8Array): Promise<void> {
  const { status, body: text } = await gateway.admin("PUT", path, body, { "if-none-match": "*" });
  expect(status, text).toBeLessThan(300);
}

beforeAll(async () => {
  const web = await freePort();
  gateway = await startGateway({
    workers: 2,
    timeoutMs: 60_000,
    config: {
      listeners: [{ name: "web", address: `127.0.0.1:${web}`, protocol: "http" }],
      upstreams: [{ name: "up", endpoints: [{ address: "127.0.0.1:1" }] }],
      tenants: [
        { name: "acme", hosts: ["*"] },
        { name: "poor", hosts: ["poor.example"], quotas: { fuelPerSecond: 1000 } },
      ],
      settings: { accessLog: "off" },
    },
  });
  await put("/v1/tenants/acme/plugins/counting/versions/1", COUNTING);
  await put("/v1/tenants/acme/plugins/changing/versions/1", GOOD);
  await put("/v1/tenants/acme/plugins/changing/versions/2", TRAPPING);
  await put("/v1/tenants/poor/plugins/counting/versions/1", GOOD);
  await put("/v1/tenants/acme/routes/counting", route("counting", { plugin: "counting@1", allow: { keyValue: true } }));
  await put("/v1/tenants/acme/routes/denied", route("denied", { plugin: "counting@1" }));
  await put("/v1/tenants/poor/routes/counting", route("", { plugin: "counting@1" }));
}, PATIENCE_MS);

afterAll(async () => {
  await gateway?.stop();
});

it(
  "two workers share a tenant's entries, and a killed one leaves them",
  async () => {
    const statuses: number[] = [];
    for (let request = 0; request < 20; request++) statuses.push((await gateway.request("web", "/counting")).status);
    expect(statuses).toEqual(Array.from({ length: 20 }, (_, index) => 201 + index));
    const shown = await gateway.admin("GET", "/v1/tenants/acme/entries");
    const twenty = Buffer.from(new BigInt64Array([20n]).buffer).toString("base64");
    const entry = { key: { text: "hits" }, value: { base64: twenty } };
    expect(JSON.parse(shown.body)).toMatchObject({ usedBytes: 64, count: 1, items: [entry] });
    const { guests, plugins, keyValueBytes } = JSON.parse(
      (await gateway.admin("GET", "/v1/tenants/acme/usage")).body,
    ) as Record<string, { used: number; allowed: number }>;
    expect([guests, plugins, keyValueBytes]).toEqual([
      { used: 2, allowed: 4096 },
      { used: 3, allowed: 1000 },
      { used: 64, allowed: 1048576 },
    ]);
    const [first = 0] = await gateway.workers();
    process.kill(first, "SIGKILL");
    const until = Date.now() + PATIENCE_MS / 2;
    while ((await gateway.workers()).some((pid) => pid === first || pid === 0) && Date.now() < until) await sleep(100);
    let status = 0;
    // The new worker may still be on its way to its first connection.
    while (status !== 221 && Date.now() < until) {
      status = await gateway.request("web", "/counting").then(
        (answer) => answer.status,
        () => 0,
      );
    }
    expect(status).toBe(221);
    expect((await gateway.admin("DELETE", "/v1/tenants/acme/entries")).status).toBe(204);
    expect((await gateway.request("web", "/counting")).status).toBe(201);
  },
  PATIENCE_MS,
);

it(
  "a secret reaches plugins and headers of its tenant, also when it changes and after a restart, and lies sealed",
  async () => {
    const set = async (value: string): Promise<number> =>
      (await gateway.admin("PUT", "/v1/tenants/acme/secrets/key", { value }, { "if-match": "*" })).status;
    await put("/v1/tenants/acme/secrets/key", { value: "hunter2-first" });
    const reply = { builtin: "static-response", config: { body: "ok\n" } };
    const header = { builtin: "headers", config: { response: { set: { "x-key": "is ${secret:key}" } } } };
    const guard = { plugin: "token-check@1", config: { token: "${secret:key}" } };
    await put("/v1/tenants/acme/plugins/token-check/versions/1", readFileSync(TOKEN_CHECK));
    await put("/v1/tenants/acme/routes/sealed", { ...route("sealed", guard), filters: [header, guard, reply] });
    const ask = (token: string) => gateway.request("web", "/sealed", { headers: { "x-token": token } });
    const passes = { status: 200, headers: { "x-key": "is hunter2-first" } };
    expect(await ask("hunter2-first")).toMatchObject(passes);
    expect((await ask("${secret:key}")).status).toBe(401);
    expect(await set("hunter2-second")).toBe(200);
    expect([(await ask("hunter2-first")).status, (await ask("hunter2-second")).status]).toEqual([401, 200]);
    const refused = await gateway.admin(
      "PUT",
      "/v1/tenants/acme/secrets/key",
      { value: "a\r\nb: c" },
      { "if-match": "*" },
    );
    expect([refused.status, refused.body]).toMatchObject([
      422,
      expect.stringContaining("acme/key has control characters"),
    ]);
    for (const pid of await gateway.workers()) process.kill(pid, "SIGKILL");
    // From what the supervisor has in force.
    await expect
      .poll(() =>
        ask("hunter2-second").then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200);
    const lying = readdirSync(gateway.data).filter((name) => /^(store\.db|snapshot)/.test(name));
    expect(lying.length).toBeGreaterThan(1);
    for (const name of lying) expect(readFileSync(join(gateway.data, name)).includes("hunter2"), name).toBe(false);
    expect(gateway.logs.filter((line) => line.includes("hunter2"))).toEqual([]);
  },
  PATIENCE_MS,
);

it(
  "entries are denied where the route does not grant them",
  async () => {
    // What has no permission answers the smallest number, which is no count.
    expect((await gateway.request("web", "/denied")).status).toBe(200);
  },
  PATIENCE_MS,
);

it(
  "fuel of a second is a tenant's own",
  async () => {
    const headers = { host: "poor.example" };
    const statuses = new Set<number>();
    for (let request = 0; request < 30; request++)
      statuses.add((await gateway.request("web", "/", { headers })).status);
    expect([...statuses].toSorted()).toEqual([204, 503]);
    expect((await gateway.request("web", "/counting")).status).toBeGreaterThan(200);
    const { body } = await gateway.admin("GET", "/metrics");
    expect(body).toMatch(/^penstock_tenant_calls_refused_total\{tenant="poor",worker="\d"\} [1-9]/m);
  },
  PATIENCE_MS,
);

it(
  "a canary that faults goes back by itself, and is heard of",
  async () => {
    const canary = { plugin: "changing@1", canary: { version: "2", percent: 100 } };
    await put("/v1/tenants/acme/routes/changing", route("changing", canary));
    const statuses: number[] = [];
    const until = Date.now() + PATIENCE_MS / 2;
    // Five faults in each worker; then every answer is the old version's.
    while (statuses.slice(-20).filter((status) => status === 204).length < 20 && Date.now() < until) {
      statuses.push((await gateway.request("web", "/changing")).status);
    }
    expect(statuses[0]).toBe(503);
    expect(statuses.slice(-20)).toEqual(Array(20).fill(204));
    const map = { version: 3, sources: ["assembly/index.ts"], names: [], mappings: "AAAA" };
    await put("/v1/tenants/acme/plugins/changing/versions/2/source-map", map);
    const { body } = await gateway.admin("GET", "/v1/tenants/acme/plugins/changing/logs?follow=false");
    expect(body).toMatch(
      /"plugin":"changing@2","message":"trap: unreachable[^"]*","offset":\d+,"place":"assembly\/index\.ts:1:1"/,
    );
    expect(body).toContain("all requests go to changing@1 again");
    // Of each worker's calls one in 16 is measured.
    for (let request = 0; request < 64; request++) await gateway.request("web", "/changing");
    const metrics = readOpenMetrics((await gateway.admin("GET", "/metrics")).body);
    const returned = [...metrics].filter(([name]) => name.startsWith("penstock_plugin_canary_returned"));
    expect(returned.map(([, value]) => value)).toContain(1);
    const labels = '{tenant="acme",plugin="changing",version="1"}';
    expect(metrics.get(`penstock_plugin_duration_seconds_count${labels}`)).toBeGreaterThan(1);
    expect(metrics.get(`penstock_plugin_duration_seconds_sum${labels}`)).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
