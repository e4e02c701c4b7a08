/** A picture of the kernel part, for `penstock kernel status`, the admin API and metrics. Plain data. */
import type { Attachments, AttachedSteering } from "./attachments.ts";
import type { AttachedInterface } from "./interfaces.ts";
import { CHAIN_ORDER } from "#bpf/kernel/xdp-chain.ts";
import type { OtherTraffic } from "#bpf/programs/counter/counter.ts";
import type { FirewallCounters } from "#bpf/programs/firewall/firewall.ts";
import { cgroupPrograms, interfacePrograms, type AttachedProgram } from "./query.ts";
import type { SharedKernelMap } from "./shared-maps.ts";
import type { SteeringCounters, SteeringMaps } from "#bpf/programs/steer/steering.ts";
import type { XdpMode } from "#bpf/kernel/xdp.ts";

export interface ProgramStatus {
  readonly name: string;
  readonly id: number;
  readonly linkId: number;
}

export interface InterfaceStatus {
  readonly device: string;
  /** Null while nothing of ours is on XDP there. */
  readonly mode: XdpMode | null;
  /** In the order in which packets meet them. */
  readonly programs: readonly (ProgramStatus & { readonly hook: "xdp" | "tcx" })[];
  readonly firewall: {
    readonly blocklist: string;
    readonly allowlist: string | null;
    /** Packets since the program was loaded. */
    readonly counters: FirewallCounters;
  } | null;
  readonly counter: { readonly by: "source" | "port"; readonly other: OtherTraffic } | null;
}

export interface KernelStatus {
  readonly maps: readonly {
    readonly name: string;
    readonly id: number;
    readonly type: string;
    readonly entries: number;
    readonly maxEntries: number;
  }[];
  readonly interfaces: readonly InterfaceStatus[];
  readonly steering: readonly {
    readonly cgroup: string;
    readonly listener: string;
    readonly ports: readonly number[];
    readonly leaseMs: number;
    /** 0: lapsed, and connections go straight to their destination. */
    readonly leaseRemainingMs: number;
    readonly programs: readonly ProgramStatus[];
    /** Connects since the programs were loaded. */
    readonly counters: SteeringCounters;
  }[];
  /** Steered connections whose original destination is on record. */
  readonly originals: number;
  /** Programs of others at the same places. */
  readonly foreign: readonly AttachedProgram[];
}

export function statusOf(
  maps: Iterable<SharedKernelMap>,
  attachments: Attachments,
  steering: SteeringMaps | null,
): KernelStatus {
  const interfaces = Array.from(attachments.interfaces, interfaceStatus);
  const entries = Array.from(attachments.steerings, (each) => ({
    ...steeringStatus(each),
    leaseRemainingMs: steering?.leases.remainingMs(each.item.slot) ?? 0,
  }));
  const ours = new Set([
    ...interfaces.flatMap((each) => each.programs.map((p) => p.id)),
    ...entries.flatMap((each) => each.programs.map((p) => p.id)),
  ]);
  const attached = [
    ...interfaces.flatMap((each) => interfacePrograms(each.device)),
    ...[...new Set(entries.map((each) => each.cgroup))].flatMap(cgroupPrograms),
  ];
  return {
    maps: Array.from(maps, ({ declaration, map }) => ({
      name: declaration.name,
      id: map.info.id,
      type: declaration.type,
      entries: map.count(),
      maxEntries: declaration.maxEntries,
    })),
    interfaces,
    steering: entries,
    originals: steering?.originals.count() ?? 0,
    foreign: attached.filter((each) => !ours.has(each.id)),
  };
}

function interfaceStatus({ declaration, chain, firewall, counter, counterPlace }: AttachedInterface): InterfaceStatus {
  const xdp = CHAIN_ORDER.map((slot) => chain.programs[slot]).filter((program) => program !== undefined);
  const linkId = chain.link?.info().id ?? 0;
  const programs = xdp.map((program) => ({ name: program.name, id: program.info().id, linkId, hook: "xdp" as const }));
  const behind =
    counter === null || counterPlace === null
      ? []
      : [
          {
            name: counter.program.name,
            id: counter.program.info().id,
            linkId: counterPlace.linkId(),
            hook: "tcx" as const,
          },
        ];
  return {
    device: declaration.device,
    mode: chain.mode,
    programs: [...programs, ...behind],
    firewall:
      firewall === null
        ? null
        : {
            blocklist: firewall.maps.deny.name,
            allowlist: firewall.maps.allow?.name ?? null,
            counters: firewall.counters(),
          },
    counter: counter === null ? null : { by: counter.by, other: counter.other() },
  };
}

function steeringStatus({ item, links }: AttachedSteering): Omit<KernelStatus["steering"][number], "leaseRemainingMs"> {
  return {
    cgroup: item.declaration.cgroup,
    listener: item.listener.name,
    ports: item.declaration.ports,
    leaseMs: item.declaration.leaseMs,
    programs: Array.from(links, ([name, link]) => ({
      name,
      id: item.collection.program(name).info().id,
      linkId: link.info().id,
    })),
    counters: item.counters(),
  };
}
