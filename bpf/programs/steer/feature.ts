/** Steering as a feature of the manager: entries planned from `kernel.steering`, over maps that all of them share. */
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { cgroupId, isBelow } from "#sys/cgroup.ts";
import { networkNamespaceCookie } from "#sys/netns.ts";
import { closeFd } from "#bpf/kernel/call.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { Link } from "#bpf/kernel/link.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Declaration, SteeringDeclaration } from "#bpf/manager/declarations.ts";
import {
  countersBy,
  type FeaturePlan,
  type FeatureStatus,
  type KernelFeature,
  type PinSet,
  type PlanContext,
  type ProgramPlace,
  type Undo,
} from "#bpf/manager/feature.ts";
import type { Planned } from "#bpf/manager/planned.ts";
import { cgroupPrograms } from "#bpf/manager/query.ts";
import { checkSteering, Steering, SteeringMaps, type SteeringCounters, type SteeringSurroundings } from "./steering.ts";

interface AttachedSteering {
  readonly item: Steering;
  readonly links: ReadonlyMap<string, Link>;
  /** Of the directory: it may be removed and made again, and the links died with the first. */
  readonly cgroup: bigint | null;
  /** Until when it is on trial, by performance.now(); null: for good. What was not confirmed by then is not renewed. */
  readonly trialEndsMs: number | null;
}

export interface SteeringStatus {
  readonly cgroup: string;
  readonly listener: string;
  readonly ports: readonly number[];
  readonly leaseMs: number;
  /** 0: lapsed, and connections go straight to their destination. */
  readonly leaseRemainingMs: number;
  /** Of a trial; 0: over, and it was not confirmed. Null: it is on none. */
  readonly trialRemainingMs: number | null;
  readonly programs: readonly { readonly name: string; readonly id: number; readonly linkId: number }[];
  /** Connects since the programs were loaded. */
  readonly counters: SteeringCounters;
}

export class SteeringFeature implements KernelFeature {
  readonly name = "steering";
  /** Cgroup whose programs are answered SO_ORIGINAL_DST; undefined: none. */
  readonly #answered: string | undefined;
  #maps: SteeringMaps | null = null;
  #inForce = new Map<string, AttachedSteering>();
  #originalsFd: Fd | null = null;
  #getsockopt: { readonly collection: Collection; readonly link: Link } | null = null;

  constructor(originalDestinationCgroup: string | undefined) {
    this.#answered = originalDestinationCgroup;
  }

  plan(declaration: Declaration, context: PlanContext): FeaturePlan {
    const planned = new Map<string, PlannedSteering>();
    const discard = (): void => {
      for (const { kept, item } of planned.values()) if (!kept) item.close();
    };
    try {
      for (const each of declaration.kernel.steering) this.#planOne(each, context, planned);
    } catch (error) {
      discard();
      throw error;
    }
    let next = new Map<string, AttachedSteering>();
    return {
      attach: (undo) => {
        if (planned.size > 0) this.#answerOriginalDestination(undo);
        next = this.#attach(planned, undo);
      },
      settle: () => {
        this.#release(next);
        if (planned.size === 0) this.#stopAnswering();
      },
      discard,
    };
  }

  #planOne(each: SteeringDeclaration, context: PlanContext, planned: Map<string, PlannedSteering>): void {
    const listener = context.listener(each.listener);
    checkSteering(each, context.gatewayCgroup);
    const key = `${each.cgroup} ${listener.name}`;
    if (planned.has(key))
      throw bpfError("PENSTOCK_BPF_CGROUP", { detail: `${each.cgroup} is steered to ${listener.name} twice` });
    const current = this.#inForce.get(key);
    if (current !== undefined && isInPlace(current) && current.item.fits(each, listener)) {
      planned.set(key, { kept: true, item: current.item, trialEndsMs: trialEnd(each, current) });
      return;
    }
    this.#maps ??= new SteeringMaps(context.left);
    const item = new Steering(each, listener, this.#maps, surroundings(each, context));
    planned.set(key, { kept: false, item, trialEndsMs: trialEnd(each, undefined) });
  }

  #attach(planned: ReadonlyMap<string, PlannedSteering>, undo: Undo): Map<string, AttachedSteering> {
    const next = new Map<string, AttachedSteering>();
    for (const [key, { kept, item, trialEndsMs }] of planned) {
      const current = this.#inForce.get(key);
      // The lease begins before a connect can meet the programs.
      this.#maps?.leases.renew([item.slot], trialLeftMs(trialEndsMs));
      const placed = kept && current !== undefined ? current : put(item, current, undo);
      next.set(key, { ...placed, trialEndsMs });
    }
    return next;
  }

  #release(next: Map<string, AttachedSteering>): void {
    for (const [key, old] of this.#inForce) {
      const now = next.get(key);
      if (now?.links !== old.links) for (const link of old.links.values()) link.close();
      if (now?.item !== old.item) old.item.close();
    }
    this.#inForce = next;
  }

  /**
   * The original destinations of steered connections, for workers: read-only where this process may open maps so
   * (CAP_SYS_ADMIN). Undefined until something is steered.
   */
  originalsFd(): Fd | undefined {
    if (this.#maps === null) return undefined;
    const { originals } = this.#maps;
    this.#originalsFd ??= originals.openReadOnly();
    return this.#originalsFd ?? originals.fd;
  }

  /** A store into memory for each entry. A lease is never longer than what is left of its trial. */
  renewLease(): void {
    for (const { item, trialEndsMs } of this.#inForce.values()) {
      this.#maps?.leases.renew([item.slot], trialLeftMs(trialEndsMs));
    }
  }

  leaseMs(): number | null {
    const lengths = Array.from(this.#inForce.values(), ({ item }) => item.declaration.leaseMs);
    return lengths.length === 0 ? null : Math.min(...lengths);
  }

  entries(): SteeringStatus[] {
    return Array.from(this.#inForce.values(), ({ item, links, trialEndsMs }) => ({
      cgroup: item.declaration.cgroup,
      listener: item.listener.name,
      ports: item.declaration.ports,
      leaseMs: item.declaration.leaseMs,
      leaseRemainingMs: this.#maps?.leases.remainingMs(item.slot) ?? 0,
      trialRemainingMs: trialEndsMs === null ? null : trialLeftMs(trialEndsMs),
      programs: Array.from(links, ([name, link]) => ({
        name,
        id: item.collection.program(name).info().id,
        linkId: link.info().id,
      })),
      counters: item.counters(),
    }));
  }

  /** Steered connections whose original destination is on record. */
  originals(): number {
    return this.#maps?.originals.count() ?? 0;
  }

  status(): FeatureStatus {
    const entries = this.entries();
    if (entries.length === 0) return { programs: [], counters: [], facts: [], neighbours: [] };
    const programs = entries.flatMap(({ cgroup, programs: on }): ProgramPlace[] =>
      on.map((program) => ({ ...program, attachedTo: `cgroup:${cgroup}` })),
    );
    const connects = entries.flatMap(({ cgroup, listener, counters }) =>
      countersBy({ cgroup, listener }, "outcome", { ...counters }),
    );
    return {
      programs,
      counters: [
        { name: "kernel_steering_connects", type: "counter", help: "connects seen by steering", samples: connects },
        {
          name: "kernel_steering_originals_entries",
          type: "gauge",
          help: "steered connections on record",
          samples: [{ labels: {}, value: this.originals() }],
        },
      ],
      facts: entries.map(
        ({ cgroup, listener, ports, leaseRemainingMs, trialRemainingMs }) =>
          `${cgroup}: ports ${ports.join(", ")} to listener ${listener}, ${trial(trialRemainingMs)}${lease(leaseRemainingMs)}`,
      ),
      neighbours: [...new Set(entries.map(({ cgroup }) => cgroup))].flatMap(cgroupPrograms),
    };
  }

  /** Both gateways have programs on the cgroup for a while: the one that comes first rewrites, and both know what it was. */
  handOver(): PinSet {
    return { links: new Map(), maps: this.#maps?.handOver() ?? new Map() };
  }

  close(): void {
    this.#release(new Map());
    this.#stopAnswering();
    if (this.#originalsFd !== null) closeFd(this.#originalsFd);
    this.#originalsFd = null;
    this.#maps?.close();
    this.#maps = null;
  }

  #answerOriginalDestination(undo: Undo): void {
    const directory = this.#answered;
    if (directory === undefined || this.#getsockopt !== null || this.#maps === null) return;
    const maps = this.#maps.replacements;
    const collection = Collection.load(committedSpec("steer"), { maps, programs: ["steer_getsockopt"] });
    try {
      this.#getsockopt = { collection, link: Link.toCgroup(collection.program("steer_getsockopt"), directory) };
    } catch (error) {
      collection.close();
      throw error;
    }
    undo.push(() => this.#stopAnswering());
  }

  #stopAnswering(): void {
    this.#getsockopt?.link.close();
    this.#getsockopt?.collection.close();
    this.#getsockopt = null;
  }
}

interface PlannedSteering extends Planned<Steering> {
  readonly trialEndsMs: number | null;
}

/** A trial goes on over changes that don't concern it; one that is without `confirmMs` now has been confirmed. */
function trialEnd({ confirmMs }: SteeringDeclaration, current: AttachedSteering | undefined): number | null {
  if (confirmMs === undefined) return null;
  const under = current?.item.declaration.confirmMs === confirmMs ? current.trialEndsMs : null;
  return under ?? performance.now() + confirmMs;
}

function trialLeftMs(endsMs: number | null): number {
  return endsMs === null ? Number.POSITIVE_INFINITY : Math.max(0, endsMs - performance.now());
}

function trial(remainingMs: number | null): string {
  if (remainingMs === null) return "";
  return remainingMs > 0 ? `to be confirmed within ${Math.ceil(remainingMs / 1000)} s, ` : "not confirmed in time, ";
}

function lease(remainingMs: number): string {
  return remainingMs > 0 ? `lease ${remainingMs} ms` : "lease lapsed: connections go straight to their destination";
}

function surroundings({ cgroup }: SteeringDeclaration, context: PlanContext): SteeringSurroundings {
  const { gatewayCgroup, exemptMark } = context;
  // Only a gateway below the steered cgroup meets its own programs. One above must not be exempt: its clients are
  // below it, and would be too.
  const below = gatewayCgroup !== null && isBelow(gatewayCgroup, cgroup);
  return {
    gatewayCgroup: below ? (cgroupId(gatewayCgroup) ?? 0n) : 0n,
    netnsCookie: networkNamespaceCookie(),
    exemptMark,
  };
}

function isInPlace({ item, cgroup }: AttachedSteering): boolean {
  return cgroup !== null && cgroupId(item.declaration.cgroup) === cgroup;
}

function put(item: Steering, current: AttachedSteering | undefined, undo: Undo): Omit<AttachedSteering, "trialEndsMs"> {
  const cgroup = cgroupId(item.declaration.cgroup);
  if (current !== undefined && isInPlace(current)) {
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
