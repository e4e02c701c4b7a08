/**
 * The whole gateway as a program, for tests: `penstock run` on a data directory and ports of its own. Whatever a test does,
 * nothing is left: processes are ended by pid, files removed.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { thisInstallation } from "#main/confine/installation.ts";
import { processStartTime } from "#sys/process.ts";

export interface GatewayOptions {
  /** A `penstock.yaml` as an object or as text. Absent: whatever the data directory holds, or nothing. */
  readonly config?: object | string | undefined;
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A data directory of an earlier gateway: kept when this one stops. Absent: a new one, removed. */
  readonly data?: string;
  /** Who runs the supervisor, where the test may choose. */
  readonly uid?: number;
  /** More arguments of `penstock run`. */
  readonly args?: readonly string[];
  /** A network namespace to run in, as a path. */
  readonly netns?: string;
  /** Of the whole start. */
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sent only where a header says that the body is chunked. */
  readonly trailers?: Readonly<Record<string, string>>;
}

export interface Gateway {
  /** The supervisor; after an upgrade its successor. */
  readonly pid: number;
  readonly data: string;
  readonly adminSocket: string;
  /** Everything the processes have said so far, a line each. */
  readonly logs: readonly string[];
  /** Of a listener, by name. */
  port(name: string): number;
  /** Through a listener, on a connection of its own. */
  request(listener: string, path: string, ask?: Ask): Promise<Answer>;
  /** To the admin API over the Unix socket; a body that is an object goes as JSON. */
  admin(
    method: string,
    path: string,
    body?: object | Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** Of the workers that run now, by slot. */
  workers(): Promise<number[]>;
  /** SIGUSR2; resolves with the pid of the one before, which drains, once a successor serves in its place. */
  upgrade(): Promise<number>;
  /** SIGTERM, and the exit code; null for a successor's, which is nobody's child. */
  stop(): Promise<number | null>;
  /** SIGKILL to the supervisor and then to all it left. */
  kill(): Promise<void>;
}

interface Ready {
  readonly pid: number;
  readonly revision: number;
  readonly listeners: readonly { readonly name: string; readonly address: string }[];
}

const START_MS = 60_000;
const STOP_MS = 15_000;
/** A start, one process after the other. */
const UPGRADE_MS = 60_000;

/** Resolves once traffic can come. Throws with all it has said when the gateway ends before. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), "penstock-gateway-"));
  if (options.uid !== undefined) chownSync(folder, options.uid, options.uid);
  const data = options.data ?? join(folder, "data");
  const args = [
    "--no-warnings",
    join(thisInstallation().root, "gateway/main/penstock.ts"),
    "run",
    "--json",
    "--data",
    data,
  ];
  args.push("--workers", String(options.workers ?? 1), ...(options.args ?? []));
  if (options.config !== undefined) {
    const file = join(folder, "penstock.yaml");
    writeFileSync(file, typeof options.config === "string" ? options.config : stringify(options.config), {
      mode: 0o644,
    });
    args.push("-f", file);
  }
  // nsenter keeps our view of /sys, which `ip netns exec` replaces; it becomes the program, so the pid is the gateway's.
  const enter = options.netns === undefined ? [] : ["nsenter", `--net=${options.netns}`];
  const [command = "", ...rest] = [...enter, process.execPath, ...args];
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    // A bpffs that is mounted on the machine is none of a test's, unless it names one of its own.
    env: { ...process.env, PENSTOCK_PINS: "off", ...options.env },
    cwd: folder,
    detached: true,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  const gateway = new RunningGateway(child, folder, data);
  try {
    await gateway.started(options.timeoutMs ?? START_MS);
  } catch (error) {
    await gateway.kill();
    throw error;
  }
  return gateway;
}

class RunningGateway implements Gateway {
  readonly data: string;
  readonly logs: string[] = [];
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #exited: Promise<unknown>;
  #ready: Ready | null = null;
  /** Supervisors before this one that have been replaced. */
  readonly #before: number[] = [];

  constructor(child: ChildProcess, folder: string, data: string) {
    this.#child = child;
    this.#folder = folder;
    this.data = data;
    this.#exited = once(child, "exit");
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream?.setEncoding("utf8").on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#line(line);
      });
    }
  }

  #line(line: string): void {
    this.logs.push(line);
    if (line.startsWith('{"event":"ready"')) this.#ready = JSON.parse(line) as Ready;
  }

  async started(timeoutMs: number): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (this.#ready === null) {
      if (this.#child.exitCode !== null || Date.now() > until) {
        throw new Error(`the gateway did not start (exit code ${this.#child.exitCode}):\n${this.logs.join("\n")}`);
      }
      await sleep(10);
    }
  }

  get pid(): number {
    return this.#ready?.pid ?? this.#child.pid ?? 0;
  }

  async upgrade(): Promise<number> {
    const before = this.pid;
    process.kill(before, "SIGUSR2");
    const until = Date.now() + UPGRADE_MS;
    while (this.pid === before) {
      if (Date.now() > until) throw new Error(`the gateway was not replaced:\n${this.logs.join("\n")}`);
      await sleep(10);
    }
    this.#before.push(before);
    return before;
  }

  get adminSocket(): string {
    return join(this.data, "admin.sock");
  }

  port(name: string): number {
    const listener = this.#ready?.listeners.find((one) => one.name === name);
    if (listener === undefined) throw new Error(`there is no listener ${name}`);
    return Number(listener.address.slice(listener.address.lastIndexOf(":") + 1));
  }

  request(listener: string, path: string, ask: Ask = {}): Promise<Answer> {
    return exchange({ host: "127.0.0.1", port: this.port(listener) }, path, ask);
  }

  admin(
    method: string,
    path: string,
    body?: object | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const bytes = body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body);
    const type = { "content-type": body instanceof Uint8Array ? "application/wasm" : "application/json" };
    const ask = { method, headers: { ...(body === undefined ? {} : type), ...headers } };
    return exchange({ socketPath: this.adminSocket }, path, bytes === undefined ? ask : { ...ask, body: bytes });
  }

  async workers(): Promise<number[]> {
    const { body } = await this.admin("GET", "/v1/status");
    const { workers } = JSON.parse(body) as { workers: { pid: number }[] };
    return workers.map(({ pid }) => pid);
  }

  async stop(): Promise<number | null> {
    if (this.#before.length > 0) await this.#stopSuccessor();
    this.#child.kill("SIGTERM");
    await Promise.race([this.#exited, sleep(STOP_MS)]);
    const code = this.#child.exitCode;
    await this.kill();
    return code;
  }

  async #stopSuccessor(): Promise<void> {
    const { pid } = this;
    const mark = processStartTime(pid);
    if (mark === null) return;
    process.kill(pid, "SIGTERM");
    const until = Date.now() + STOP_MS;
    while (processStartTime(pid) === mark && Date.now() < until) await sleep(10);
  }

  async kill(): Promise<void> {
    const left = [this.pid, ...this.#before].flatMap((pid) => childrenOf(pid));
    for (const pid of this.#before.length > 0 ? [this.pid, ...this.#before] : []) endProcess(pid);
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await this.#exited;
    }
    for (const pid of left) endProcess(pid);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The processes that one has started, by pid. */
export function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [];
  return readFileSync(file, "latin1")
    .trim()
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // Gone already, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function exchange(
  target: { host: string; port: number } | { socketPath: string },
  path: string,
  ask: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false });
    const headers = { host: "localhost", ...ask.headers };
    const outgoing = httpRequest({ ...target, path, method: ask.method ?? "GET", headers, agent }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.once("error", reject);
      incoming.once("end", () => {
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString(),
          trailers: incoming.trailers,
        });
      });
    });
    outgoing.once("error", reject);
    if (ask.trailers !== undefined) outgoing.addTrailers(ask.trailers);
    outgoing.end(ask.body);
  });
}
