/** What has to be seen in a whole gateway: how soon an upload serves, and what a hostile neighbour costs. */
import { createHash } from "node:crypto";
import { request } from "node:http";
import { askAdmin, must } from "#test/bench/host/admin.ts";
import { openLoop } from "#test/bench/host/open-loop.ts";
import { get } from "#test/bench/host/probe.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { applyLoad } from "#test/bench/host/wrk.ts";
import { startPenstock, type PenstockSide } from "#test/bench/sides/penstock.ts";
import { core, endless, megabyte } from "./modules.ts";

interface Cpus {
  readonly proxy: number;
  readonly load: number;
}

const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function putModule(socketPath: string, bytes: Uint8Array): Promise<void> {
  const headers = { host: "penstock", "content-type": "application/wasm", "content-length": bytes.length };
  return new Promise((resolve, reject) => {
    const path = `/v1/modules/${digestOf(bytes)}`;
    const asked = request({ socketPath, method: "PUT", path, headers }, (response) => {
      response.resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`the upload was answered ${response.statusCode}`));
      });
    });
    asked.on("error", reject).end(bytes);
  });
}

async function declare(
  admin: string,
  port: number,
  upstream: string,
  routes: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  const plugins = Object.entries(routes).map(([name, bytes]) => ({
    name,
    tenant: name,
    version: "1",
    digest: digestOf(bytes),
  }));
  const declaration = {
    listeners: [{ name: "web", address: `127.0.0.1:${port}`, protocol: "http" }],
    upstreams: [{ name: "up", endpoints: [{ address: upstream }] }],
    // Each its own tenant, with a host of its own.
    tenants: [
      ...plugins.map(({ name }) => ({ name, hosts: [`${name}.example`] })),
      { name: "neighbour", hosts: ["*"] },
    ],
    plugins,
    routes: [
      { name: "all", tenant: "neighbour", listeners: ["web"], upstream: "up" },
      ...plugins.map(({ name }) => ({
        name,
        tenant: name,
        listeners: ["web"],
        filters: [{ plugin: `${name}@1` }],
        upstream: "up",
      })),
    ],
    settings: { accessLog: "off" },
  };
  const { etag } = must(await askAdmin(admin, { method: "GET", path: "/v1/config" }));
  const body = JSON.stringify(declaration);
  must(await askAdmin(admin, { method: "PUT", path: "/v1/config", body, ifMatch: etag }));
}

/** Milliseconds from the first byte of an upload of a megabyte to the answer of a request that it has let pass. */
export async function uploadMs(side: PenstockSide, upstream: string): Promise<number> {
  const port = Number(new URL(side.origin).port);
  const bytes = megabyte();
  const startedMs = performance.now();
  await putModule(side.admin, bytes);
  await declare(side.admin, port, upstream, { large: bytes });
  const { status } = await get(side.origin, "/", { host: "large.example" });
  if (status !== 200) throw new Error(`the plugin's route answered ${status}`);
  return performance.now() - startedMs;
}

export interface Noisy {
  readonly besideHarmlessUs: number;
  readonly besideEndlessUs: number;
}

const NEIGHBOUR_PER_SECOND = 1000;
const NEIGHBOUR_CONNECTIONS = 16;
const NOISE_CONNECTIONS = 8;

/** The p99 of a route without plugins at a fixed rate, while another tenant's clients ask without a pause. */
export async function noisyNeighbour(
  scope: Scope,
  cpus: Cpus,
  upstream: string,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Noisy[]> {
  const side = await startPenstock(scope, { upstream, cpu: cpus.proxy, token: null });
  const port = Number(new URL(side.origin).port);
  const modules = { harmless: core(0), endless: endless() };
  for (const bytes of Object.values(modules)) await putModule(side.admin, bytes);
  await declare(side.admin, port, upstream, modules);
  const apply = openLoop(scope);
  const beside = async (tenant: string): Promise<number> => {
    const noise = {
      url: `${side.origin}/`,
      connections: NOISE_CONNECTIONS,
      headers: [`host: ${tenant}.example`],
      seconds: seconds + 1,
    };
    const others = applyLoad(scope, { ...noise, cpu: cpus.load }).catch((error: unknown) => {
      // What is refused is what is wanted here.
      if (!(error instanceof Error)) throw error;
    });
    const load = {
      port,
      connections: NEIGHBOUR_CONNECTIONS,
      perSecond: NEIGHBOUR_PER_SECOND,
      seconds,
      paths: 0,
      cpu: cpus.load,
    };
    const result = await apply(load);
    await others;
    if (result.answered !== result.sent) throw new Error(`the neighbour lost requests: ${JSON.stringify(result)}`);
    return result.p99Us;
  };
  const measured: Noisy[] = [];
  for (let round = 0; round < rounds; round++) {
    measured.push({ besideHarmlessUs: await beside("harmless"), besideEndlessUs: await beside("endless") });
  }
  return measured;
}
