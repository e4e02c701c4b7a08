/**
 * The kernel part of the gateway, as the supervisor drives it: the only holder of program and link descriptors.
 *
 *     prepare   everything new is made and verified, nothing is attached; a refusal leaves all as it was
 *     commit    links are made, moved and closed; when one step fails, the earlier ones are undone
 *
 * Links vanish with this process, but for those that are pinned (pinning.ts), where it was given a place for that. The
 * lease covers the other case, a process that lives and does not serve: renew it only while workers do.
 */
import { assert } from "#core/assert.ts";
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { ValueText } from "#core/map-codec.ts";
import { cgroupOf } from "#sys/cgroup.ts";
import { PinFolder } from "#bpf/kernel/pins.ts";
import type { PacketCounter } from "#bpf/programs/counter/counter.ts";
import type { Declaration, MapDeclaration } from "./declarations.ts";
import {
  runUndo,
  type FeaturePlan,
  type FeatureStatus,
  type LeftBehind,
  type PinSet,
  type PlanContext,
  type Undo,
} from "./feature.ts";
import type { SpliceMaps } from "#bpf/programs/splice/feature.ts";
import type { TracedEvent } from "#bpf/programs/trace/feature.ts";
import { makeFeatures, type Features } from "./features.ts";
import { HandedOver, type HandedDescriptors } from "./handed-over.ts";
import { PIN_VERSION, Pinning } from "./pinning.ts";
import type { Planned } from "./planned.ts";
import { closeNew, PreparedKernel } from "./prepared.ts";
import { requireKernel } from "./probe.ts";
import { SharedKernelMap, type MapEntry } from "./shared-maps.ts";
import { statusOf, type KernelStatus } from "./status.ts";

export interface KernelManagerOptions {
  /**
   * Directory of a cgroup that this gateway's processes run in and its clients don't: never steered. Default: the one
   * this process is in.
   */
  readonly gatewayCgroup?: string;
  /** Answer SO_ORIGINAL_DST to programs of this cgroup. Our own workers read the map instead. Default: to none. */
  readonly originalDestinationCgroup?: string;
  /** Directory of a bpffs, for what must outlive a kill. Default: nothing does. */
  readonly pins?: string;
  /** Of a gateway that this one takes the place of, while that one still runs. Owned by the manager from now on. */
  readonly handedOver?: HandedDescriptors;
  /** SO_MARK of sockets that are never steered. Default 0: marks mean nothing. */
  readonly exemptMark?: number;
}

export class KernelManager {
  readonly #options: KernelManagerOptions;
  /** Null when it lies outside of what we see. */
  readonly #gatewayCgroup: string | null;
  readonly #features: Features;
  readonly #pinning: Pinning | null;
  readonly #handed: HandedOver | null;
  #maps = new Map<string, SharedKernelMap>();
  #commits = 0;

  private constructor(options: KernelManagerOptions) {
    this.#options = options;
    this.#gatewayCgroup = options.gatewayCgroup ?? cgroupOf();
    this.#pinning = options.pins === undefined ? null : new Pinning(new PinFolder(options.pins, PIN_VERSION));
    this.#handed = options.handedOver === undefined ? null : new HandedOver(options.handedOver);
    this.#features = makeFeatures(options.originalDestinationCgroup);
  }

  /** Throws PENSTOCK_BPF_UNAVAILABLE when this kernel or user can't: then maps live in user space and the rest is off. */
  static open(options: KernelManagerOptions = {}): KernelManager {
    requireKernel();
    return new KernelManager(options);
  }

  /** Throws the first refusal: VerifierError, PENSTOCK_BPF_DEVICE, PENSTOCK_BPF_CGROUP …; then nothing has changed. */
  prepare(declaration: Declaration): PreparedKernel {
    const maps = new Map<string, Planned<SharedKernelMap>>();
    const plans: FeaturePlan[] = [];
    const prepared = new PreparedKernel(this.#commits, maps, plans);
    const devices = this.#features.devices.draft(this.#left);
    try {
      for (const each of declaration.maps) maps.set(each.name, this.#planMap(each));
      const context = this.#context(declaration, maps, devices);
      for (const feature of this.#features.all) plans.push(feature.plan(declaration, context));
      return prepared;
    } catch (error) {
      prepared.discard();
      throw error;
    } finally {
      devices.close();
    }
  }

  #context(
    declaration: Declaration,
    maps: ReadonlyMap<string, Planned<SharedKernelMap>>,
    devices: PlanContext["devices"],
  ): PlanContext {
    return {
      map: (index) => {
        const map = declaration.maps[index];
        const planned = maps.get(map?.name ?? "");
        assert(map !== undefined && planned !== undefined, `map ${index} is declared`);
        return { declaration: map, map: planned.item.map };
      },
      listener: (index) => {
        const listener = declaration.listeners[index];
        assert(listener !== undefined, `listener ${index} is declared`);
        return listener;
      },
      devices,
      gatewayCgroup: this.#gatewayCgroup,
      exemptMark: this.#options.exemptMark ?? 0,
      left: this.#left,
    };
  }

  /** Puts it in force. When it throws (PENSTOCK_BPF_ATTACH, mostly), everything is as before and `prepared` is closed. */
  commit(prepared: PreparedKernel): void {
    assert(prepared.claim(), "a prepared kernel is committed once");
    const undo: Undo = [];
    try {
      assert(prepared.basis === this.#commits, "prepared on a state that is no longer in force");
      for (const plan of prepared.plans) plan.attach(undo);
    } catch (error) {
      const failures = runUndo(undo);
      closeNew(prepared);
      throw failures.length === 0 ? error : halfUndone(error, failures);
    }
    this.#commits++;
    for (const plan of prepared.plans) plan.settle();
    const before = this.#maps;
    this.#maps = new Map(Array.from(prepared.maps, ([name, { item }]) => [name, item]));
    for (const [name, map] of before) if (this.#maps.get(name) !== map) map.close();
    this.#handed?.close();
    this.#pinning?.sync(this.#pins());
  }

  get #left(): LeftBehind {
    const pinned = this.#pinning ?? NOTHING_LEFT;
    const handed = this.#handed;
    if (handed === null) return pinned;
    return {
      map: (name) => handed.map(name) ?? pinned.map(name),
      link: (name) => handed.link(name) ?? pinned.link(name),
    };
  }

  /** For a successor, which gets copies: what is in force here stays so. */
  handOver(): HandedDescriptors {
    const links = new Map<string, Fd>();
    const maps = new Map<string, Fd>();
    for (const set of [...this.#pins(), ...this.#features.all.map((feature) => feature.handOver?.() ?? NO_PINS)]) {
      for (const [name, link] of set.links) links.set(name, link.fd);
      for (const [name, map] of set.maps) maps.set(name, map.fd);
    }
    return { links, maps };
  }

  /** The successor has failed, and may have put its own programs behind our links: ours go back. */
  takeBack(): void {
    for (const feature of this.#features.all) feature.takeBack?.();
    this.#pinning?.again(this.#pins());
  }

  /** The successor runs: closes what is ours alone, and leaves what it has taken up, pins among it. */
  letGo(): void {
    this.#closeAll();
  }

  #pins(): PinSet[] {
    const maps = new Map(
      Array.from(this.#maps.values(), ({ declaration, map }) => [SharedKernelMap.pinName(declaration), map] as const),
    );
    return [{ links: new Map(), maps }, ...this.#features.all.map((feature) => feature.pins?.() ?? NO_PINS)];
  }

  /** For workers. Undefined for a map that is not declared. */
  mapFd(name: string): Fd | undefined {
    return this.#maps.get(name)?.map.fd;
  }

  /** The original destinations of steered connections, for workers. Undefined until something is steered. */
  originalsFd(): Fd | undefined {
    return this.#features.steering.originalsFd();
  }

  /** For workers whose streams are spliced; they must not outlive this process's use of them. */
  spliceMaps(): SpliceMaps | undefined {
    return this.#features.splice.maps();
  }

  /** To be called every third of `leaseMs`, while workers serve. */
  renewLeases(): void {
    for (const feature of this.#features.all) feature.renewLease?.();
  }

  /** The shortest lease; null when there is nothing to renew. */
  leaseMs(): number | null {
    const lengths = this.#features.all.map((feature) => feature.leaseMs?.() ?? null).filter((each) => each !== null);
    return lengths.length === 0 ? null : Math.min(...lengths);
  }

  /** Takes void entries out of the maps: about once a second. Answers how many there were. */
  sweep(): number {
    let swept = 0;
    for (const map of this.#maps.values()) swept += map.sweep();
    return swept;
  }

  /** Whether anything in force wants `maintain`. */
  maintains(): boolean {
    return this.#features.all.some((each) => each.maintain !== undefined && isInUse(each.status()));
  }

  /** A verdict on an endpoint of a service, `10.0.0.1:53`. False: there is none of that name, or nothing new. */
  setHealth(service: string, endpoint: string, healthy: boolean): boolean {
    return this.#features.services.setHealth(service, endpoint, healthy);
  }

  /** What features do about once a second. */
  maintain(): void {
    for (const feature of this.#features.all) feature.maintain?.();
  }

  status(): KernelStatus {
    const status = statusOf(this.#maps.values(), this.#features);
    return { ...status, facts: [...status.facts, ...(this.#pinning?.facts() ?? [])] };
  }

  entries(map: string, limit: number): MapEntry[] {
    return this.#map(map).entries(limit);
  }

  put(map: string, key: string, value: ValueText): void {
    this.#map(map).put(key, value);
  }

  delete(map: string, key: string): boolean {
    return this.#map(map).delete(key);
  }

  /** A device's packet counter, until the next commit; null when nothing counts there. */
  counter(device: string): PacketCounter | null {
    return this.#features.devices.counter(device);
  }

  /** What happened to traced connections after an event; −1: from now on. Null when nothing is traced. */
  traceEvents(after: number, limit: number): { readonly events: readonly TracedEvent[]; readonly next: number } | null {
    const { traces } = this.#features;
    return traces.follow(after < 0 ? traces.lastEvent : after, limit);
  }

  /** Detaches everything of ours, what is pinned too. */
  close(): void {
    this.#pinning?.release();
    this.#closeAll();
  }

  #closeAll(): void {
    this.#handed?.close();
    for (const feature of this.#features.all.toReversed()) feature.close();
    for (const map of this.#maps.values()) map.close();
    this.#maps.clear();
  }

  #map(name: string): SharedKernelMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw bpfError("PENSTOCK_BPF_MAP_UNKNOWN", { detail: name });
    return map;
  }

  #planMap(declaration: MapDeclaration): Planned<SharedKernelMap> {
    const current = this.#maps.get(declaration.name);
    if (current !== undefined && current.fits(declaration)) return { kept: true, item: current };
    const left = this.#left.map(SharedKernelMap.pinName(declaration));
    return { kept: false, item: new SharedKernelMap(declaration, left) };
  }
}

/** Programs in a device's chain are the devices' to tell: what has none of its own has something to say of itself. */
function isInUse({ programs, facts }: FeatureStatus): boolean {
  return programs.length > 0 || facts.length > 0;
}

const NOTHING_LEFT: LeftBehind = { map: () => null, link: () => null };
const NO_PINS: PinSet = { links: new Map(), maps: new Map() };

/** What can't be undone is said, with the reason for undoing. */
function halfUndone(reason: unknown, failures: readonly unknown[]): Error {
  const cause = new AggregateError([reason, ...failures], "a change failed, and so did undoing it");
  const detail = `${cause.message}: ${[reason, ...failures].map(String).join("; ")}`;
  return bpfError("PENSTOCK_BPF_ATTACH", { detail, cause });
}
