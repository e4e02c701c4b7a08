/** What is on devices, as status and metrics show it. */
import { CHAIN_ORDER } from "#bpf/kernel/xdp-chain.ts";
import type { XdpMode } from "#bpf/kernel/xdp.ts";
import type { OtherTraffic, SourceTraffic } from "#bpf/programs/counter/counter.ts";
import { FIREWALL_REASONS, type FirewallCounters } from "#bpf/programs/firewall/firewall.ts";
import { countersBy, type CounterFamily, type FeatureStatus } from "./feature.ts";
import type { AttachedInterface } from "./interfaces.ts";
import { interfacePrograms } from "./query.ts";

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
  readonly counter: {
    readonly by: "source" | "port";
    readonly other: OtherTraffic;
    /** As many of the largest as are declared to be shown. */
    readonly top: readonly SourceTraffic[];
  } | null;
}

export function interfaceStatus({
  declaration,
  chain,
  firewall,
  counter,
  counterPlace,
}: AttachedInterface): InterfaceStatus {
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
    counter:
      counter === null
        ? null
        : { by: counter.by, other: counter.other(), top: counter.top(declaration.counter?.top ?? 0) },
  };
}

export function interfacesStatus(all: readonly InterfaceStatus[]): FeatureStatus {
  return {
    programs: all.flatMap(({ device, mode, programs }) =>
      programs.map(({ name, id, linkId, hook }) => ({
        name,
        id,
        linkId,
        attachedTo: hook === "xdp" ? `xdp:${device} (${mode})` : `tcx:${device} ingress`,
      })),
    ),
    counters: [firewallPackets(all), counted(all, "packets"), counted(all, "bytes")].filter(
      (family) => family.samples.length > 0,
    ),
    facts: [],
    neighbours: all.flatMap(({ device }) => interfacePrograms(device)),
  };
}

function firewallPackets(all: readonly InterfaceStatus[]): CounterFamily {
  const samples = all.flatMap(({ device, firewall }) =>
    firewall === null
      ? []
      : FIREWALL_REASONS.flatMap(({ name, verdict }) =>
          countersBy({ device, verdict }, "reason", { [name]: firewall.counters[name] }),
        ),
  );
  return { name: "kernel_firewall_packets", type: "counter", help: "packets by the firewall's reason", samples };
}

/** Bounded: as many series for each device as its counter declares. */
function counted(all: readonly InterfaceStatus[], what: "packets" | "bytes"): CounterFamily {
  const samples = all.flatMap(({ device, counter }) =>
    (counter?.top ?? []).map((one) => ({
      labels: { device, [counter?.by ?? "source"]: one.source },
      value: one[what],
    })),
  );
  return { name: `kernel_counter_${what}`, type: "counter", help: `${what} by source or port, the largest`, samples };
}
