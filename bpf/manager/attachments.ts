/**
 * What is attached, and the change from one set to the next as one step: every part of it can be undone until all have
 * succeeded, and only then are the old ones let go.
 */
import { cgroupId } from "#sys/cgroup.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { Leases } from "#bpf/programs/steer/leases.ts";
import type { Link } from "#bpf/kernel/link.ts";
import { putInterface, releaseInterface, type AttachedInterface } from "./interfaces.ts";
import type { PreparedKernel } from "./prepared.ts";
import type { Steering } from "#bpf/programs/steer/steering.ts";

export interface AttachedSteering {
  readonly item: Steering;
  readonly links: ReadonlyMap<string, Link>;
  /** Of the directory: it may be removed and made again, and the links died with the first. */
  readonly cgroup: bigint | null;
}

export class Attachments {
  #interfaces = new Map<string, AttachedInterface>();
  #steerings = new Map<string, AttachedSteering>();

  get interfaces(): Iterable<AttachedInterface> {
    return this.#interfaces.values();
  }

  get steerings(): Iterable<AttachedSteering> {
    return this.#steerings.values();
  }

  /** What is in force on a device, which may be another one by now (`isInPlace`). */
  interface(device: string): AttachedInterface | undefined {
    return this.#interfaces.get(device);
  }

  steering(key: string): Steering | undefined {
    const attached = this.#steerings.get(key);
    return attached !== undefined && isSteering(attached) ? attached.item : undefined;
  }

  leaseSlots(): number[] {
    return Array.from(this.#steerings.values(), (each) => each.item.slot);
  }

  /** All or nothing. `leases`: those of new entries begin before a connect can meet them. */
  change(prepared: PreparedKernel, leases: Leases | null): void {
    const undo: (() => void)[] = [];
    const interfaces = new Map<string, AttachedInterface>();
    const steerings = new Map<string, AttachedSteering>();
    try {
      for (const [device, plan] of prepared.interfaces) {
        interfaces.set(device, putInterface(plan, this.#interfaces.get(device), undo));
      }
      for (const [key, { kept, item }] of prepared.steerings) {
        const current = this.#steerings.get(key);
        leases?.renew([item.slot]);
        steerings.set(key, kept && current !== undefined ? current : putSteering(item, current, undo));
      }
    } catch (error) {
      undoAll(undo, error);
      throw error;
    }
    // Nothing below can fail.
    for (const [device, old] of this.#interfaces) releaseInterface(old, interfaces.get(device));
    for (const [key, old] of this.#steerings) {
      const now = steerings.get(key);
      if (now?.links !== old.links) for (const link of old.links.values()) link.close();
      if (now?.item !== old.item) old.item.close();
    }
    this.#interfaces = interfaces;
    this.#steerings = steerings;
  }

  close(): void {
    for (const each of this.#interfaces.values()) releaseInterface(each, undefined);
    for (const { links, item } of this.#steerings.values()) {
      for (const link of links.values()) link.close();
      item.close();
    }
    this.#interfaces.clear();
    this.#steerings.clear();
  }
}

/** Latest first. What can't be undone is said, with the reason for undoing. */
function undoAll(undo: readonly (() => void)[], reason: unknown): void {
  const failures: unknown[] = [];
  for (const step of undo.toReversed()) {
    try {
      step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length === 0) return;
  const cause = new AggregateError([reason, ...failures], "a change failed, and so did undoing it");
  throw bpfError("PENSTOCK_BPF_ATTACH", {
    detail: `${cause.message}: ${[reason, ...failures].map(String).join("; ")}`,
    cause,
  });
}

function isSteering({ item, cgroup }: AttachedSteering): boolean {
  return cgroup !== null && cgroupId(item.declaration.cgroup) === cgroup;
}

function putSteering(item: Steering, current: AttachedSteering | undefined, undo: (() => void)[]): AttachedSteering {
  const cgroup = cgroupId(item.declaration.cgroup);
  if (current !== undefined && isSteering(current)) {
    item.replace(current.item, current.links);
    undo.push(() => current.item.replace(item, current.links));
    return { item, links: current.links, cgroup };
  }
  const links = item.attach();
  undo.push(() => {
    for (const link of links.values()) link.close();
  });
  return { item, links, cgroup };
}
