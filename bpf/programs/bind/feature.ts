/**
 * Bindings as a feature of the manager: one sk_lookup program for all of them on this network namespace, and while any is
 * of UDP a program on the way out of every device, which are followed. A listener's sockets may change with a revision that
 * changes no binding, so every plan looks at them again.
 */
import fs from "node:fs";
import { bpfError } from "#core/errors/bpf.ts";
import { attachToNetns } from "#bpf/kernel/attach.ts";
import type { Link } from "#bpf/kernel/link.ts";
import type { Program } from "#bpf/kernel/program.ts";
import type { Declaration } from "#bpf/manager/declarations.ts";
import { DevicePlaces, listLinks } from "#bpf/manager/device-places.ts";
import {
  countersBy,
  type FeaturePlan,
  type FeatureStatus,
  type KernelFeature,
  type PinSet,
  type PlanContext,
  type Undo,
} from "#bpf/manager/feature.ts";
import type { Planned } from "#bpf/manager/planned.ts";
import { netnsPrograms } from "#bpf/manager/query.ts";
import type { NetworkLink } from "#bpf/netlink/links.ts";
import { NetworkMonitor } from "#bpf/netlink/monitor.ts";
import { Binder, BindMaps, type BoundListener } from "./binder.ts";
import type { BindingDeclaration } from "./declaration.ts";

const PIN = "bind sk_lookup";

/** Slots by name: a binding that stays keeps its counters and its lease. */
interface Slots {
  readonly held: ReadonlyMap<string, number>;
  readonly fresh: readonly number[];
}

interface InForce {
  readonly bindings: readonly BoundListener[];
  readonly binder: Binder;
}

export class BindFeature implements KernelFeature {
  readonly name = "bindings";
  #maps: BindMaps | null = null;
  #inForce: InForce | null = null;
  #link: Link | null = null;
  readonly #places = new DevicePlaces("egress");
  #monitor: NetworkMonitor | null = null;
  #refusals: readonly string[] = [];

  plan({ kernel }: Declaration, context: PlanContext): FeaturePlan {
    const declared = kernel.bindings ?? [];
    const slots = this.#reserve(declared);
    let planned: { readonly bindings: readonly BoundListener[]; readonly binder: Planned<Binder> } | null = null;
    try {
      planned = this.#planBinder(declared, slots, context);
    } catch (error) {
      this.#giveBack(slots.fresh);
      throw error;
    }
    return {
      attach: (undo) => {
        if (planned === null) return;
        this.#maps?.leases.renew(slots.held.values());
        this.#attachLookup(planned.binder.item, context, undo);
        if (planned.binder.item.udp) this.#attachReplies(planned.binder.item, undo);
      },
      settle: () => this.#settle(planned),
      discard: () => {
        if (planned?.binder.kept === false) planned.binder.item.close();
        this.#giveBack(slots.fresh);
      },
    };
  }

  #reserve(declared: readonly BindingDeclaration[]): Slots {
    const held = new Map<string, number>();
    const fresh: number[] = [];
    if (declared.length > 0) this.#maps ??= new BindMaps();
    try {
      for (const { name, leaseMs } of declared) {
        if (held.has(name)) throw bpfError("PENSTOCK_BPF_BINDING", { detail: `binding ${name} is declared twice` });
        const before = this.#inForce?.bindings.find(({ declaration }) => declaration.name === name);
        const kept = before !== undefined && before.declaration.leaseMs === leaseMs ? before.slot : undefined;
        const slot = kept ?? this.#maps?.leases.reserve(leaseMs) ?? 0;
        if (kept === undefined) {
          fresh.push(slot);
          this.#maps?.resetCounters(slot);
        }
        held.set(name, slot);
      }
    } catch (error) {
      this.#giveBack(fresh);
      throw error;
    }
    return { held, fresh };
  }

  #giveBack(slots: readonly number[]): void {
    for (const slot of slots) this.#maps?.leases.release(slot);
  }

  #planBinder(declared: readonly BindingDeclaration[], { held }: Slots, context: PlanContext) {
    if (declared.length === 0 || this.#maps === null) return null;
    const bindings = declared.map((declaration) => ({
      declaration,
      slot: held.get(declaration.name) ?? 0,
      listener: context.listener(declaration.listener),
    }));
    const current = this.#inForce?.binder;
    const binder: Planned<Binder> =
      current?.fits(bindings) === true
        ? { kept: true, item: current }
        : { kept: false, item: new Binder(bindings, this.#maps) };
    return { bindings, binder };
  }

  #attachLookup({ lookup }: Binder, { left }: PlanContext, undo: Undo): void {
    const before = this.#inForce?.binder.lookup ?? null;
    if (before === lookup) return;
    if (this.#link !== null && before !== null) {
      const link = this.#link;
      link.update(lookup, before);
      undo.push(() => link.update(before, lookup));
      return;
    }
    this.#link = takeUp(left.link(PIN), lookup) ?? attachToNetns(lookup);
    undo.push(() => {
      this.#link?.close();
      this.#link = null;
    });
  }

  #attachReplies(binder: Binder, undo: Undo): void {
    // First follow, then list: nothing that comes in between is missed.
    this.#monitor ??= new NetworkMonitor(["link"]);
    const before = this.#inForce?.binder;
    const old = before?.udp === true ? (link: NetworkLink) => before.reply(link.framed) : null;
    this.#places.change(outward(listLinks()), (link) => binder.reply(link.framed), old, undo);
  }

  #settle(planned: { readonly bindings: readonly BoundListener[]; readonly binder: Planned<Binder> } | null): void {
    const before = this.#inForce;
    this.#inForce = planned === null ? null : { bindings: planned.bindings, binder: planned.binder.item };
    if (planned === null) {
      this.#link?.close();
      this.#link = null;
    }
    if (planned?.binder.item.udp !== true) this.#stopReplies();
    const kept = new Set(planned?.bindings.map(({ slot }) => slot));
    this.#giveBack((before?.bindings ?? []).map(({ slot }) => slot).filter((slot) => !kept.has(slot)));
    if (before !== null && before.binder !== planned?.binder.item) before.binder.close();
  }

  #stopReplies(): void {
    this.#places.close();
    this.#monitor?.close();
    this.#monitor = null;
    this.#refusals = [];
  }

  renewLease(): void {
    this.#maps?.leases.renew(this.#inForce?.bindings.map(({ slot }) => slot) ?? []);
  }

  leaseMs(): number | null {
    const lengths = this.#inForce?.bindings.map(({ declaration }) => declaration.leaseMs) ?? [];
    return lengths.length === 0 ? null : Math.min(...lengths);
  }

  /** Follows devices, in the network namespace that the bindings were put in force in. */
  maintain(): void {
    const binder = this.#inForce?.binder;
    let changed = false;
    this.#monitor?.read(() => (changed = true));
    if (binder?.udp !== true || (!changed && this.#refusals.length === 0)) return;
    this.#refusals = this.#places.follow(outward(listLinks()), (link) => binder.reply(link.framed));
  }

  /** The way in only: while the gateway is away, `closed` bindings must go on to refuse. */
  pins(): PinSet {
    return { links: new Map(this.#link === null ? [] : [[PIN, this.#link]]), maps: new Map() };
  }

  status(): FeatureStatus {
    const maps = this.#maps;
    if (maps === null || this.#inForce === null || this.#link === null) {
      return { programs: [], counters: [], facts: [], neighbours: [] };
    }
    const { bindings, binder } = this.#inForce;
    const linkId = this.#link.info().id;
    const answers = this.#places.all.map((place) => ({
      name: "bind_reply",
      attachedTo: `${place.kind}:${place.device} egress`,
      id: binder.reply(true).info().id,
      linkId: place.linkId(),
    }));
    return {
      programs: [
        { name: "bind_lookup", attachedTo: "netns sk_lookup", id: binder.lookup.info().id, linkId },
        ...answers,
      ],
      counters: [
        {
          name: "kernel_bindings_lookups",
          type: "counter",
          help: "connections and datagrams that bindings decided, and UDP answers mended, by outcome",
          samples: bindings.flatMap(({ declaration, slot }) =>
            countersBy({ binding: declaration.name }, "outcome", maps.counters(slot)),
          ),
        },
      ],
      facts: [...bindings.map((each) => factOf(each, maps)), ...this.#refusals.map((each) => `bindings: ${each}`)],
      neighbours: netnsPrograms(),
    };
  }

  takeBack(): void {
    const lookup = this.#inForce?.binder.lookup;
    if (lookup !== undefined) this.#link?.update(lookup, null);
  }

  close(): void {
    this.#link?.close();
    this.#link = null;
    this.#stopReplies();
    this.#inForce?.binder.close();
    this.#inForce = null;
    this.#maps?.close();
    this.#maps = null;
  }
}

/** What an earlier process left, if it is on this network namespace: no packet meets neither program. */
function takeUp(left: Link | null, program: Program): Link | null {
  if (left === null) return null;
  if (left.info().netns !== fs.statSync("/proc/thread-self/ns/net").ino) {
    left.close();
    return null;
  }
  left.update(program, null);
  return left;
}

/** Answers leave by any of them, by loopback too; ports of a bridge or a bond get what that has mended. */
function outward(links: readonly NetworkLink[]): NetworkLink[] {
  return links.filter((link) => link.master === null);
}

function factOf({ declaration: { name, match, onFailure }, slot, listener }: BoundListener, maps: BindMaps): string {
  const places = match.map(({ prefix, ports }) => {
    const ranges = ports.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
    return `${prefix ?? "every address"} ports ${ranges.join(", ")}`;
  });
  const alive = maps.leases.remainingMs(slot) > 0;
  const lapsed = alive
    ? ""
    : `; its lease has lapsed: ${onFailure === "open" ? "whoever listens gets them" : "refused"}`;
  return `binding ${name}: ${places.join("; ")} to ${listener.name}${lapsed}`;
}
