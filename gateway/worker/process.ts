/** The worker's side of the protocol: two-phase snapshots, drain, statistics. */
import type { Fd } from "#core/brands.ts";
import { Recorder } from "#observe/recorder.ts";
import { Engine, type Routing } from "#proxy/engine.ts";
import { unpackSnapshot } from "#snapshot/packed.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { patched } from "#snapshot/patch.ts";
import { scriptFigures } from "#pipeline/library/stats.ts";
import { receiveDescriptors } from "#sys/descriptors.ts";
import { setTicketKeys } from "#sys/openssl-tickets.ts";
import { outagesOf } from "#upstream/outages.ts";
import { DataPlane } from "./data-plane.ts";
import { openDriver } from "./driver.ts";
import { Descriptors } from "./descriptors.ts";
import { explainRequest } from "./explain.ts";
import type { FileGrants } from "./file-roots.ts";
import { namesSettled, systemResolver } from "./system-resolver.ts";
import { FilterSet, type Chains } from "./filter-set.ts";
import { MapSet } from "./map-set.ts";
import { sharedClockOffsetMs, type SharedArea } from "./shared-area.ts";
import { StreamFilterSet } from "./stream-filter-set.ts";
import type { PrepareMessage, ToSupervisor, ToWorker, TlsMaterial } from "./protocol.ts";
import { routingOf } from "./routing.ts";
import { inSlices } from "./slices.ts";
import { TenantSet } from "./tenants/tenant-set.ts";
import { ScriptHost } from "./script/script-host.ts";
import { TlsSet } from "./tls-set.ts";

export interface WorkerOptions {
  readonly io: string;
  readonly descriptors: Fd;
  /** How many there are of its kind. */
  readonly workers: number;
  /** Directories that may be read, by name. */
  readonly files: FileGrants;
  /** With the others of its kind. */
  readonly shared: SharedArea;
  readonly logFd: number;
  /** A line for the operator. */
  readonly log: (line: string) => void;
  readonly send: (message: ToSupervisor) => void;
  readonly exit: (code: number) => void;
}

interface Prepared {
  readonly message: PrepareMessage;
  readonly engine: Engine;
}

const NO_MATERIAL: TlsMaterial = { keys: [], systemCa: null, ticketKeys: [] };

/** From a snapshot's coming into force to the making of all its routes: where one follows the other, that would be for nothing. */
const SETTLE_MS = 1000;
/** How often a draining worker looks whether its last connection has gone. */
const DRAIN_POLL_MS = 50;
/** Without a supervisor: how long what is under way may take. */
const ORPHAN_DRAIN_MS = 10_000;

export class WorkerProcess {
  readonly #options: WorkerOptions;
  readonly #plane: DataPlane;
  readonly #descriptors: Descriptors;
  readonly #maps: MapSet;
  readonly #tenants: TenantSet;
  readonly #filters: FilterSet;
  readonly #streamFilters: StreamFilterSet;
  readonly #tls: TlsSet;
  readonly #scripts: ScriptHost;
  readonly #resolver = systemResolver();
  readonly #recorder = new Recorder();
  #prepared: Prepared | null = null;
  /** Since its `prepare`, until `commit` or `abort`. */
  #preparing: PrepareMessage | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { io, logFd, log, workers, files, shared } = options;
    this.#plane = new DataPlane(openDriver(io), logFd, undefined, log, workers, shared);
    this.#descriptors = new Descriptors();
    this.#maps = new MapSet(
      (change) => options.send(change),
      () => this.#plane.bansChanged(),
    );
    const { loop } = this.#plane;
    this.#tenants = new TenantSet({ workers, nowMs: () => loop.nowMs, turn: () => loop.turns });
    const lent = { maps: this.#maps, tenants: this.#tenants };
    this.#filters = new FilterSet(this.#plane.context, lent, shared.limits, log, files);
    const offsetMs = sharedClockOffsetMs();
    const sharedMs = (): number => loop.nowMs + offsetMs;
    this.#streamFilters = new StreamFilterSet({ sharedMs, limits: shared.limits, map: (name) => this.#maps.get(name) });
    this.#scripts = new ScriptHost({
      worker: this.#plane.context,
      descriptors: this.#descriptors,
      receive: () => this.#descriptors.keep(receiveDescriptors(options.descriptors)),
      send: (message) => options.send(message),
    });
    this.#tls = new TlsSet(this.#plane.context.tls, (line) => this.#plane.context.log(line));
  }

  start(): void {
    this.#plane.loop.start();
    const driver = this.#plane.driver.name === "io_uring" ? "io_uring" : "epoll";
    this.#options.send({ type: "hello", pid: process.pid, driver });
  }

  receive(message: ToWorker): void {
    switch (message.type) {
      case "prepare":
        void this.#prepare(message);
        break;
      case "commit":
        this.#commit(message.id);
        break;
      case "abort":
        this.#abort(message.id);
        break;
      case "drain":
        this.#drain(message.deadlineMs, message.gently ?? false);
        break;
      case "stats":
        this.#options.send({
          type: "stats-reply",
          id: message.id,
          counters: this.#counters(),
          figures: scriptFigures(),
        });
        break;
      case "outages": {
        const outages = outagesOf(this.#plane.engine?.upstreams ?? [], this.#plane.loop.nowMs);
        this.#options.send({ type: "outages-reply", id: message.id, outages });
        break;
      }
      case "tap": {
        const { tap, loop } = this.#plane.context;
        const exchanges = tap.read(message.route, message.after, loop.nowMs);
        this.#options.send({ type: "tap-reply", id: message.id, exchanges });
        break;
      }
      case "record":
        void this.#record(message);
        break;
      case "recorded-part":
        this.#options.send({
          type: "recorded-part-reply",
          id: message.id,
          bytes: this.#recorder.part(message.part),
        });
        break;
      case "purge":
        this.#options.send({ type: "purge-reply", id: message.id, purged: this.#filters.purge(message.what) });
        break;
      case "explain":
        this.#options.send({
          type: "explain-reply",
          id: message.id,
          result: explainRequest(this.#plane.context, this.#plane.engine, message.request),
        });
        break;
      case "tell":
        void this.#tell(message);
        break;
      case "lines": {
        const lines = this.#tenants.linesAfter(message.tenant, message.after);
        this.#options.send({ type: "lines-reply", id: message.id, lines });
        break;
      }
      case "ticket-keys":
        setTicketKeys(message.keys);
        break;
      case "map-change":
        this.#maps.applyRemote(message);
        break;
      case "script-load":
      case "script-bind":
      case "script-commit":
      case "script-abort":
      case "script-file":
      case "script-exited":
      case "script-kernel-reply":
        this.#scripts.receive(message);
        break;
      default:
        message satisfies never;
    }
  }

  async #record({ id, kind, seconds }: Extract<ToWorker, { type: "record" }>): Promise<void> {
    this.#options.send({ type: "record-reply", id, result: await this.#recorder.record(kind, seconds) });
  }

  async #tell({ id, tenant, plugin, message }: Extract<ToWorker, { type: "tell" }>): Promise<void> {
    this.#options.send({ type: "told", id, answers: await this.#filters.tell(tenant, plugin, message) });
  }

  /** The supervisor is gone. */
  orphaned(): void {
    this.#drain(ORPHAN_DRAIN_MS, false);
  }

  async #prepare(message: PrepareMessage): Promise<void> {
    const { id } = message;
    this.#preparing = message;
    this.#plane.context.endpoints.members.expect(message.outages ?? []);
    try {
      this.#descriptors.keep(receiveDescriptors(this.#options.descriptors));
      this.#maps.prepare(message, this.#descriptors);
      const snapshot = await this.#snapshotOf(message);
      this.#tenants.prepare(snapshot, message.tenantMemory, this.#descriptors);
      const routing = await routingOf(snapshot, this.#plane.engine);
      const chains = await this.#filters.prepare(snapshot, routing.routes, message.modules, message.secrets);
      const engine = this.#engine(snapshot, message.tls, chains, routing);
      await namesSettled(this.#plane.context.endpoints.resolver);
      if (this.#preparing !== message) {
        engine.release();
        this.#forget(message);
        return;
      }
      this.#prepared = { message, engine };
      this.#options.send({ type: "prepared", id, ok: true });
    } catch (error) {
      this.#preparing = null;
      this.#forget(message);
      this.#options.send({ type: "prepared", id, ok: false, error: wordsOf(error) });
    }
  }

  async #snapshotOf({ snapshot }: PrepareMessage): Promise<Snapshot> {
    if ("base" in snapshot) return patched(this.#plane.engine?.snapshot ?? null, snapshot);
    return inSlices(unpackSnapshot(snapshot));
  }

  #engine(snapshot: Snapshot, tls: TlsMaterial | undefined, chains: Chains, routing: Routing): Engine {
    if (tls !== undefined) setTicketKeys(tls.ticketKeys);
    const { nameservers = [] } = snapshot.settings;
    const system = this.#resolver;
    const servers = nameservers.length > 0 ? nameservers : system.servers;
    this.#plane.context.endpoints.resolver.configure({ ...system, servers });
    try {
      return new Engine(
        snapshot,
        chains.filters,
        this.#plane.context.endpoints,
        chains.release,
        this.#streamFilters.prepare(snapshot, chains.streamGuests),
        this.#tls.prepare(snapshot, tls ?? NO_MATERIAL),
        routing,
      );
    } catch (error) {
      chains.release();
      throw error;
    }
  }

  #commit(id: number): void {
    const prepared = this.#prepared;
    if (prepared === null || prepared.message.id !== id) return;
    this.#prepared = null;
    this.#preparing = null;
    const { message, engine } = prepared;
    this.#maps.commit();
    this.#tenants.commit(engine.snapshot);
    this.#filters.commit(engine);
    const kernel = this.#maps.kernelView(message, this.#descriptors);
    this.#plane.commit(engine, message.listeners, this.#descriptors.byTag, kernel);
    // What only the engine before it used may go now.
    this.#tls.commit();
    this.#descriptors.retain(message);
    this.#options.send({ type: "committed", id });
    setTimeout(() => void inSlices(engine.settling(() => this.#plane.engine === engine)), SETTLE_MS).unref();
  }

  #abort(id: number): void {
    const preparing = this.#preparing;
    if (preparing?.id !== id) return;
    this.#preparing = null;
    const prepared = this.#prepared;
    this.#prepared = null;
    // Without an engine it is still being prepared: whoever does that finds that it is no longer wanted.
    if (prepared === null) return;
    prepared.engine.release();
    this.#forget(preparing);
  }

  /** Nothing of a snapshot that will not come into force stays. */
  #forget(message: PrepareMessage): void {
    // Another may be in preparation by now: its maps stay.
    if (this.#preparing === null) {
      this.#maps.abort();
      this.#tls.abort();
    }
    this.#descriptors.drop(message);
  }

  #drain(deadlineMs: number, gently: boolean): void {
    this.#plane.drain(gently);
    this.#scripts.drain(gently);
    const until = performance.now() + deadlineMs;
    const poll = setInterval(() => {
      if (this.#plane.connections > 0 && performance.now() < until) return;
      clearInterval(poll);
      this.#plane.context.accessLog.flush();
      this.#options.send({ type: "drained" });
      // The message must leave before the process does.
      setTimeout(() => this.#options.exit(0), DRAIN_POLL_MS);
    }, DRAIN_POLL_MS);
  }

  #counters(): Record<string, number> {
    return { ...this.#plane.readings(), ...this.#filters.counters(), ...this.#tenants.counters() };
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
