/**
 * What is attached, and the change from one set to the next as one step: every part of it can be undone until all have
 * succeeded, and only then are the old ones let go.
 */
import { cgroupId } from "#sys/cgroup.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { findInterface, networkInterface } from "#bpf/netlink/interfaces.ts";
import type { Firewall } from "#bpf/programs/firewall/firewall.ts";
import type { Leases } from "#bpf/programs/steer/leases.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { PreparedKernel } from "./prepared.ts";
import type { Steering } from "#bpf/programs/steer/steering.ts";
import type { XdpMode } from "#bpf/kernel/xdp.ts";

export interface AttachedFirewall {
  readonly item: Firewall;
  /** Another one after a change of mode was undone. */
  link: Link;
  readonly mode: XdpMode;
  /** Of the interface: another one may come under the same name. */
  readonly index: number;
}

export interface AttachedSteering {
  readonly item: Steering;
  readonly links: ReadonlyMap<string, Link>;
  /** Of the directory: it may be removed and made again, and the links died with the first. */
  readonly cgroup: bigint | null;
}

export class Attachments {
  #firewalls = new Map<string, AttachedFirewall>();
  #steerings = new Map<string, AttachedSteering>();

  get firewalls(): Iterable<AttachedFirewall> {
    return this.#firewalls.values();
  }

  get steerings(): Iterable<AttachedSteering> {
    return this.#steerings.values();
  }

  /** The one in force on a device; undefined when there is none, or the device is not the one it was put on. */
  firewall(device: string): Firewall | undefined {
    const attached = this.#firewalls.get(device);
    return attached !== undefined && isInPlace(attached) ? attached.item : undefined;
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
    const firewalls = new Map<string, AttachedFirewall>();
    const steerings = new Map<string, AttachedSteering>();
    try {
      for (const [device, { kept, item }] of prepared.firewalls) {
        const current = this.#firewalls.get(device);
        firewalls.set(device, kept && current !== undefined ? current : putFirewall(item, current, undo));
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
    for (const [device, old] of this.#firewalls) {
      const now = firewalls.get(device);
      if (now?.link !== old.link) old.link.close();
      if (now?.item !== old.item) old.item.close();
    }
    for (const [key, old] of this.#steerings) {
      const now = steerings.get(key);
      if (now?.links !== old.links) for (const link of old.links.values()) link.close();
      if (now?.item !== old.item) old.item.close();
    }
    this.#firewalls = firewalls;
    this.#steerings = steerings;
  }

  close(): void {
    for (const { link, item } of this.#firewalls.values()) {
      link.close();
      item.close();
    }
    for (const { links, item } of this.#steerings.values()) {
      for (const link of links.values()) link.close();
      item.close();
    }
    this.#firewalls.clear();
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

function isInPlace({ item, index }: AttachedFirewall): boolean {
  return findInterface(item.declaration.device)?.index === index;
}

function isSteering({ item, cgroup }: AttachedSteering): boolean {
  return cgroup !== null && cgroupId(item.declaration.cgroup) === cgroup;
}

function putFirewall(item: Firewall, current: AttachedFirewall | undefined, undo: (() => void)[]): AttachedFirewall {
  const { device, mode } = item.declaration;
  if (current === undefined || !isInPlace(current)) {
    const index = networkInterface(device).index;
    const attached = item.attach();
    undo.push(() => attached.link.close());
    return { item, ...attached, index };
  }
  if (mode === current.item.declaration.mode || mode === current.mode) {
    item.replace(current.item, current.link);
    undo.push(() => current.item.replace(item, current.link));
    return { ...current, item };
  }
  // The two modes can't be in place together: here, and only here, packets pass unseen for a moment.
  current.link.detach();
  undo.push(() => {
    current.link.close();
    current.link = current.item.attach().link;
  });
  const attached = item.attach();
  undo.push(() => attached.link.close());
  return { item, ...attached, index: current.index };
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
