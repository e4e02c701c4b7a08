/**
 * One thing that the gateway does in the kernel (steering, services, bind, …), as the manager drives it. A feature owns its
 * programs, maps and links; the manager owns the order of a change and what happens when a step of it fails.
 *
 *     plan      load and verify, keep what can stay; attach nothing               throws: nothing of it is left
 *     attach    links made or moved; each step done is put on `undo`              throws: the manager undoes, then discards
 *     settle    what was before is let go                                         can't fail
 *     discard   what `plan` made is closed again; instead of `settle`             can't fail
 *
 * To add one: a file in the folder of its program (bpf/programs/NAME/feature.ts) and a line in features.ts.
 */
import type { Program } from "#bpf/kernel/program.ts";
import type { ChainSlot } from "#bpf/kernel/xdp-chain.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { Declaration, ListenerDeclaration, MapDeclaration } from "./declarations.ts";
import type { AttachedProgram } from "./query.ts";

/** Steps that undo what was done, in the order in which it was; they run backwards. */
export type Undo = (() => void)[];

export interface KernelFeature {
  /** `services`: in errors and notes. */
  readonly name: string;
  plan(declaration: Declaration, context: PlanContext): FeaturePlan;
  /** Of what is in force. Reads counters: for a person or a scraper, not for each packet. */
  status(): FeatureStatus;
  /** The gateway vouches for itself for one more lease; absent: nothing of this feature depends on it. */
  renewLease?(): void;
  /** Milliseconds within which the lease must be renewed; null when there is nothing to renew. */
  leaseMs?(): number | null;
  /** About once a second: expiry, health, followed devices. Must not throw. */
  maintain?(): void;
  /** What must outlive this process when it is killed. Absent: nothing. */
  pins?(): PinSet;
  /** What besides `pins` a successor takes over from a gateway that still runs. Absent: nothing. */
  handOver?(): PinSet;
  /** A successor that took our links has failed: our programs go back behind them. Absent: it takes none. */
  takeBack?(): void;
  /** Takes off and closes everything, but for what a successor has taken up. */
  close(): void;
}

export interface FeaturePlan {
  attach(undo: Undo): void;
  settle(): void;
  discard(): void;
}

export interface PlanContext {
  /** An operator's map by its index in the declaration, made already. It stays the manager's. */
  map(index: number): PlannedMap;
  listener(index: number): ListenerDeclaration;
  /** XDP programs stand in their device's chain: load them over `chain(device)` in the place of `xdp_chain`. */
  readonly devices: DeviceChains;
  /** Directory of the cgroup that the gateway itself runs in; null when it lies outside of what we see. */
  readonly gatewayCgroup: string | null;
  /** SO_MARK of sockets that no program touches; 0: none. */
  readonly exemptMark: number;
  /** What an earlier process left pinned, until the first commit; null for a name that is not there. The caller closes it. */
  readonly left: LeftBehind;
}

export interface PlannedMap {
  readonly declaration: MapDeclaration;
  readonly map: BpfMap;
}

export interface DeviceChains {
  /** Throws PENSTOCK_BPF_DEVICE. */
  chain(device: string): BpfMap;
  /** The program for a slot of the device under this plan; it must outlive its place. Replaced without a packet lost. */
  put(device: string, slot: ChainSlot, program: Program): void;
}

export interface LeftBehind {
  map(name: string): BpfMap | null;
  link(name: string): Link | null;
}

/** By names that the same thing has in the next process. Names begin with the feature's: `steer.connect4 /sys/fs/…`. */
export interface PinSet {
  readonly links: ReadonlyMap<string, Link>;
  readonly maps: ReadonlyMap<string, BpfMap>;
}

export interface FeatureStatus {
  readonly programs: readonly ProgramPlace[];
  readonly counters: readonly CounterFamily[];
  /** For people, a line each: `service dns 10.0.0.10:53/udp: 2 of 3 endpoints healthy`. */
  readonly facts: readonly string[];
  /** All programs at the places where this feature has its own, others' and ours: the manager tells them apart. */
  readonly neighbours: readonly AttachedProgram[];
}

export interface ProgramPlace {
  readonly name: string;
  /** `xdp:eth0 (native)`, `cgroup:/sys/fs/cgroup/apps`, `netns sk_lookup`. */
  readonly attachedTo: string;
  readonly id: number;
  /** 0: attached without a link. */
  readonly linkId: number;
}

/** A family of `/metrics`, where its name gets the product's prefix: `kernel_firewall_packets`. */
export interface CounterFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** `suffix`: of a histogram's, `_bucket`, `_count`, `_sum`. */
  readonly samples: readonly {
    readonly suffix?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/** Counters that differ in one label: `countersBy({ device }, "reason", { passed: 5, dropped: 2 })`. */
export function countersBy(
  labels: Readonly<Record<string, string>>,
  by: string,
  values: Readonly<Record<string, number>>,
): CounterFamily["samples"] {
  return Object.entries(values).map(([name, value]) => ({ labels: { ...labels, [by]: snakeCase(name) }, value }));
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Latest first. Answers what could not be undone. */
export function runUndo(undo: Undo): unknown[] {
  const failures: unknown[] = [];
  for (const step of undo.toReversed()) {
    try {
      step();
    } catch (error) {
      failures.push(error);
    }
  }
  return failures;
}
