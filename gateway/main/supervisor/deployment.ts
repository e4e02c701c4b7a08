/**
 * What is in force, and how it changes: sockets, kernel and workers prepare a snapshot together, and only when all could
 * does any of them run it. Whatever refuses, everything is as before, and the answer says who and why.
 */
import { defined } from "#core/assert.ts";
import type { ListenerStatus } from "#control/gateway-status.ts";
import type { KernelResult } from "#control/protocol.ts";
import { packSnapshot, type PackedSnapshot } from "#snapshot/packed.ts";
import { snapshotOf, snapshotPatch, type SnapshotChange, type SnapshotPatch } from "#snapshot/patch.ts";
import { secretContext } from "#snapshot/secrets.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { MapGrant, ModuleBytes } from "#worker/protocol.ts";
import type { KernelPart } from "./kernel-part.ts";
import type { Listeners } from "./listeners.ts";
import type { LogSink } from "./log.ts";
import { readModules } from "./modules.ts";
import type { Sealing } from "./sealing.ts";
import type { TenantMemory } from "./tenant-memory.ts";
import type { TicketKeys } from "./ticket-keys.ts";
import { tlsMaterial } from "./tls-material.ts";
import { tagged } from "./tags.ts";
import type { Tagged } from "./tags.ts";
import type { UserMaps } from "./user-maps.ts";
import type { Provision } from "./worker-process.ts";
import type { Verdict, Workers } from "./workers.ts";

const SPLICE_MAPS = ["sockets", "taken", "moved"] as const;

/** Two lives of Node, launcher and worker, take a quarter of a second; on a busy machine a few. */
const INTRODUCTION_MS = 5_000;

export interface Applied {
  readonly ok: boolean;
  readonly results: readonly Verdict[];
  readonly kernel?: KernelResult;
  /** The supervisor's own; see AppliedReply. */
  readonly refusal?: { readonly pointer: string; readonly error: string };
}

export interface DeploymentParts {
  readonly dataDir: string;
  readonly listeners: Listeners;
  readonly kernel: KernelPart;
  readonly userMaps: UserMaps;
  readonly tenantMemory: TenantMemory;
  readonly sealing: Sealing;
  readonly ticketKeys: TicketKeys;
  readonly log: LogSink;
}

interface InForce {
  readonly snapshot: Snapshot;
  /** The same, as every worker gets it. */
  /** Made once, when a worker needs the whole. */
  readonly packed: () => PackedSnapshot;
  readonly modules: readonly ModuleBytes[];
  /** Private keys among it: never logged, and kept for workers that start later. */
  readonly tls: ReturnType<typeof tlsMaterial>;
  /** Values of `snapshot.secrets`: the same holds for them. */
  readonly secrets: readonly Uint8Array[];
}

export class Deployment {
  readonly #parts: DeploymentParts;
  /** Set once, right after construction: workers ask back what is in force. */
  #workers: Workers | null = null;
  #current: InForce | null = null;
  #missing: string | null = null;
  /** Tags of kernel maps, by identity: a worker is sent a map once. */
  readonly #mapTags = new Map<string, Tagged>();
  /** Notes of the kernel part that the log has: those of its opening are its opener's to tell. */
  readonly #told: Set<string>;

  constructor(parts: DeploymentParts) {
    this.#parts = parts;
    this.#told = new Set(parts.kernel.status().notes);
  }

  /** What this start does without; null when nothing is missing. */
  get missing(): string | null {
    return this.#missing;
  }

  attach(workers: Workers): void {
    this.#workers = workers;
  }

  get snapshot(): Snapshot | null {
    return this.#current?.snapshot ?? null;
  }

  /** For a worker that starts now; null before the first snapshot. */
  current(slot: number): { revision: number; provision: Provision } | null {
    if (this.#current === null) return null;
    return { revision: this.#current.snapshot.revision, provision: this.#provision(this.#current, slot, null) };
  }

  /**
   * Never rejects for what a snapshot asks. A snapshot that is in force already is not prepared again. Workers that are just
   * starting are waited for, so that they have a say; a `boot` does not wait, and they take it up one by one. Nor does a boot
   * stop at what the machine lacks since (an address, a device, a cgroup that a restart took away): it goes on without.
   */
  async apply(change: SnapshotChange, boot = false): Promise<Applied> {
    const workers = this.#workers;
    if (workers === null) return refused("the supervisor is not ready");
    if (!boot) await workers.introduced(INTRODUCTION_MS);
    return workers.exclusively(async () => {
      const running = this.#current?.snapshot;
      let snapshot: Snapshot;
      try {
        snapshot = snapshotOf(running ?? null, change);
      } catch (error) {
        return refused(words(error));
      }
      if (running?.digest === snapshot.digest && running.revision === snapshot.revision) {
        return { ok: true, results: this.#everyone(workers), kernel: this.#kernelResult() };
      }
      return this.#change(workers, snapshot, boot);
    });
  }

  async #change(workers: Workers, snapshot: Snapshot, boot: boolean): Promise<Applied> {
    const { listeners, kernel, tenantMemory, log } = this.#parts;
    let next: InForce;
    try {
      const modules = readModules(this.#parts.dataDir, snapshot, this.#current?.modules ?? []);
      const { sealing } = this.#parts;
      const secrets = (snapshot.secrets ?? []).map((one) => sealing.open(one.sealed, secretContext(one)));
      next = { snapshot, packed: packedOnce(snapshot), modules, tls: tlsMaterial(snapshot, sealing), secrets };
      tenantMemory.prepare(snapshot);
    } catch (error) {
      return refused(words(error));
    }
    const closed = listeners.prepare(snapshot.listeners, boot);
    if (closed !== null) {
      tenantMemory.abort();
      return refused(closed.error, `/listeners/${closed.index}/address`);
    }
    try {
      this.#prepareKernel(snapshot, boot);
    } catch (error) {
      listeners.abort();
      tenantMemory.abort();
      return { ok: false, results: [], kernel: { ok: false, error: words(error) } };
    }
    this.#parts.userMaps.prepare(snapshot.maps.filter((map) => kernel.mapFd(map.name) === null));
    const before = this.#current?.snapshot;
    const patch = before === undefined ? null : snapshotPatch(before, snapshot);
    const members = await workers.prepare((slot) => this.#provision(next, slot, patch));
    const problem = members.some((member) => !member.ok) ? "" : commitKernel(kernel);
    if (problem !== null) {
      workers.abort(members);
      kernel.abort();
      this.#parts.userMaps.abort();
      tenantMemory.abort();
      listeners.abort();
      const kernelResult = problem === "" ? this.#kernelResult() : { ok: false, error: problem };
      log("warn", `revision ${snapshot.revision} refused`, { results: members, kernel: kernelResult });
      return { ok: false, results: members, kernel: kernelResult };
    }
    this.#current = next;
    this.#parts.userMaps.commit();
    const results = await workers.commit(snapshot.revision, members);
    listeners.commit();
    tenantMemory.commit();
    this.#forgetMaps();
    log("info", `revision ${snapshot.revision} in force`, { workers: results.filter((one) => one.ok).length });
    this.#tellNotes();
    return { ok: true, results, kernel: this.#kernelResult() };
  }

  #prepareKernel(snapshot: Snapshot, boot: boolean): void {
    const declaration = this.#kernelDeclaration(snapshot);
    this.#missing = null;
    try {
      this.#parts.kernel.prepare(declaration);
    } catch (error) {
      if (!boot) throw error;
      this.#missing = `nothing is attached in the kernel: ${words(error)}`;
      this.#parts.log("error", this.#missing);
      this.#parts.kernel.prepare({ ...declaration, kernel: { interfaces: [], steering: [] } });
    }
  }

  #provision(
    { snapshot, packed, modules, tls, secrets }: InForce,
    slot: number,
    patch: SnapshotPatch | null,
  ): Provision {
    const { listeners, kernel, userMaps } = this.#parts;
    const { grants, descriptors } = listeners.grants(snapshot.listeners, slot);
    const all = [...descriptors];
    const maps = snapshot.maps.map(({ name }): MapGrant => {
      const map = this.#mapTag(name);
      if (map !== null) all.push(map);
      return { name, fdTag: map?.tag ?? null, entries: map === null ? userMaps.entries(name) : [] };
    });
    const originalsFd = kernel.originalsFd();
    const originals = originalsFd === null ? null : this.#tag("originals", originalsFd);
    if (originals !== null) all.push(originals);
    const splice = this.#spliceTags();
    all.push(...splice);
    const memory = this.#parts.tenantMemory.grant();
    if (memory !== null) all.push(memory.descriptor);
    const encrypted = tls === undefined ? {} : { tls: { ...tls, ticketKeys: this.#parts.ticketKeys.all } };
    const tenants = memory === null ? {} : { tenantMemory: memory.message };
    const originalsFdTag = originals?.tag ?? null;
    const [sockets, taken, moved] = splice.map(({ tag }) => tag);
    const sockmapFdTags =
      sockets === undefined || taken === undefined || moved === undefined ? null : { sockets, taken, moved };
    const message = { listeners: grants, maps, originalsFdTag, sockmapFdTags, secrets, ...tenants, ...encrypted };
    return { message, digest: snapshot.digest, packed, patch, descriptors: all, modules };
  }

  /** In that order; none where nothing is spliced. */
  #spliceTags(): Tagged[] {
    const maps = this.#parts.kernel.spliceMaps();
    return maps === null ? [] : SPLICE_MAPS.map((name) => this.#tag(`splice ${name}`, maps[name]));
  }

  #mapTag(name: string): Tagged | null {
    const { kernel } = this.#parts;
    const fd = kernel.mapFd(name);
    return fd === null ? null : this.#tag(`map ${kernel.mapIdentity(name)}`, fd);
  }

  #tag(identity: string, fd: Tagged["fd"]): Tagged {
    const known = this.#mapTags.get(identity);
    if (known !== undefined && known.fd === fd) return known;
    const made = tagged(fd);
    this.#mapTags.set(identity, made);
    return made;
  }

  /** Identities that nothing names any more. */
  #forgetMaps(): void {
    const { kernel } = this.#parts;
    const kept = new Set(this.#current?.snapshot.maps.map(({ name }) => `map ${kernel.mapIdentity(name)}`));
    if (kernel.originalsFd() !== null) kept.add("originals");
    for (const name of SPLICE_MAPS) if (kernel.spliceMaps() !== null) kept.add(`splice ${name}`);
    for (const identity of this.#mapTags.keys()) if (!kept.has(identity)) this.#mapTags.delete(identity);
  }

  #kernelDeclaration({ maps, kernel, listeners }: Snapshot): Parameters<KernelPart["prepare"]>[0] {
    const { grants, descriptors } = this.#parts.listeners.grants(listeners, 0);
    const socketOf = new Map(descriptors.map(({ tag, fd }) => [tag, fd]));
    return {
      // A tenant's own are in user space, and stand behind all others: indices stay what they are.
      maps: maps.filter(({ tenant }) => tenant === undefined),
      kernel,
      listeners: listeners.map(({ name }, index) => {
        const own = grants.filter((grant) => grant.index === index);
        return {
          name,
          addresses: own.map(({ address }) => address),
          allSockets: this.#parts.listeners.socketsOf(listeners, index),
          sockets: own.map(({ fdTag }) => defined(socketOf.get(fdTag), "a socket of the listener")),
        };
      }),
    };
  }

  listenerStatus(): ListenerStatus[] {
    return this.#current === null ? [] : this.#parts.listeners.addresses(this.#current.snapshot.listeners);
  }

  #kernelResult(): KernelResult {
    return {
      ok: true,
      notes: [...(this.#missing === null ? [] : [this.#missing]), ...this.#parts.kernel.status().notes],
    };
  }

  /** What a revision made the kernel part say that it had not said before: `run -f` has no other place for it. */
  #tellNotes(): void {
    for (const note of this.#parts.kernel.status().notes) {
      if (!this.#told.has(note)) this.#parts.log("warn", note);
      this.#told.add(note);
    }
  }

  #everyone(workers: Workers): Verdict[] {
    return workers.all
      .filter((worker) => worker.state === "ready")
      .map((worker) => ({ worker: worker.slot, ok: true }));
  }
}

function packedOnce(snapshot: Snapshot): () => PackedSnapshot {
  let packed: PackedSnapshot | undefined;
  return () => (packed ??= packSnapshot(snapshot));
}

/** Null when it is done. */
function commitKernel(kernel: KernelPart): string | null {
  try {
    kernel.commit();
    return null;
  } catch (error) {
    return words(error);
  }
}

function refused(error: string, pointer = ""): Applied {
  return { ok: false, results: [], refusal: { pointer, error } };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
