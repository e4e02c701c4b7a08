/**
 * A supervisor for tests: starts the real control process on real sockets and answers its requests as told. Nothing else
 * of the gateway runs.
 */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatAddress, parseAddress, portOf } from "#core/address.ts";
import { sha256Hex } from "#control/canonical.ts";
import type { GatewayStatus } from "#control/gateway-status.ts";
import type {
  ApplyRequest,
  BuildRequest,
  ControlToSupervisor,
  DeclaredReply,
  DeclareRequest,
  HealthMessage,
  LinesReply,
  KernelEvent,
  MapRequest,
  SupervisorToControl,
} from "#control/protocol.ts";
import { snapshotOf } from "#snapshot/patch.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { bind, close, getsockname, listen, socket } from "#sys/socket.ts";

const MAIN = fileURLToPath(import.meta.resolve("#control/main.ts"));

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Null when the body is no JSON. */
  readonly json: unknown;
}

export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly raw?: Uint8Array | string;
}

/** Of a traced connection, as the kernel part would tell them. */
const EVENTS: readonly KernelEvent[] = [
  {
    seq: 1,
    timeMs: 0,
    listener: "web",
    kind: "state",
    local: "10.0.0.1:80",
    remote: "10.0.0.2:5000",
    from: "syn-received",
    to: "established",
    us: 250,
  },
  {
    seq: 2,
    timeMs: 1500,
    listener: "web",
    kind: "slow-response",
    local: "10.0.0.1:80",
    remote: "10.0.0.2:5000",
    us: 1_200_000,
  },
  { seq: 3, timeMs: 1600, listener: "other", kind: "retransmit", local: "[::1]:80", remote: "[::1]:5000" },
];

export function wasmModule(salt: number): Uint8Array {
  // The empty module, and a custom section "t" with one byte, so that each salt has its own digest.
  return Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x01, 0x74, salt);
}

export class FakeSupervisor {
  readonly dataDir: string;
  readonly applied: Snapshot[] = [];
  readonly built: BuildRequest[] = [];
  /** What plugins of its one worker have said. */
  /** Whether a guest of the plugin has an `on_message` hook. */
  listens = true;
  readonly lines: LinesReply["workers"][number]["lines"][number][] = [];
  /** Of health checks, as they came in. */
  readonly verdicts: HealthMessage[] = [];
  /** Of the shared maps: map and hex key to value. */
  readonly entries = new Map<string, Uint8Array>();
  /** How its workers are; null: it answers nobody who asks. */
  workers: readonly GatewayStatus["workers"][number]["state"][] | null = ["ready"];
  /** How the next applies are answered. */
  applyAnswer: (request: ApplyRequest) => SupervisorToControl | Promise<SupervisorToControl> = accept;
  buildAnswer: (request: BuildRequest) => SupervisorToControl = build;
  log = "";
  #child: ChildProcess | undefined;
  #ready: PromiseWithResolvers<number> = Promise.withResolvers();
  #declared: PromiseWithResolvers<DeclaredReply> = Promise.withResolvers();
  #tcpPort = 0;

  /** `dataDir`: an earlier one's; removed with the rest at the end. */
  constructor(dataDir?: string) {
    this.dataDir = dataDir ?? mkdtempSync(join(tmpdir(), "penstock-control-"));
  }

  get socketPath(): string {
    return join(this.dataDir, "admin.sock");
  }

  /** For PENSTOCK_SERVER. */
  get tcpServer(): string {
    return `http://127.0.0.1:${this.#tcpPort}`;
  }

  /** Resolves with the store's revision once the process is ready. */
  async start(): Promise<number> {
    rmSync(this.socketPath, { force: true });
    const unix = listening(`unix:${this.socketPath}`);
    const tcp = listening("127.0.0.1:0");
    this.#tcpPort = portOf(getsockname(tcp));
    this.#ready = Promise.withResolvers();
    const args = ["--data", this.dataDir, "--unix-fd", "4", "--tcp-fd", "5", "--log-level", "debug"];
    const child = fork(MAIN, args, {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc", unix, tcp],
    });
    close(unix);
    close(tcp);
    this.#child = child;
    child.stderr?.on("data", (chunk: Buffer) => (this.log += chunk.toString()));
    child.on("message", (message) => void this.#answer(message as ControlToSupervisor));
    child.once("exit", (code, signal) =>
      this.#ready.reject(new Error(`control ended (${code ?? signal}): ${this.log}`)),
    );
    return this.#ready.promise;
  }

  async #answer(message: ControlToSupervisor): Promise<void> {
    if (message.type === "ready") this.#ready.resolve(message.revision);
    else if (message.type === "declared") this.#declared.resolve(message);
    else if (message.type === "apply") {
      const answer = await this.applyAnswer(message);
      if (answer.type === "applied" && answer.ok)
        this.applied.push(snapshotOf(this.applied.at(-1) ?? null, message.snapshot));
      this.#send(answer);
    } else if (message.type === "build") {
      this.built.push(message);
      this.#send(this.buildAnswer(message));
    } else if (message.type === "status") {
      if (this.workers !== null) this.#send({ type: "status-reply", id: message.id, status: this.#status() });
    } else if (message.type === "map") this.#send(this.#map(message));
    else if (message.type === "health") this.verdicts.push(message);
    else if (message.type === "seal") {
      const sealed = Buffer.from(message.secret).toString("base64");
      const fingerprint = sha256Hex(Buffer.from(`${message.context} ${sealed}`));
      this.#send({ type: "sealed", id: message.id, sealed: `${message.context} ${sealed}`, fingerprint });
    } else if (message.type === "counters") {
      this.#send({ type: "counters-reply", id: message.id, result: { ok: false, detail: "nothing counts here" } });
    } else if (message.type === "tap") {
      this.#send({ type: "tap-reply", id: message.id, workers: [{ worker: 0, exchanges: [] }] });
    } else if (message.type === "entries") {
      const result = { ok: true, usedBytes: 0, count: 0, entries: [] } as const;
      this.#send({ type: "entries-reply", id: message.id, result });
    } else if (message.type === "lines") {
      const lines = this.lines.filter(({ number }) => number > (message.after[0] ?? 0));
      this.#send({ type: "lines-reply", id: message.id, workers: [{ worker: 0, lines }] });
    } else if (message.type === "tell") {
      const { message: answer } = message;
      this.#send({
        type: "told",
        id: message.id,
        answers: this.listens ? [{ worker: 0, route: "acme/orders", version: "1", answer }] : [],
      });
    } else if (message.type === "record") {
      const { id, process } = message;
      const none = { ok: false, code: "none", detail: `there is no process "${process}"` } as const;
      const result = process === "worker-0" ? ({ ok: true, parts: 2, bytes: 2 } as const) : none;
      this.#send({ type: "record-reply", id, result });
    } else if (message.type === "recorded-part") {
      const { id, part } = message;
      this.#send({ type: "recorded-part-reply", id, bytes: Buffer.from("{}").subarray(part, part + 1) });
    } else if (message.type === "purge") {
      this.#send({ type: "purge-reply", id: message.id, purged: 0 });
    } else if (message.type === "trace") {
      this.#send({ type: "trace-reply", id: message.id, result: { ok: true, events: EVENTS, next: EVENTS.length } });
    } else {
      const { url, method } = message.request;
      const explanation = {
        revision: this.applied.at(-1)?.revision ?? 0,
        listener: "web",
        route: { tenant: "acme", name: "orders" },
        filters: [],
        kernel: [],
        action: `${method} ${url}`,
        reasons: message.request.headers.map(([name, value]) => `${name}=${value}`),
      };
      this.#send({ type: "explain-reply", id: message.id, result: { ok: true, explanation } });
    }
  }

  #send(message: SupervisorToControl): void {
    // Killed in between, it hears no answer; that is what some tests are about.
    this.#child?.send(message, () => undefined);
  }

  declare(declaration: Omit<DeclareRequest, "type" | "id">): Promise<DeclaredReply> {
    this.#declared = Promise.withResolvers();
    this.#send({ type: "declare", id: 1, ...declaration });
    return this.#declared.promise;
  }

  #status(): GatewayStatus {
    return {
      version: "test",
      startedAtMs: 0,
      revision: this.applied.at(-1)?.revision ?? 0,
      digest: this.applied.at(-1)?.digest ?? "",
      workers: (this.workers ?? []).map((state, worker) => {
        return { worker, pid: worker + 1, state, revision: 1, restarts: 0, driver: "epoll" };
      }),
      listeners: [],
      kernel: { active: false, notes: ["a test"], facts: [], programs: [], maps: [] },
      metrics: [
        {
          name: "penstock_requests",
          type: "counter",
          help: "Requests",
          samples: [{ labels: { route: 'a"b' }, value: 3 }],
        },
      ],
    };
  }

  #map({ id, map, op }: MapRequest): SupervisorToControl {
    const name = (key: Uint8Array) => `${map} ${Buffer.from(key).toString("hex")}`;
    const reply = (result: object) => ({ type: "map-reply", id, result: { ok: true as const, ...result } }) as const;
    if (op.kind === "put") {
      this.entries.set(name(op.key), op.value);
      return reply({});
    }
    if (op.kind === "get") {
      const value = this.entries.get(name(op.key));
      return reply({ entries: value === undefined ? [] : [{ key: op.key, value }] });
    }
    if (op.kind === "delete") return reply({ deleted: this.entries.delete(name(op.key)) });
    const all = [...this.entries].filter(([key]) => key.startsWith(`${map} `));
    const from = op.after === undefined ? 0 : all.findIndex(([key]) => key === name(op.after ?? new Uint8Array())) + 1;
    const page = all.slice(from, from + op.limit);
    const entries = page.map(([key, value]) => ({ key: Buffer.from(key.split(" ")[1] ?? "", "hex"), value }));
    return reply({ entries, more: from + page.length < all.length });
  }

  /** Over the Unix socket; over TCP when a token is given (`""`: TCP without one). */
  call(method: string, path: string, { headers = {}, body, raw }: Call = {}, token?: string): Promise<Reply> {
    const bytes = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const all: Record<string, string> = { ...headers };
    if (body !== undefined) all["content-type"] ??= "application/json";
    // Without it node:http sends the body of a DELETE unframed.
    if (bytes !== undefined) all["content-length"] = String(Buffer.byteLength(bytes));
    if (token !== undefined && token !== "") all["authorization"] = `Bearer ${token}`;
    const where = token === undefined ? { socketPath: this.socketPath } : { host: "127.0.0.1", port: this.#tcpPort };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ ...where, method, path, headers: all, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = (response.headers["content-type"] ?? "").includes("json");
          const json: unknown = isJson && text !== "" ? JSON.parse(text) : null;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        });
      });
      request.on("error", reject);
      request.end(bytes);
    });
  }

  /** PUT with the precondition that fits what is there. */
  async put(path: string, body: unknown, query = ""): Promise<Reply> {
    const there = await this.call("GET", path);
    const headers: Record<string, string> =
      there.status === 200 ? { "if-match": there.headers.etag ?? "" } : { "if-none-match": "*" };
    return this.call("PUT", `${path}${query}`, { headers, body });
  }

  upload(path: string, bytes: Uint8Array, token?: string): Promise<Reply> {
    return this.call("PUT", path, { raw: bytes, headers: { "content-type": "application/wasm" } }, token);
  }

  async shutdown(): Promise<number | null> {
    const ended = this.#ended();
    this.#send({ type: "shutdown" });
    return ended;
  }

  /** As when the supervisor dies. */
  async disconnect(): Promise<number | null> {
    const ended = this.#ended();
    this.#child?.disconnect();
    return ended;
  }

  /** Power cut: no time for anything. */
  async kill(): Promise<void> {
    const ended = this.#ended();
    this.#child?.kill("SIGKILL");
    await ended;
  }

  #ended(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return Promise.resolve(child?.exitCode ?? null);
    this.#ready.promise.catch(() => undefined);
    return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
  }

  /** Ends the process and removes its data. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

function listening(address: string): ReturnType<typeof socket> {
  const sockaddr = parseAddress(address);
  const fd = socket(sockaddr[0] ?? 0);
  try {
    bind(fd, sockaddr);
    listen(fd);
  } catch (error) {
    close(fd);
    throw new Error(`${formatAddress(sockaddr)}: ${String(error)}`, { cause: error });
  }
  return fd;
}

export function accept({ id }: ApplyRequest): SupervisorToControl {
  return {
    type: "applied",
    id,
    ok: true,
    results: [{ worker: 0, ok: true }],
    kernel: { ok: true, notes: ["maps are in user space"] },
  };
}

function build({ id, bytes }: BuildRequest): SupervisorToControl {
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") !== "\0asm") {
    const result = {
      ok: false,
      code: "PENSTOCK_WASM_INVALID",
      detail: "no magic number (at byte 0)",
      offset: 0,
    } as const;
    return { type: "built", id, result };
  }
  // The last byte stands for what the module would import.
  const capabilities = (bytes.at(-1) ?? 0) > 7 ? ["maps", "upstreams"] : ["maps"];
  const known = { abi: "penstock", hooks: ["request-head"], imports: [], memoryBytesMin: 65_536, builder: "test" };
  const facts = { ...known, capabilities };
  return {
    type: "built",
    id,
    result: { ok: true, metered: Buffer.concat([bytes, Buffer.from([0, 2, 1, 109])]), facts },
  };
}
