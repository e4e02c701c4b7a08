/**
 * What the supervisor asks of the kernel side, and what stands in for it where there is none: then maps live in user space,
 * nothing is steered and nothing is dropped before it reaches a socket, and the notes say why.
 */
import type { HandedDescriptors } from "#bpf/manager/handed-over.ts";
import type { SpliceMaps } from "#bpf/programs/splice/feature.ts";
import type { Fd } from "#core/brands.ts";
import type { KernelStatus, MetricFamily } from "#control/gateway-status.ts";
import type { CountersReply, CountersRequest, TraceReply, TraceRequest } from "#control/protocol.ts";
import type { KernelSpec } from "#snapshot/kernel.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";
import type { MapEntry } from "#worker/protocol.ts";

export interface KernelDeclaration {
  readonly maps: readonly MapSpec[];
  readonly kernel: KernelSpec;
  /** In the snapshot's order; where each is bound in truth. */
  readonly listeners: readonly {
    readonly name: string;
    readonly addresses: readonly string[];
    /** One for each address. Lent. */
    readonly sockets: readonly Fd[];
    /** Those of every worker. Lent. */
    readonly allSockets: readonly Fd[];
  }[];
}

/** Two phases, as everywhere: `prepare` changes nothing that traffic can see; then `commit` or `abort`. */
export interface KernelPart {
  prepare(declaration: KernelDeclaration): void;
  commit(): void;
  abort(): void;
  /** Of a prepared map, or one in force; null when it lives in user space. */
  mapFd(name: string): Fd | null;
  /** Changes when the map behind a name does: tells a new map from an old one with the same descriptor number. */
  mapIdentity(name: string): string;
  originalsFd(): Fd | null;
  /** For workers' spliced streams, from the first declaration of one on; null before, and where there is no kernel part. */
  spliceMaps(): SpliceMaps | null;
  /** Entries of a map in force, for the admin API. */
  read(name: string, key: Uint8Array): MapEntry | null;
  write(name: string, key: Uint8Array, value: Uint8Array): "done" | "full";
  remove(name: string, key: Uint8Array): boolean;
  list(name: string, after: Uint8Array | undefined, limit: number): { entries: MapEntry[]; more: boolean };
  /** What a device's packet counter counted. */
  counters(query: Omit<CountersRequest, "type" | "id">): CountersReply["result"];
  /** What happened to traced connections. */
  trace(query: Omit<TraceRequest, "type" | "id">): TraceReply["result"];
  /** A verdict on an endpoint of a service, both by name; nothing happens when there is none of that name. */
  setHealth(service: string, endpoint: string, healthy: boolean): void;
  /** Steering goes on for one more lease. */
  renewLeases(): void;
  /** How often, in milliseconds; null when nothing is steered. */
  leaseIntervalMs(): number | null;
  /** Whether any map in force has entries that expire. */
  holdsExpiries(): boolean;
  /** Takes expired entries out of the maps; about once a second. */
  sweep(): void;
  /** Whether anything in force wants `maintain`, about once a second. */
  maintains(): boolean;
  maintain(): void;
  status(): KernelPartStatus;
  /** What a successor takes up, while it stays in force here. */
  handOver(): HandedDescriptors;
  /** A successor has failed: what it may have replaced is ours again. */
  takeBack(): void;
  /** A successor runs: closes what is ours alone. */
  letGo(): void;
  close(): void;
}

export interface KernelPartStatus extends Omit<KernelStatus, "maps"> {
  /** Of maps that are in the kernel. */
  readonly entries: ReadonlyMap<string, number>;
  /** Families of `/metrics`, without the product's prefix. */
  readonly counters: readonly MetricFamily[];
}

/** Everything in user space. */
export class NoKernel implements KernelPart {
  readonly #why: string;
  #wanted: KernelDeclaration | null = null;
  #prepared: KernelDeclaration | null = null;

  constructor(why: string) {
    this.#why = why;
  }

  prepare(declaration: KernelDeclaration): void {
    this.#prepared = declaration;
  }
  commit(): void {
    this.#wanted = this.#prepared;
    this.#prepared = null;
  }
  abort(): void {
    this.#prepared = null;
  }
  mapFd(): null {
    return null;
  }
  mapIdentity(name: string): string {
    return name;
  }
  originalsFd(): null {
    return null;
  }
  spliceMaps(): null {
    return null;
  }
  read(): null {
    return null;
  }
  write(): "full" {
    return "full";
  }
  remove(): false {
    return false;
  }
  list(): { entries: MapEntry[]; more: boolean } {
    return { entries: [], more: false };
  }
  counters(): CountersReply["result"] {
    return { ok: false, detail: `packets are counted in the kernel only; ${this.#why}` };
  }
  trace(): TraceReply["result"] {
    return { ok: false, detail: `connections are traced in the kernel only; ${this.#why}` };
  }
  setHealth(): void {}
  renewLeases(): void {}
  leaseIntervalMs(): null {
    return null;
  }
  holdsExpiries(): boolean {
    return false;
  }
  sweep(): void {}
  maintains(): boolean {
    return false;
  }
  maintain(): void {}
  handOver(): HandedDescriptors {
    return { links: new Map(), maps: new Map() };
  }
  takeBack(): void {}
  letGo(): void {}
  close(): void {}

  status(): KernelPartStatus {
    const { maps = [], kernel = { interfaces: [], steering: [] } } = this.#wanted ?? {};
    const notes = [this.#why];
    if (maps.length > 0) notes.push("maps live in user space: the gateway enforces them, the kernel does not");
    for (const { device } of kernel.interfaces) notes.push(`interface ${device}: no program attached`);
    for (const { cgroup } of kernel.steering) notes.push(`cgroup ${cgroup}: connections are not steered`);
    for (const { name } of kernel.interceptors ?? []) notes.push(`interceptor ${name}: nothing is diverted`);
    for (const { name } of kernel.bindings ?? []) {
      notes.push(
        `binding ${name}: nothing is bound, and nothing stands in for it: the listener serves its own address`,
      );
    }
    for (const { listener } of kernel.traces ?? []) {
      const name = this.#wanted?.listeners[listener]?.name ?? "";
      notes.push(
        `trace of listener ${name}: nothing is measured in the kernel; /metrics has what the gateway counts itself`,
      );
    }
    if (kernel.splice === true) notes.push("splice: nothing is moved in the kernel; all bytes go through the workers");
    for (const { name } of kernel.services ?? []) {
      notes.push(
        `service ${name}: not balanced, and nothing stands in for it: a tcp or udp listener would, in user space`,
      );
    }
    return { active: false, notes, facts: [], programs: [], entries: new Map(), counters: [] };
  }
}
