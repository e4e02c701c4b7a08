/**
 * The kernel part of the gateway, as the supervisor drives it: the only holder of program and link descriptors.
 *
 *     prepare   everything new is made and verified, nothing is attached; a refusal leaves all as it was
 *     commit    links are made, moved and closed; when one step fails, the earlier ones are undone
 *
 * Links are not pinned: they vanish with this process. The lease covers the other case, a process that lives and does
 * not serve: renew it only while workers do.
 */
import { assert } from "#core/assert.ts";
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { ValueText } from "#core/map-codec.ts";
import { cgroupId, cgroupOf, isBelow } from "#sys/cgroup.ts";
import { networkNamespaceCookie } from "#sys/netns.ts";
import { closeFd } from "#bpf/kernel/call.ts";
import { Attachments } from "./attachments.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import type { Declaration, InterfaceDeclaration, MapDeclaration, SteeringDeclaration } from "./declarations.ts";
import { planInterface, type PlannedInterface } from "./interfaces.ts";
import { Link } from "#bpf/kernel/link.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Planned } from "./planned.ts";
import type { SourceTraffic, Traffic } from "#bpf/programs/counter/counter.ts";
import { closeNew, PreparedKernel } from "./prepared.ts";
import { requireKernel } from "./probe.ts";
import { SharedKernelMap, type MapEntry } from "./shared-maps.ts";
import { statusOf, type KernelStatus } from "./status.ts";
import { checkSteering, Steering, SteeringMaps, type SteeringSurroundings } from "#bpf/programs/steer/steering.ts";

export interface KernelManagerOptions {
  /**
   * Directory of a cgroup that this gateway's processes run in and its clients don't: never steered. Default: the one
   * this process is in.
   */
  readonly gatewayCgroup?: string;
  /** Answer SO_ORIGINAL_DST to programs of this cgroup. Our own workers read the map instead. Default: to none. */
  readonly originalDestinationCgroup?: string;
  /** SO_MARK of sockets that are never steered. Default 0: marks mean nothing. */
  readonly exemptMark?: number;
}

export class KernelManager {
  readonly #options: KernelManagerOptions;
  /** Null when it lies outside of what we see. */
  readonly #gatewayCgroup: string | null;
  readonly #attachments = new Attachments();
  #maps = new Map<string, SharedKernelMap>();
  #commits = 0;
  #steeringMaps: SteeringMaps | null = null;
  #originalsFd: Fd | null = null;
  #getsockopt: { readonly collection: Collection; readonly link: Link } | null = null;

  private constructor(options: KernelManagerOptions) {
    this.#options = options;
    this.#gatewayCgroup = options.gatewayCgroup ?? cgroupOf();
  }

  /** Throws PENSTOCK_BPF_UNAVAILABLE when this kernel or user can't: then maps live in user space and the rest is off. */
  static open(options: KernelManagerOptions = {}): KernelManager {
    requireKernel();
    return new KernelManager(options);
  }

  /** Throws the first refusal: VerifierError, PENSTOCK_BPF_DEVICE, PENSTOCK_BPF_CGROUP …; then nothing has changed. */
  prepare(declaration: Declaration): PreparedKernel {
    const maps = new Map<string, Planned<SharedKernelMap>>();
    const interfaces = new Map<string, PlannedInterface>();
    const steerings = new Map<string, Planned<Steering>>();
    const prepared = new PreparedKernel(this.#commits, maps, interfaces, steerings);
    try {
      for (const each of declaration.maps) maps.set(each.name, this.#planMap(each));
      for (const each of declaration.kernel.interfaces) {
        if (interfaces.has(each.device))
          throw bpfError("PENSTOCK_BPF_DEVICE", { detail: `${each.device} is named twice` });
        interfaces.set(each.device, this.#planInterface(each, declaration.maps, prepared));
      }
      for (const each of declaration.kernel.steering) this.#planSteering(each, declaration, steerings);
      return prepared;
    } catch (error) {
      prepared.discard();
      throw error;
    }
  }

  /** Puts it in force. When it throws (PENSTOCK_BPF_ATTACH, mostly), everything is as before and `prepared` is closed. */
  commit(prepared: PreparedKernel): void {
    assert(prepared.claim(), "a prepared kernel is committed once");
    const steered = prepared.steerings.size > 0;
    try {
      assert(prepared.basis === this.#commits, "prepared on a state that is no longer in force");
      if (steered) this.#answerOriginalDestination();
      this.#attachments.change(prepared, this.#steeringMaps?.leases ?? null);
    } catch (error) {
      closeNew(prepared);
      throw error;
    }
    this.#commits++;
    if (!steered) this.#stopAnswering();
    const before = this.#maps;
    this.#maps = new Map(Array.from(prepared.maps, ([name, { item }]) => [name, item]));
    for (const [name, map] of before) if (this.#maps.get(name) !== map) map.close();
  }

  /** For workers. Undefined for a map that is not declared. */
  mapFd(name: string): Fd | undefined {
    return this.#maps.get(name)?.map.fd;
  }

  /**
   * The original destinations of steered connections, for workers: read-only where this process may open maps so
   * (CAP_SYS_ADMIN). Undefined until something is steered.
   */
  originalsFd(): Fd | undefined {
    if (this.#steeringMaps === null) return undefined;
    const { originals } = this.#steeringMaps;
    this.#originalsFd ??= originals.openReadOnly();
    return this.#originalsFd ?? originals.fd;
  }

  /** To be called every third of the shortest lease, while workers serve. A store into memory for each entry. */
  renewLeases(): void {
    this.#steeringMaps?.leases.renew(this.#attachments.leaseSlots());
  }

  /** Takes void entries out of the maps: about once a second. Answers how many there were. */
  sweep(): number {
    let swept = 0;
    for (const map of this.#maps.values()) swept += map.sweep();
    return swept;
  }

  status(): KernelStatus {
    return statusOf(this.#maps.values(), this.#attachments, this.#steeringMaps);
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

  /** The largest entries of a device's counter; null when nothing counts there. */
  counterEntries(device: string, count: number, by: keyof Traffic = "packets"): SourceTraffic[] | null {
    return this.#attachments.interface(device)?.counter?.top(count, by) ?? null;
  }

  /** Detaches everything of ours. */
  close(): void {
    this.#attachments.close();
    this.#stopAnswering();
    for (const map of this.#maps.values()) map.close();
    this.#maps.clear();
    if (this.#originalsFd !== null) closeFd(this.#originalsFd);
    this.#originalsFd = null;
    this.#steeringMaps?.close();
    this.#steeringMaps = null;
  }

  #map(name: string): SharedKernelMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw bpfError("PENSTOCK_BPF_MAP_UNKNOWN", { detail: name });
    return map;
  }

  #planMap(declaration: MapDeclaration): Planned<SharedKernelMap> {
    const current = this.#maps.get(declaration.name);
    if (current !== undefined && current.fits(declaration)) return { kept: true, item: current };
    return { kept: false, item: new SharedKernelMap(declaration) };
  }

  #planInterface(
    each: InterfaceDeclaration,
    maps: readonly MapDeclaration[],
    prepared: PreparedKernel,
  ): PlannedInterface {
    return planInterface(each, this.#attachments.interface(each.device), (index) => {
      const declaration = maps[index];
      assert(declaration !== undefined, `interface ${each.device} names map ${index}`);
      const planned = prepared.maps.get(declaration.name);
      assert(planned !== undefined, "maps are planned first");
      return { declaration, map: planned.item.map };
    });
  }

  #planSteering(each: SteeringDeclaration, declaration: Declaration, planned: Map<string, Planned<Steering>>): void {
    const listener = declaration.listeners[each.listener];
    assert(listener !== undefined, `steering of ${each.cgroup} names listener ${each.listener}`);
    checkSteering(each, this.#gatewayCgroup);
    const key = `${each.cgroup} ${listener.name}`;
    if (planned.has(key))
      throw bpfError("PENSTOCK_BPF_CGROUP", { detail: `${each.cgroup} is steered to ${listener.name} twice` });
    const current = this.#attachments.steering(key);
    if (current !== undefined && current.fits(each, listener)) {
      planned.set(key, { kept: true, item: current });
      return;
    }
    this.#steeringMaps ??= new SteeringMaps();
    planned.set(key, { kept: false, item: new Steering(each, listener, this.#steeringMaps, this.#surroundings(each)) });
  }

  #surroundings({ cgroup }: SteeringDeclaration): SteeringSurroundings {
    // Only a gateway below the steered cgroup meets its own programs. One above must not be exempt: its clients are
    // below it, and would be too.
    const below = this.#gatewayCgroup !== null && isBelow(this.#gatewayCgroup, cgroup);
    return {
      gatewayCgroup: below ? (cgroupId(this.#gatewayCgroup) ?? 0n) : 0n,
      netnsCookie: networkNamespaceCookie(),
      exemptMark: this.#options.exemptMark ?? 0,
    };
  }

  #answerOriginalDestination(): void {
    const { originalDestinationCgroup: directory } = this.#options;
    if (directory === undefined || this.#getsockopt !== null || this.#steeringMaps === null) return;
    const maps = this.#steeringMaps.replacements;
    const collection = Collection.load(committedSpec("steer"), { maps, programs: ["steer_getsockopt"] });
    try {
      this.#getsockopt = { collection, link: Link.toCgroup(collection.program("steer_getsockopt"), directory) };
    } catch (error) {
      collection.close();
      throw error;
    }
  }

  #stopAnswering(): void {
    this.#getsockopt?.link.close();
    this.#getsockopt?.collection.close();
    this.#getsockopt = null;
  }
}
