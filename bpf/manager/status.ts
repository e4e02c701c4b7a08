/** A picture of the kernel part, for `penstock kernel status`, the admin API and metrics. Plain data. */
import type { Attachments, AttachedFirewall, AttachedSteering } from "./attachments.ts";
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

export interface KernelStatus {
  readonly maps: readonly {
    readonly name: string;
    readonly id: number;
    readonly type: string;
    readonly entries: number;
    readonly maxEntries: number;
  }[];
  readonly interfaces: readonly {
    readonly device: string;
    readonly mode: XdpMode;
    readonly program: ProgramStatus;
    readonly blocklist: string;
    /** Packets since the program was loaded. */
    readonly counters: FirewallCounters;
  }[];
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
  const interfaces = Array.from(attachments.firewalls, interfaceStatus);
  const entries = Array.from(attachments.steerings, (each) => ({
    ...steeringStatus(each),
    leaseRemainingMs: steering?.leases.remainingMs(each.item.slot) ?? 0,
  }));
  const ours = new Set([
    ...interfaces.map((each) => each.program.id),
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

function interfaceStatus({ item, link, mode }: AttachedFirewall): KernelStatus["interfaces"][number] {
  const program = item.collection.program("firewall");
  return {
    device: item.declaration.device,
    mode,
    program: { name: program.name, id: program.info().id, linkId: link.info().id },
    blocklist: item.maps.deny.name,
    counters: item.counters(),
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
