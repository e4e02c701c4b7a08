/**
 * The supervisor: the one process with privileges, and the one that never looks at what the network sends. Binds sockets,
 * holds the kernel part, starts the children and keeps them alive, and carries every change of configuration through in
 * two phases.
 *
 * It serves from the last good snapshot at once, without waiting for the control process, and goes on serving when that dies.
 */
import type { ChildProcess } from "node:child_process";
import { openSealing, type Sealing } from "./sealing.ts";
import { TicketKeys } from "./ticket-keys.ts";
import { chmodSync, openSync } from "node:fs";
import { join } from "node:path";
import { asFd, type Fd } from "#core/brands.ts";
import type { GatewayStatus } from "#control/gateway-status.ts";
import type { DeclaredReply, DeclareRequest, MapReply, MapRequest } from "#control/protocol.ts";
import { readLastGood } from "#control/store/last-good.ts";
import type { Installation } from "#main/confine/installation.ts";
import type { SnapshotChange } from "#snapshot/patch.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { MapChangeMessage } from "#worker/protocol.ts";
import { makeSharedArea } from "#worker/shared-area.ts";
import { close } from "#sys/socket.ts";
import { ScriptDeployment } from "#main/script/deployment.ts";
import { Builds } from "./builds.ts";
import { ControlProcess } from "./control-process.ts";
import type { ControlReply, ControlRequest } from "./control-process.ts";
import type { DataDirectory } from "./data-directory.ts";
import { Deployment } from "./deployment.ts";
import type { Applied } from "./deployment.ts";
import { estateOf } from "./estate.ts";
import { explain } from "./explain.ts";
import type { Inheritance } from "./inheritance.ts";
import type { KernelPart } from "./kernel-part.ts";
import { KernelUpkeep } from "./kernel-upkeep.ts";
import { boundAddress, listenOn } from "./listening-socket.ts";
import { Listeners } from "./listeners.ts";
import type { LogFormat } from "#observe/log.ts";
import type { LogSink } from "./log.ts";
import { serveMapRequest } from "./map-requests.ts";
import { Recordings } from "./recordings.ts";
import { SharedMetrics } from "#worker/shared-metrics.ts";
import { spawnChild } from "./spawn.ts";
import type { SpawnInput } from "./spawn.ts";
import { gatewayStatus } from "./status.ts";
import { TenantMemory } from "./tenant-memory.ts";
import { UserMaps } from "./user-maps.ts";
import { PREPARE_MS } from "./worker-process.ts";
import type { WorkerProcess } from "./worker-process.ts";
import { Workers } from "./workers.ts";

export interface SupervisorOptions {
  readonly installation: Installation;
  readonly data: DataDirectory;
  readonly workers: number;
  /** `HOST:PORT` of the admin API over TCP; null: the Unix socket only. */
  readonly admin: string | null;
  /** Files of the TCP socket's certificate and key, and of the authority that signs clients; null: no TLS. */
  readonly adminTls?: AdminTlsFiles | null;
  readonly privileged: boolean;
  readonly ioUring: boolean;
  readonly kernel: KernelPart;
  readonly version: string;
  readonly log: LogSink;
  /** Of the control process's log. */
  readonly logFormat: LogFormat;
  /** Directories that workers may read, by name: absolute and free of links. */
  readonly files?: Readonly<Record<string, string>>;
  /** Of the gateway that this one takes the place of: then the control process waits for `startControl`. */
  readonly inherited?: Inheritance | null;
  /** While it stops: the store is free. */
  readonly onControlEnded?: () => void;
  /** How long a worker may take to prepare a snapshot. */
  readonly prepareMs?: number;
  /** Modules that the children run; a test names its own. */
  readonly entries?: Partial<Readonly<Record<"worker" | "control" | "builder", string>>>;
}

export interface AdminTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

const CONTROL_STOP_MS = 2_000;
/** An answer under way may take as long as its request may. */
const CONTROL_HAND_OVER_MS = 20_000;
const INTRODUCED_MS = 30_000;
/** Less than its predecessor waits for its end. */
const HEIR_DRAIN_MS = 20_000;
const UPGRADE_DRAIN_MS_DEFAULT = 300_000;
const DRAIN_MS_DEFAULT = 10_000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #listeners: Listeners;
  readonly #scriptListeners: Listeners;
  readonly #userMaps: UserMaps;
  readonly #tenantMemory: TenantMemory;
  /** What workers share, over their lives. */
  readonly #shared: ReturnType<typeof makeSharedArea>;
  readonly #sharedMetrics: SharedMetrics;
  readonly #workers: Workers;
  readonly #recordings: Recordings;
  readonly #control: ControlProcess;
  readonly #builds: Builds;
  readonly #upkeep: KernelUpkeep;
  readonly #sealing: Sealing;
  readonly #ticketKeys: TicketKeys;
  readonly #startedAtMs = Date.now();
  readonly deployment: Deployment;
  readonly scripts: ScriptDeployment;
  #adminSockets: readonly Fd[] = [];
  #controlReady: ((revision: number) => void)[] = [];
  #booted: Promise<boolean> = Promise.resolve(false);
  /** What workers change in maps of user space, for a successor. */
  onMapChange: (change: MapChangeMessage) => void = () => {};
  /** `owner`: all is ours. `heir`: another gateway runs, and we are to take its place. `left`: a successor has taken ours. */
  #standing: "owner" | "heir" | "left";
  #stopping: Promise<void> | null = null;

  constructor(options: SupervisorOptions) {
    const { data, kernel, log } = options;
    this.#options = options;
    this.#standing = options.inherited ? "heir" : "owner";
    const { inherited } = options;
    this.#listeners = new Listeners(options.workers, data.takeOver, inherited?.listeners);
    this.#userMaps = new UserMaps(inherited?.maps);
    this.#shared = makeSharedArea(options.workers, inherited?.buckets);
    this.#tenantMemory = new TenantMemory(inherited?.tenantMemory);
    this.#sharedMetrics = new SharedMetrics(this.#shared.metrics);
    const dataDir = data.path;
    this.#sealing = openSealing(dataDir);
    this.#ticketKeys = new TicketKeys(
      (keys) => this.#workers.broadcast({ type: "ticket-keys", keys }),
      inherited?.ticketKeys,
    );
    this.deployment = new Deployment({
      dataDir,
      listeners: this.#listeners,
      kernel,
      userMaps: this.#userMaps,
      tenantMemory: this.#tenantMemory,
      sealing: this.#sealing,
      ticketKeys: this.#ticketKeys,
      log,
    });
    this.#workers = new Workers({
      count: options.workers,
      prepareMs: options.prepareMs ?? PREPARE_MS,
      spawn: (slot, channel) => this.#spawnWorker(slot, channel),
      onMapChange: (from, change) => this.#mapChanged(from, change),
      onScript: (from, asking) => this.scripts.serve(from, asking),
      onDeath: (pid, slot) => {
        this.#shared.area.connections.clear(slot);
        this.#sharedMetrics.died(slot);
        for (const tenant of this.#tenantMemory.died(pid))
          log("warn", `entries of tenant ${tenant} were mended`, { pid });
      },
      current: (slot) => this.deployment.current(slot),
      bootScript: (worker) => this.scripts.boot(worker),
      outages: inherited?.outages ?? [],
      log,
    });
    this.#recordings = new Recordings(this.#workers);
    this.#scriptListeners = new Listeners(options.workers, data.takeOver, inherited?.scriptListeners);
    this.scripts = new ScriptDeployment(this.#workers, this.#scriptListeners, log, inherited?.scriptKernel);
    this.deployment.attach(this.#workers);
    this.#control = new ControlProcess(
      {
        spawn: () => this.#spawnControl(),
        onReady: (revision) => {
          for (const resolve of this.#controlReady.splice(0)) resolve(revision);
        },
        onHealth: ({ service, endpoint, healthy }) => kernel.setHealth(service, endpoint, healthy),
        serve: (request) => this.#serve(request),
      },
      log,
    );
    this.#builds = new Builds(() => this.#spawn({ kind: "builder", args: [], descriptors: [] }), log);
    this.#upkeep = new KernelUpkeep(kernel, this.#workers);
  }

  /** Everything is started; nothing needs to be ready. Throws PENSTOCK_MAIN_LISTEN for the admin socket. */
  start(): void {
    const { data, inherited, log } = this.#options;
    this.#adminSockets = inherited?.admin ?? this.#openAdmin();
    const lastGood = this.#lastGood();
    this.#workers.start();
    if (inherited === undefined || inherited === null) this.#control.child.start();
    this.#booted = lastGood === undefined ? Promise.resolve(true) : this.#bootFrom(lastGood);
    log("info", "started", { pid: process.pid, workers: this.#workers.all.length, data: data.path });
  }

  #openAdmin(): Fd[] {
    const { data, admin } = this.#options;
    const socket = data.file("admin.sock");
    const sockets = [listenOn(`unix:${socket}`, "alone")];
    chmodSync(socket, 0o600);
    if (admin !== null) sockets.push(listenOn(admin, "alone"));
    return sockets;
  }

  #lastGood(): Snapshot | undefined {
    try {
      return readLastGood(this.#options.data.path);
    } catch (error) {
      this.#options.log("error", `no start from the last good snapshot: ${(error as Error).message}`);
      return undefined;
    }
  }

  async #bootFrom(snapshot: Snapshot): Promise<boolean> {
    // In another's place, all take it up or none: nobody is to be accepted by a gateway that fails.
    if (this.#options.inherited) await this.#workers.introduced(INTRODUCED_MS);
    const { ok, kernel, refusal } = await this.#apply(snapshot, true);
    if (ok) return true;
    const why = refusal?.error ?? kernel?.error ?? "a worker refused it";
    this.#options.log("error", `the last good snapshot can't be served: ${why}`);
    return false;
  }

  async #apply(change: SnapshotChange, boot: boolean): Promise<Applied> {
    const applied = await this.deployment.apply(change, boot);
    this.#upkeep.refresh();
    return applied;
  }

  /** Whether the last good snapshot, if there is one, is served: for a start in another gateway's place. */
  booted(): Promise<boolean> {
    return this.#booted;
  }

  /** In another gateway's place: the store is free now. */
  startControl(): void {
    this.#control.child.start();
  }

  /** The revision in the store, once the control process answers. */
  controlReady(): Promise<number> {
    return new Promise((resolve) => this.#controlReady.push(resolve));
  }

  declare(declaration: Omit<DeclareRequest, "type" | "id">): Promise<DeclaredReply> {
    return this.#control.declare(declaration);
  }

  /** Resolves once every worker serves a snapshot. */
  workersReady(): Promise<void> {
    return this.#workers.ready();
  }

  /** A worker takes traffic. */
  get serving(): boolean {
    return this.#workers.all.some((worker) => worker.state === "ready");
  }

  /** Where the admin API is: the Unix socket, and the TCP address if there is one. */
  adminAddresses(): string[] {
    return this.#adminSockets.map(boundAddress);
  }

  #spawn(input: Pick<SpawnInput, "kind" | "args" | "descriptors">): ChildProcess {
    const { installation, data, privileged, ioUring, entries } = this.#options;
    const entry = input.kind === "echo" ? undefined : entries?.[input.kind];
    return spawnChild({
      ...input,
      installation,
      entry: entry ?? join(installation.root, ENTRIES[input.kind]),
      data: input.kind === "control" ? data.path : null,
      files: Object.values(this.#options.files ?? {}),
      privileged,
      ioUring,
      output: "inherit",
    });
  }

  #spawnWorker(slot: number, channel: Fd): ChildProcess {
    const args = [String(this.#options.workers), String(slot), JSON.stringify(this.#options.files ?? {})];
    const child = this.#spawn({
      kind: "worker",
      args,
      descriptors: [channel, this.#shared.fd, this.#shared.bucketsFd],
    });
    const pids = this.#workers.all.map((worker) => worker.child.pid);
    this.#options.data.record([...pids, child.pid ?? 0].filter((pid) => pid > 0));
    return child;
  }

  #spawnControl(): ChildProcess {
    const args = ["--data", this.#options.data.path, "--unix-fd", "4", "--log-format", this.#options.logFormat];
    if (this.#adminSockets.length > 1) args.push("--tcp-fd", "5");
    const { adminTls } = this.#options;
    if (adminTls === undefined || adminTls === null)
      return this.#spawn({ kind: "control", args, descriptors: this.#adminSockets });
    // Opened anew for each life, so that a renewed certificate is used from the next one on.
    const files = [adminTls.cert, adminTls.key, adminTls.ca].map((path) => asFd(openSync(path, "r")));
    args.push("--tls-fds", "6,7,8");
    try {
      return this.#spawn({ kind: "control", args, descriptors: [...this.#adminSockets, ...files] });
    } finally {
      for (const fd of files) close(fd);
    }
  }

  #mapChanged(from: WorkerProcess | null, change: MapChangeMessage): void {
    const map = this.#userMaps.get(change.map);
    if (map === undefined) return;
    map.apply(change);
    this.#workers.broadcast(change, from);
    if (from !== null) this.onMapChange(change);
  }

  /** A change that workers of the gateway before this one have made. */
  mapChangedBefore(change: MapChangeMessage): void {
    this.#mapChanged(null, change);
  }

  async #serve(request: ControlRequest): Promise<ControlReply> {
    const { id } = request;
    switch (request.type) {
      case "apply":
        return { type: "applied", id, ...(await this.#apply(request.snapshot, false)) };
      case "build":
        return { type: "built", id, result: await this.#builds.build(request) };
      case "seal": {
        const { secret, context } = request;
        const fingerprint = this.#sealing.fingerprint(secret, context);
        return { type: "sealed", id, sealed: this.#sealing.seal(secret, context), fingerprint };
      }
      case "map":
        return { type: "map-reply", id, result: this.map(request) };
      case "counters":
        return { type: "counters-reply", id, result: this.#options.kernel.counters(request) };
      case "entries":
        return { type: "entries-reply", id, result: this.#tenantMemory.serve(request) };
      case "lines":
        return { type: "lines-reply", id, workers: await this.#workers.lines(request.tenant, request.after) };
      case "tap":
        return { type: "tap-reply", id, workers: await this.#workers.tap(request.route, request.after) };
      case "purge":
        return { type: "purge-reply", id, purged: await this.#workers.purge(request.what) };
      case "record":
        return { type: "record-reply", id, result: await this.#recordings.record(request) };
      case "recorded-part":
        return { type: "recorded-part-reply", id, bytes: await this.#recordings.part(request) };
      case "trace":
        return { type: "trace-reply", id, result: this.#options.kernel.trace(request) };
      case "tell":
        return { type: "told", id, answers: await this.#workers.tell(request) };
      case "explain":
        return { type: "explain-reply", id, result: await explain(request.request, this.#workers, this.deployment) };
      case "status":
        return { type: "status-reply", id, status: await this.status() };
    }
  }

  /** The admin API's operation on a shared map. */
  map(request: MapRequest): MapReply["result"] {
    return serveMapRequest(request, this.#options.kernel, this.#userMaps, this.#workers);
  }

  /** What the gateway is doing; asks every worker. */
  status(): Promise<GatewayStatus> {
    const { version, kernel } = this.#options;
    return gatewayStatus({
      version,
      kernel,
      startedAtMs: this.#startedAtMs,
      deployment: this.deployment,
      workers: this.#workers,
      sharedMetrics: this.#sharedMetrics,
      scriptKernel: this.scripts.kernelStatus(),
      userMaps: this.#userMaps,
      controlRestarts: this.#control.child.restarts,
    });
  }

  /** 0 while it is down. */
  get controlPid(): number {
    return this.#control.child.pid;
  }

  get stopping(): boolean {
    return this.#stopping !== null;
  }

  /** All that a successor needs, and the descriptors that it names, which stay ours. `echo`: the example's socket. */
  async estate(echo: Fd | null): Promise<ReturnType<typeof estateOf>> {
    const outages = await Promise.all(this.#workers.outages());
    return estateOf({
      outages,
      listeners: this.#listeners.estate(),
      scriptListeners: this.#scriptListeners.estate(),
      admin: this.#adminSockets,
      echo,
      ticketKeys: this.#ticketKeys.all,
      maps: this.#userMaps.estate(),
      buckets: this.#shared.bucketsFd,
      tenantMemory: this.#tenantMemory.estate(),
      kernel: this.#options.kernel.handOver(),
      scriptKernel: this.scripts.handOver(),
    });
  }

  /** The store gets another writer. */
  async stopControl(): Promise<void> {
    await this.#control.stop(CONTROL_HAND_OVER_MS);
  }

  /** A successor has failed: what it may have taken is ours again. */
  takeBack(controlStopped: boolean): void {
    try {
      this.#options.kernel.takeBack();
      this.scripts.takeBack();
    } catch (error) {
      this.#options.log("error", `the kernel part was not taken back: ${(error as Error).message}`);
    }
    if (controlStopped) this.#control.child.start();
  }

  /** A successor has taken over: sockets and kernel are its own, and what waits in the queues is for its workers. */
  letGo(): void {
    this.#standing = "left";
    this.#builds.stop();
    this.#ticketKeys.stop();
    this.#upkeep.stop();
    this.#options.kernel.letGo();
    this.#closeSockets();
  }

  /** After `letGo`: resolves when the workers have ended all that they had begun, or their time is up. */
  async drainGently(): Promise<void> {
    const { upgradeDrainMs = UPGRADE_DRAIN_MS_DEFAULT } = this.deployment.snapshot?.settings ?? {};
    await this.#workers.drain(upgradeDrainMs, true);
    this.scripts.endCommands();
    this.#options.log("info", "everything that was begun here has ended");
  }

  /** The gateway before has let go. */
  takeOver(): void {
    this.#standing = "owner";
    this.#options.data.own();
  }

  #closeSockets(): void {
    this.#listeners.close();
    this.scripts.close();
    this.#closeAdmin();
  }

  #closeAdmin(): void {
    for (const fd of this.#adminSockets) close(fd);
    this.#adminSockets = [];
  }

  /** Ends in order: control answers what is under way, workers drain, the kernel lets go. `force` cuts it short. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const drainMs = this.deployment.snapshot?.settings.drainMs ?? DRAIN_MS_DEFAULT;
    this.#builds.stop();
    this.#ticketKeys.stop();
    // Nothing new is steered to a gateway that is about to go.
    this.#upkeep.stop();
    this.scripts.leave();
    // What another gateway has in force, or will have again, is not taken off.
    if (this.#standing === "owner") this.#options.kernel.close();
    else if (this.#standing === "heir") this.#options.kernel.letGo();
    const control = this.#control.stop(CONTROL_STOP_MS).then(() => this.#options.onControlEnded?.());
    // Nobody accepts there any more: who asks is refused at once, and does not wait until all have drained.
    this.#closeAdmin();
    // An heir that gives up leaves its clients to the gateway before it: none of them is to notice.
    const isHeir = this.#standing === "heir";
    await Promise.all([control, this.#workers.drain(isHeir ? HEIR_DRAIN_MS : drainMs, isHeir)]);
    this.scripts.endCommands();
    this.#closeSockets();
    close(this.#shared.fd);
    close(this.#shared.bucketsFd);
    this.#options.data.release();
    this.#options.log("info", "stopped");
  }

  /** The second Ctrl-C: `stop` then has nothing left to wait for. */
  force(): void {
    this.#builds.stop();
    this.#workers.kill();
    this.#control.child.kill();
  }
}

const ENTRIES: Readonly<Record<SpawnInput["kind"], string>> = {
  worker: "gateway/worker/main.ts",
  control: "gateway/control/main.ts",
  builder: "gateway/worker/builder.ts",
  echo: "gateway/main/example/echo.ts",
};
