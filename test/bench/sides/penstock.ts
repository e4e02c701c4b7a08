/** Our gateway, started as a user starts it: `penstock run -f FILE --data DIR --workers 1`. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
}

/** JSON is YAML, and quotes itself. */
function declaration(port: number, { upstream, token, protocol = "http", tls }: Omit<PenstockOptions, "cpu">): string {
  const plugin = { name: "token-check", tenant: "bench", version: "1", file: MODULE };
  return JSON.stringify({
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
    tenants: [{ name: "bench", hosts: ["*"] }],
    plugins: token === null ? [] : [plugin],
    routes: [
      {
        name: "all",
        tenant: "bench",
        listeners: ["web"],
        match: protocol === "http" ? { path: { prefix: "/" } } : {},
        filters: token === null ? [] : [{ plugin: "token-check@1", config: { token } }],
        upstream: "up",
      },
    ],
    settings: { accessLog: "off" },
  });
}

export async function startPenstock(scope: Scope, options: PenstockOptions): Promise<Side> {
  const { cpu, token, tls } = options;
  if (token !== null && !existsSync(MODULE)) {
    throw new Unavailable(`${MODULE} is not built (penstock plugin build wasm-plugins/token-check)`);
  }
  const directory = scope.directory();
  const port = await freePort();
  const file = join(directory, "penstock.yaml");
  writeFileSync(file, declaration(port, options));
  const run = ["run", "-f", file, "--data", join(directory, "data"), "--workers", "1"];
  const child = scope.spawn("sh", [COMMAND, ...run], { cpu });
  const side = { name: "penstock", origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`, child };
  return ready(side, token === null ? {} : { "x-token": token });
}

/** The data plane's process. */
export function workerOf(side: Side): number {
  const workers = processTree(side.child.pid).filter((pid) => commandLine(pid).includes("gateway/worker/main.ts"));
  const [worker] = workers;
  if (worker === undefined || workers.length > 1) throw new Error(`expected one worker, found ${workers.length}`);
  return worker;
}
