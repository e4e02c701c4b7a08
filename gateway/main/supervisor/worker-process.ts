/**
 * One worker slot: the process that runs there now, what it has been sent, and the conversation of
 * gateway/worker/protocol.ts. Owns the supervisor's end of the descriptor channel, a new one for each life.
 */
import type { ChildProcess } from "node:child_process";

import type { Fd } from "#core/brands.ts";
import type { PluginAnswer, TellRequest } from "#control/protocol.ts";
import type { Purge } from "#control/purge.ts";
import { scriptError } from "#core/errors/script.ts";
import { sendDescriptors, SOCK_SEQPACKET } from "#sys/descriptors.ts";
import type { PackedSnapshot } from "#snapshot/packed.ts";
import type { Recorded, RecordingKind } from "#observe/recorder.ts";
import type { TappedExchange } from "#observe/tap.ts";
import type { SnapshotPatch } from "#snapshot/patch.ts";
import { close, socketpair } from "#sys/socket.ts";
import type {
  EndpointOutage,
  ExplainRequest,
  ExplainResult,
  MapChangeMessage,
  ModuleBytes,
  PluginLine,
  PrepareMessage,
  ToSupervisor,
  ToWorker,
} from "#worker/protocol.ts";
import type { ScriptToSupervisor, ScriptToWorker } from "#worker/script/protocol.ts";
import { Child } from "./child.ts";
import type { LogSink } from "./log.ts";
import { Replies, requestId } from "./replies.ts";
import type { Tagged } from "./tags.ts";

/** Compiling a hundred modules takes seconds; a worker that takes longer than this hangs. */
export const PREPARE_MS = 30_000;
/** Swapping is a matter of one tick. */
const COMMIT_MS = 5_000;
const ASK_MS = 2_000;
/** A plugin that hears a message may wait for an upstream as long as its route's deadline lets it: a minute. */
const TELL_MS = 62_000;
/** Others wait for it before they serve. */
const OUTAGES_MS = 500;
/** A large heap takes seconds to be written down. */
const RECORDING_MARGIN_MS = 20_000;

/** What a worker has to have before it can take up a snapshot. */
export interface Provision {
  readonly message: Omit<PrepareMessage, "type" | "id" | "modules" | "snapshot">;
  /** The snapshot; made when a worker needs it. */
  readonly packed: () => PackedSnapshot;
  /** Of the snapshot. */
  readonly digest: string;
  /** What is new in the snapshot, for a worker that runs the one before. */
  readonly patch: SnapshotPatch | null;
  /** All that `message` names. */
  readonly descriptors: readonly Tagged[];
  /** All modules of the snapshot. */
  readonly modules: readonly ModuleBytes[];
}

export interface WorkerHandler {
  spawn(slot: number, channel: Fd): ChildProcess;
  /** A new life has begun and wants a snapshot. */
  onHello(worker: WorkerProcess): void;
  /** A script asks for something, in its own time. */
  onScript(worker: WorkerProcess, asking: ScriptAsking): void;
  onMapChange(worker: WorkerProcess, change: MapChangeMessage): void;
  onDeath(pid: number, slot: number): void;
  /** Endpoints that are out, as far as anybody knows, for a life that has no snapshot yet. */
  outagesFor(worker: WorkerProcess): Promise<readonly EndpointOutage[]>;
}

/** A message about scripts, before it has a number. */
export type ScriptQuestion = ScriptToWorker extends infer M
  ? M extends ScriptToWorker
    ? Omit<M, "id">
    : never
  : never;

export type WorkerStats = Pick<Extract<ToSupervisor, { type: "stats-reply" }>, "counters" | "figures">;
export const NO_STATS: WorkerStats = { counters: {}, figures: [] };

export type ScriptAsking = Extract<ScriptToSupervisor, { type: "script-kernel" | "script-wish" }>;

export type WorkerState = "down" | "starting" | "ready" | "draining";

export class WorkerProcess {
  readonly slot: number;
  readonly child: Child;
  readonly #handler: WorkerHandler;
  readonly #log: LogSink;
  readonly #prepareMs: number;
  readonly #replies = new Replies<ToSupervisor>();
  #channel: Fd | null = null;
  /** Of this life, once it has said hello; not gone yet when the child's own is. */
  #pid = 0;
  /** Tags and digests that this life has, by the rules of the protocol. */
  #tags = new Set<number>();
  #modules = new Set<string>();
  #scriptTags = new Set<number>();
  /** Of the snapshot this life runs; empty before the first. */
  #digest = "";
  #prepared: {
    readonly id: number;
    readonly digest: string;
    readonly tags: Set<number>;
    readonly modules: Set<string>;
  } | null = null;
  state: WorkerState = "down";
  /** Said hello: can be told things. */
  introduced = false;
  driver = "";
  revision = 0;

  constructor(slot: number, handler: WorkerHandler, prepareMs: number, log: LogSink) {
    this.slot = slot;
    this.#prepareMs = prepareMs;
    this.#handler = handler;
    this.#log = log;
    this.child = new Child(
      `worker ${slot}`,
      {
        start: () => this.#start(),
        onMessage: (message) => this.#onMessage(message as ToSupervisor),
        onDeath: (reason, restartMs) => this.#onDeath(reason, restartMs),
      },
      log,
    );
  }

  #start(): ChildProcess {
    const [ours, theirs] = socketpair(SOCK_SEQPACKET);
    this.#channel = ours;
    this.state = "starting";
    try {
      return this.#handler.spawn(this.slot, theirs);
    } finally {
      close(theirs);
    }
  }

  #onDeath(reason: string, restartMs: number | null): void {
    const expected = this.state === "draining";
    if (this.#channel !== null) close(this.#channel);
    this.#channel = null;
    this.#tags = new Set();
    this.#modules = new Set();
    this.#scriptTags = new Set();
    this.#digest = "";
    this.#prepared = null;
    this.state = "down";
    this.introduced = false;
    this.revision = 0;
    this.#replies.failAll(new Error(`worker ${this.slot} ${reason}`));
    const next = restartMs === null ? "" : restartMs === 0 ? ", started again" : `, started again in ${restartMs} ms`;
    this.#log(expected ? "debug" : "error", `worker ${this.slot} ${reason}${next}`);
    if (this.#pid !== 0) this.#handler.onDeath(this.#pid, this.slot);
    this.#pid = 0;
  }

  #onMessage(message: ToSupervisor): void {
    switch (message.type) {
      case "hello":
        this.introduced = true;
        this.#pid = this.child.pid;
        this.driver = message.driver;
        this.#handler.onHello(this);
        return;
      case "map-change":
        this.#handler.onMapChange(this, message);
        return;
      case "script-kernel":
      case "script-wish":
        this.#handler.onScript(this, message);
        return;
      case "drained":
        return;
      case "prepared":
      case "committed":
      case "script-loaded":
      case "script-bound":
      case "script-committed":
      case "script-refused":
      case "stats-reply":
      case "outages-reply":
      case "explain-reply":
      case "lines-reply":
      case "tap-reply":
      case "told":
      case "purge-reply":
      case "record-reply":
      case "recorded-part-reply":
        this.#replies.settle(message.id, message);
    }
  }

  #tell(message: ToWorker): void {
    if (!this.child.send(message)) throw new Error(`worker ${this.slot} is not running`);
  }

  async #ask(message: ToWorker & { readonly id: number }, timeoutMs: number): Promise<ToSupervisor> {
    const reply = this.#replies.wait(message.id, timeoutMs, `worker ${this.slot}, ${message.type}`);
    try {
      this.#tell(message);
    } catch (error) {
      this.#replies.fail(message.id, error as Error);
    }
    return reply;
  }

  /** Phase one. Rejects with the worker's own reason, or because it died or is silent: then `abort` it. */
  async prepare({ message, digest, packed, patch, descriptors, modules }: Provision): Promise<void> {
    const outages = this.#digest === "" ? await this.#handler.outagesFor(this) : [];
    const id = requestId();
    const tags = new Set(descriptors.map(({ tag }) => tag));
    this.#prepared = { id, digest, tags, modules: new Set(modules.map((one) => one.digest)) };
    if (this.#channel === null) throw new Error(`worker ${this.slot} is not running`);
    const missing = new Map(descriptors.filter(({ tag }) => !this.#tags.has(tag)).map((item) => [item.tag, item]));
    sendDescriptors(this.#channel, [...missing.values()]);
    const snapshot = patch !== null && patch.base === this.#digest ? patch : packed();
    const missingModules = modules.filter((one) => !this.#modules.has(one.digest));
    const reply = await this.#ask(
      {
        type: "prepare",
        id,
        ...message,
        snapshot,
        modules: missingModules,
        ...(outages.length === 0 ? {} : { outages }),
      },
      this.#prepareMs,
    );
    if (reply.type === "prepared" && !reply.ok) throw new Error(reply.error);
  }

  /** Phase two: the worker runs it when this resolves. */
  async commit(): Promise<void> {
    const prepared = this.#prepared;
    if (prepared === null) throw new Error(`worker ${this.slot} has nothing prepared`);
    this.#prepared = null;
    this.#tags = prepared.tags;
    this.#modules = prepared.modules;
    this.#digest = prepared.digest;
    await this.#ask({ type: "commit", id: prepared.id }, COMMIT_MS);
  }

  /** Phase two, the other way. Nothing to wait for. */
  abort(): void {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (prepared !== null) this.child.send({ type: "abort", id: prepared.id } satisfies ToWorker);
  }

  /** One step of a script's conversation. `descriptors` go ahead, each once. Rejects with the worker's own reason. */
  async askScript(message: ScriptQuestion, descriptors: readonly Tagged[] = []): Promise<ToSupervisor> {
    if (this.#channel === null) throw new Error(`worker ${this.slot} is not running`);
    const missing = descriptors.filter(({ tag }) => !this.#scriptTags.has(tag));
    for (const { tag } of missing) this.#scriptTags.add(tag);
    sendDescriptors(this.#channel, missing);
    const reply = await this.#ask({ ...message, id: requestId() }, this.#prepareMs);
    if (reply.type === "script-refused") throw scriptError("PENSTOCK_SCRIPT_THREW", { detail: reply.error });
    return reply;
  }

  /** The same, where nothing is answered. `id`: of what this answers. */
  tellScript(message: ScriptQuestion, id = requestId()): void {
    this.child.send({ ...message, id } satisfies ToWorker);
  }

  /** Sends a copy of a descriptor ahead of the message that names it. */
  hand(item: Tagged): void {
    if (this.#channel === null) throw new Error(`worker ${this.slot} is not running`);
    sendDescriptors(this.#channel, [item]);
  }

  async stats(): Promise<WorkerStats> {
    const reply = await this.#ask({ type: "stats", id: requestId() }, ASK_MS);
    return reply.type === "stats-reply" ? reply : NO_STATS;
  }

  /** Rejects when it does not answer: then others ask in vain, and find out for themselves. */
  async outages(): Promise<readonly EndpointOutage[]> {
    const reply = await this.#ask({ type: "outages", id: requestId() }, OUTAGES_MS);
    return reply.type === "outages-reply" ? reply.outages : [];
  }

  async lines(tenant: string, after: number): Promise<readonly PluginLine[]> {
    const reply = await this.#ask({ type: "lines", id: requestId(), tenant, after }, ASK_MS);
    return reply.type === "lines-reply" ? reply.lines : [];
  }

  async tap(route: string, after: number): Promise<readonly TappedExchange[]> {
    const reply = await this.#ask({ type: "tap", id: requestId(), route, after }, ASK_MS);
    return reply.type === "tap-reply" ? reply.exchanges : [];
  }

  async tell({ tenant, plugin, message }: Omit<TellRequest, "type" | "id">): Promise<readonly PluginAnswer[]> {
    const reply = await this.#ask({ type: "tell", id: requestId(), tenant, plugin, message }, TELL_MS);
    return reply.type === "told" ? reply.answers.map((answer) => ({ worker: this.slot, ...answer })) : [];
  }

  async record(kind: RecordingKind, seconds: number): Promise<Recorded> {
    const id = requestId();
    const reply = await this.#ask({ type: "record", id, kind, seconds }, seconds * 1000 + RECORDING_MARGIN_MS);
    if (reply.type !== "record-reply") throw new Error(`worker ${this.slot} answered ${reply.type}`);
    return reply.result;
  }

  async recordedPart(part: number): Promise<Uint8Array | null> {
    const reply = await this.#ask({ type: "recorded-part", id: requestId(), part }, ASK_MS);
    return reply.type === "recorded-part-reply" ? reply.bytes : null;
  }

  async purge(what: Purge): Promise<number> {
    const reply = await this.#ask({ type: "purge", id: requestId(), what }, ASK_MS);
    return reply.type === "purge-reply" ? reply.purged : 0;
  }

  async explain(request: ExplainRequest): Promise<ExplainResult> {
    const reply = await this.#ask({ type: "explain", id: requestId(), request }, ASK_MS);
    if (reply.type !== "explain-reply") throw new Error(`worker ${this.slot} answered ${reply.type}`);
    return reply.result;
  }

  /** Silently nothing while the worker is not there: a new life gets the whole map. */
  broadcast(change: MapChangeMessage | Extract<ToWorker, { type: "ticket-keys" }>): void {
    if (this.introduced) this.child.send(change);
  }

  /** Ends it for good: exchanges in flight get `deadlineMs`, and a moment more to say so; `gently`: see the protocol. */
  async drain(deadlineMs: number, gently: boolean): Promise<void> {
    this.state = this.child.pid === 0 ? "down" : "draining";
    await this.child.stop(() => {
      const told = this.introduced && this.child.send({ type: "drain", deadlineMs, gently } satisfies ToWorker);
      if (!told) this.child.kill();
    }, deadlineMs + 1_000);
  }
}
