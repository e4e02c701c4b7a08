/** The kernel part as `#bpf/manager/manager.ts` runs it; where that can't be opened, the stand-in, with the reason. */
import { E2BIG, ENOSPC } from "#core/errno.ts";
import { defined } from "#core/assert.ts";
import type { HandedDescriptors } from "#bpf/manager/handed-over.ts";
import { KernelManager } from "#bpf/manager/manager.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import type { SpliceMaps } from "#bpf/programs/splice/feature.ts";
import type { PreparedKernel } from "#bpf/manager/prepared.ts";
import { SystemCallError } from "#sys/libc.ts";
import type { Fd } from "#core/brands.ts";
import type { CountersReply, CountersRequest, TraceReply, TraceRequest } from "#control/protocol.ts";
import type { MapEntry } from "#worker/protocol.ts";
import { leavePinPlace, NO_PINS, type PinPlace } from "./pin-place.ts";
import { NoKernel } from "./kernel-part.ts";
import type { KernelDeclaration, KernelPart, KernelPartStatus } from "./kernel-part.ts";

/** Not switched off by the environment. */
export function kernelWanted(): boolean {
  return process.env["PENSTOCK_KERNEL"] !== "off";
}

/** Never throws: a kernel that can't is one of the ways to run. */
export function openKernel(
  wanted: boolean,
  pins: PinPlace = NO_PINS,
  handedOver: HandedDescriptors | null = null,
): KernelPart {
  if (!wanted) return new NoKernel("kernel part: switched off by PENSTOCK_KERNEL=off");
  try {
    const manager = KernelManager.open({
      ...(pins.directory === null ? {} : { pins: pins.directory }),
      ...(handedOver === null ? {} : { handedOver }),
    });
    return new ManagedKernel(manager, pins);
  } catch (error) {
    return new NoKernel(`kernel part: ${error instanceof Error ? error.message : String(error)}`);
  }
}

class ManagedKernel implements KernelPart {
  readonly #manager: KernelManager;
  readonly #pins: PinPlace;
  #declared: KernelDeclaration | null = null;
  #inForce: PreparedKernel | null = null;
  #prepared: { readonly kernel: PreparedKernel; readonly declaration: KernelDeclaration } | null = null;

  constructor(manager: KernelManager, pins: PinPlace) {
    this.#manager = manager;
    this.#pins = pins;
  }

  prepare(declaration: KernelDeclaration): void {
    this.#prepared = { kernel: this.#manager.prepare(declaration), declaration };
  }

  commit(): void {
    const { kernel, declaration } = defined(this.#prepared, "a prepared kernel");
    this.#manager.commit(kernel);
    this.#inForce = kernel;
    this.#declared = declaration;
    this.#prepared = null;
  }

  abort(): void {
    this.#prepared?.kernel.discard();
    this.#prepared = null;
  }

  mapFd(name: string): Fd | null {
    return this.#map(name)?.fd ?? null;
  }

  mapIdentity(name: string): string {
    return `${name} ${this.#map(name)?.info.id ?? "none"}`;
  }

  originalsFd(): Fd | null {
    return this.#manager.originalsFd() ?? null;
  }

  spliceMaps(): SpliceMaps | null {
    return this.#manager.spliceMaps() ?? null;
  }

  #map(name: string): BpfMap | undefined {
    return (this.#prepared?.kernel ?? this.#inForce)?.maps.get(name)?.item.map;
  }

  #known(name: string): BpfMap {
    return defined(this.#inForce?.maps.get(name)?.item.map, `kernel map ${name}`);
  }

  read(name: string, key: Uint8Array): MapEntry | null {
    const value = this.#known(name).lookup(key);
    return value === null ? null : { key, value };
  }

  write(name: string, key: Uint8Array, value: Uint8Array): "done" | "full" {
    const result = this.#known(name).tryUpdate(key, value);
    if (result === -E2BIG || result === -ENOSPC) return "full";
    if (result < 0) throw new SystemCallError(`map_update_elem ${name}`, -result);
    return "done";
  }

  remove(name: string, key: Uint8Array): boolean {
    return this.#known(name).delete(key);
  }

  /** The kernel has no cursor that survives a deletion: the whole map is read, which is 0.13 µs an entry, and cut here. */
  list(name: string, after: Uint8Array | undefined, limit: number): { entries: MapEntry[]; more: boolean } {
    const all = this.#known(name).entries();
    const from = after === undefined ? 0 : all.findIndex(([key]) => Buffer.compare(key, after) === 0) + 1;
    const entries = all.slice(from, from + limit).map(([key, value]) => ({ key, value }));
    return { entries, more: from + limit < all.length };
  }

  counters({ device, limit, sort }: Omit<CountersRequest, "type" | "id">): CountersReply["result"] {
    const counter = this.#manager.counter(device);
    if (counter === null)
      return { ok: false, detail: `nothing counts on ${device}: name packet-counter in its programs` };
    const entries = counter.top(limit, sort).map(({ source, packets, bytes }) => ({ of: source, packets, bytes }));
    return { ok: true, by: counter.by, entries, other: { ...counter.other() } };
  }

  trace({ after, limit }: Omit<TraceRequest, "type" | "id">): TraceReply["result"] {
    const found = this.#manager.traceEvents(after, limit);
    return found === null
      ? { ok: false, detail: "no listener is traced: declare kernel.traces" }
      : { ok: true, ...found };
  }

  setHealth(service: string, endpoint: string, healthy: boolean): void {
    this.#manager.setHealth(service, endpoint, healthy);
  }

  renewLeases(): void {
    this.#manager.renewLeases();
  }

  leaseIntervalMs(): number | null {
    const leaseMs = this.#manager.leaseMs();
    return leaseMs === null ? null : leaseMs / 3;
  }

  holdsExpiries(): boolean {
    return this.#declared?.maps.some((map) => map.value === "expiry") ?? false;
  }

  sweep(): void {
    this.#manager.sweep();
  }

  maintains(): boolean {
    return this.#manager.maintains();
  }

  maintain(): void {
    this.#manager.maintain();
  }

  status(): KernelPartStatus {
    const { maps, programs, counters, facts, foreign } = this.#manager.status();
    const ours = programs.map(({ id, ...program }) => ({ ...program, programId: id, foreign: false }));
    const others = foreign.map(({ name, id, place }) => ({
      name,
      attachedTo: place,
      programId: id,
      linkId: 0,
      foreign: true,
    }));
    return {
      active: true,
      notes: this.#pins.note === null ? [] : [this.#pins.note],
      facts,
      programs: [...ours, ...others],
      entries: new Map(maps.map(({ name, entries }) => [name, entries])),
      counters,
    };
  }

  handOver(): HandedDescriptors {
    return this.#manager.handOver();
  }

  takeBack(): void {
    this.#manager.takeBack();
  }

  letGo(): void {
    this.#forget();
    this.#manager.letGo();
  }

  close(): void {
    this.#forget();
    this.#manager.close();
    leavePinPlace(this.#pins);
  }

  #forget(): void {
    this.abort();
    this.#inForce = null;
    this.#declared = null;
  }
}
