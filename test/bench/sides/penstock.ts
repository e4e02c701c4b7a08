/** Our gateway, started as a user starts it: `penstock run -f FILE --data DIR --workers 1`. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adminOf } from "#test/bench/host/admin.ts";
import { freePort } from "#test/bench/host/probe.ts";
import { commandLine, processTree } from "#test/bench/host/process-tree.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { Unavailable } from "#test/bench/unavailable.ts";
import { ready, type Side, type TlsFiles } from "./side.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const COMMAND = join(ROOT, "gateway/main/penstock.sh");
const MODULE = join(ROOT, "wasm-plugins/token-check/build/token-check.wasm");

export interface PenstockOptions {
  readonly upstream: string;
  readonly cpu: number;
  /** What `x-token` must be; checked by the token-check plugin. Null: no plugin. */
  readonly token: string | null;
  /** `tcp`: without a look at what passes. */
  readonly protocol?: "http" | "tcp";
  /** TLS 1.3; absent: plaintext. */
  readonly tls?: TlsFiles;
  /** `/service-0`, `/service-1` and so on, beside the one for everything else; absent: none. */
  readonly services?: number;
}

export interface PenstockSide extends Side {
  /** Path of the admin API's socket. */
  readonly admin: string;
  /** What was declared, with as many services. */
  readonly declared: (services: number) => Declaration;
}

export interface Declaration {
  readonly routes: readonly object[];
}

/** JSON is YAML, and quotes itself. */
function declaration(port: number, options: PenstockOptions, services: number): Declaration {
  const { upstream, token, protocol = "http", tls } = options;
  const common = { tenant: "bench", listeners: ["web"], upstream: "up" };
  const plugin = { name: "token-check", tenant: "bench", version: "1", file: MODULE };
  const declared = {
    listeners: [
      {
        name: "web",
        address: `127.0.0.1:${port}`,
        protocol,
        ...(tls === undefined ? {} : { tls: { certificates: ["site"], minVersion: "1.3" } }),
      },
    ],
    certificates: tls === undefined ? [] : [{ name: "site", certFile: tls.certificate, keyFile: tls.key }],
    upstreams: [{ name: "up", endpoints: [{ address: upstream }] }],
    tenants: [{ name: "bench", hosts: ["*"], quotas: { routes: 100_000 } }],
    plugins: token === null ? [] : [plugin],
    routes: [
      {
        ...common,
        name: "all",
        match: protocol === "http" ? { path: { prefix: "/" } } : {},
        filters: token === null ? [] : [{ plugin: "token-check@1", config: { token } }],
      },
      ...Array.from({ length: services }, (_, i) => ({
        ...common,
        name: `service-${i}`,
        match: { path: { prefix: `/service-${i}` } },
      })),
    ],
    settings: { accessLog: "off" },
  };
  return declared;
}

export async function startPenstock(scope: Scope, options: PenstockOptions): Promise<PenstockSide> {
  const { cpu, token, tls, services = 0 } = options;
  if (token !== null && !existsSync(MODULE)) {
    throw new Unavailable(`${MODULE} is not built (penstock plugin build wasm-plugins/token-check)`);
  }
  const directory = scope.directory();
  const port = await freePort();
  const file = join(directory, "penstock.yaml");
  writeFileSync(file, JSON.stringify(declaration(port, options, 0)));
  const run = ["run", "-f", file, "--data", join(directory, "data"), "--workers", "1"];
  const child = scope.spawn("sh", [COMMAND, ...run], { cpu });
  const side = { name: "penstock", origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, child };
  const started = await ready(side, token === null ? {} : { "x-token": token });
  const admin = join(directory, "data/admin.sock");
  const declared = (count: number): Declaration => declaration(port, options, count);
  // By the API, as programs do; a start waits for no more than a person would.
  if (services > 0) await adminOf(admin).put(declared(services));
  return { ...started, admin, declared };
}

/** The data plane's process. */
export function workerOf(side: Side): number {
  const workers = processTree(side.child.pid).filter((pid) => commandLine(pid).includes("gateway/worker/main.ts"));
  const [worker] = workers;
  if (worker === undefined || workers.length > 1) throw new Error(`expected one worker, found ${workers.length}`);
  return worker;
}
