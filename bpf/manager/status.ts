/** A picture of the kernel part, for `penstock kernel status`, the admin API and metrics. Plain data. */
import type { SteeringStatus } from "#bpf/programs/steer/feature.ts";
import type { CounterFamily, ProgramPlace } from "./feature.ts";
import type { Features } from "./features.ts";
import type { InterfaceStatus } from "./interface-status.ts";
import type { AttachedProgram } from "./query.ts";
import type { SharedKernelMap } from "./shared-maps.ts";

export interface KernelStatus {
  readonly maps: readonly {
    readonly name: string;
    readonly id: number;
    readonly type: string;
    readonly entries: number;
    readonly maxEntries: number;
  }[];
  readonly interfaces: readonly InterfaceStatus[];
  readonly steering: readonly SteeringStatus[];
  /** Steered connections whose original destination is on record. */
  readonly originals: number;
  /** Ours, of every feature. */
  readonly programs: readonly ProgramPlace[];
  readonly counters: readonly CounterFamily[];
  readonly facts: readonly string[];
  /** Programs of others at the same places. */
  readonly foreign: readonly AttachedProgram[];
}

export function statusOf(maps: Iterable<SharedKernelMap>, { all, devices, steering }: Features): KernelStatus {
  const each = all.map((feature) => feature.status());
  const programs = each.flatMap((status) => status.programs);
  const ours = new Set(programs.map(({ id }) => id));
  const neighbours = new Map(
    each.flatMap((status) => status.neighbours).map((one) => [`${one.place} ${one.id}`, one] as const),
  );
  return {
    maps: Array.from(maps, ({ declaration, map }) => ({
      name: declaration.name,
      id: map.info.id,
      type: declaration.type,
      entries: map.count(),
      maxEntries: declaration.maxEntries,
    })),
    interfaces: devices.interfaces(),
    steering: steering.entries(),
    originals: steering.originals(),
    programs,
    counters: each.flatMap((status) => status.counters),
    facts: each.flatMap((status) => status.facts),
    foreign: Array.from(neighbours.values()).filter((one) => !ours.has(one.id)),
  };
}
