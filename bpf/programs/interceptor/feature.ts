/**
 * Interceptors as a feature of the manager. Devices are followed: a change of links is read from netlink about once a
 * second, and after one, or when the kernel had to drop some, the devices are listed anew.
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { Declaration } from "#bpf/manager/declarations.ts";
import { DevicePlaces, listLinks } from "#bpf/manager/device-places.ts";
import {
  countersBy,
  type FeaturePlan,
  type FeatureStatus,
  type KernelFeature,
  type PlanContext,
  type Undo,
} from "#bpf/manager/feature.ts";
import type { Planned } from "#bpf/manager/planned.ts";
import type { NetworkLink } from "#bpf/netlink/links.ts";
import { NetworkMonitor } from "#bpf/netlink/monitor.ts";
import type { InterceptorDeclaration } from "./declaration.ts";
import { Interceptor, InterceptorLeases } from "./interceptor.ts";

interface Attached {
  readonly declaration: InterceptorDeclaration;
  readonly item: Interceptor;
  readonly places: DevicePlaces;
  /** What devices that came have against it. */
  refusals: readonly string[];
}

export class InterceptorFeature implements KernelFeature {
  readonly name = "interceptors";
  #shared: InterceptorLeases | null = null;
  #monitor: NetworkMonitor | null = null;
  #inForce = new Map<string, Attached>();

  plan({ kernel }: Declaration, context: PlanContext): FeaturePlan {
    const planned = new Map<
      string,
      { readonly declaration: InterceptorDeclaration; readonly item: Planned<Interceptor> }
    >();
    const discard = (): void => {
      for (const { item } of planned.values()) if (!item.kept) item.item.close();
    };
    try {
      for (const declaration of kernel.interceptors ?? []) {
        if (planned.has(declaration.name))
          throw bpfError("PENSTOCK_BPF_DEVICE", { detail: `interceptor ${declaration.name} is declared twice` });
        planned.set(declaration.name, { declaration, item: this.#planOne(declaration, context) });
      }
    } catch (error) {
      discard();
      throw error;
    }
    let next = new Map<string, Attached>();
    return {
      attach: (undo) => {
        next = this.#attach(planned, undo);
      },
      settle: () => this.#settle(next),
      discard,
    };
  }

  #planOne(declaration: InterceptorDeclaration, context: PlanContext): Planned<Interceptor> {
    const listener = context.listener(declaration.listener);
    const current = this.#inForce.get(declaration.name)?.item;
    if (current !== undefined && current.fits(declaration, listener)) return { kept: true, item: current };
    this.#shared ??= new InterceptorLeases();
    return { kept: false, item: new Interceptor(declaration, listener, this.#shared) };
  }

  #attach(
    planned: ReadonlyMap<string, { readonly declaration: InterceptorDeclaration; readonly item: Planned<Interceptor> }>,
    undo: Undo,
  ): Map<string, Attached> {
    const next = new Map<string, Attached>();
    if (planned.size === 0) return next;
    // First follow, then list: nothing that comes in between is missed.
    this.#monitor ??= new NetworkMonitor(["link"]);
    const links = listLinks();
    for (const [name, { declaration, item }] of planned) {
      const before = this.#inForce.get(name);
      const places = before?.places ?? new DevicePlaces("ingress");
      // The lease begins before a packet can meet the program.
      item.item.renew();
      const old = before?.item.program ?? null;
      places.change(wantedOf(declaration, links), () => item.item.program, old === null ? null : () => old, undo);
      next.set(name, { declaration, item: item.item, places, refusals: [] });
    }
    return next;
  }

  #settle(next: Map<string, Attached>): void {
    for (const [name, old] of this.#inForce) {
      const now = next.get(name);
      if (now === undefined) old.places.close();
      if (now?.item !== old.item) old.item.close();
    }
    this.#inForce = next;
    if (next.size === 0) {
      this.#monitor?.close();
      this.#monitor = null;
      return;
    }
    const links = listLinks();
    for (const { declaration, places } of next.values()) places.release(wantedOf(declaration, links));
  }

  renewLease(): void {
    for (const { item } of this.#inForce.values()) item.renew();
  }

  leaseMs(): number | null {
    const lengths = Array.from(this.#inForce.values(), ({ declaration }) => declaration.leaseMs);
    return lengths.length === 0 ? null : Math.min(...lengths);
  }

  /** Follows devices. In the network namespace that the interceptors were put in force in. */
  maintain(): void {
    let changed = false;
    this.#monitor?.read(() => (changed = true));
    const refused = Array.from(this.#inForce.values()).some(({ refusals }) => refusals.length > 0);
    if (!changed && !refused) return;
    const links = listLinks();
    for (const each of this.#inForce.values()) {
      each.refusals = each.places.follow(wantedOf(each.declaration, links), () => each.item.program);
    }
  }

  status(): FeatureStatus {
    const all = [...this.#inForce.values()];
    return {
      programs: all.flatMap(({ item, places }) =>
        places.all.map((place) => ({
          name: "interceptor",
          attachedTo: `${place.kind}:${place.device} ingress`,
          id: item.program.info().id,
          linkId: place.linkId(),
        })),
      ),
      counters: [
        {
          name: "kernel_interceptor_segments",
          type: "counter",
          help: "connections diverted to the listener, and segments let alone, by reason",
          samples: all.flatMap(({ declaration, item }) =>
            countersBy({ interceptor: declaration.name }, "reason", { ...item.counters() }),
          ),
        },
      ],
      facts: all.flatMap(facts),
      neighbours: [],
    };
  }

  close(): void {
    for (const { places, item } of this.#inForce.values()) {
      places.close();
      item.close();
    }
    this.#inForce.clear();
    this.#monitor?.close();
    this.#monitor = null;
    this.#shared?.close();
    this.#shared = null;
  }
}

function facts({ declaration, item, places, refusals }: Attached): string[] {
  const on = places.all.map(({ device }) => device);
  const missing = declaration.devices.filter((device) => !on.includes(device));
  const lapsed = item.leaseRemainingMs() === 0 ? "; its lease has lapsed: nothing is diverted" : "";
  return [
    `interceptor ${declaration.name}: ports ${declaration.ports.join(", ")} to ${item.listener.name} on ${on.join(", ") || "no device"}${lapsed}`,
    ...missing.map((device) => `interceptor ${declaration.name}: ${device} is not there (yet)`),
    ...refusals.map((refusal) => `interceptor ${declaration.name}: ${refusal}`),
  ];
}

/**
 * Where packets from outside come in. Not the loopback device, by which the gateway reaches the services behind it; and a
 * port of a bridge or a bond hands its packets on to that, where they are seen once, and only those for us.
 */
export function wantedOf(
  { devices }: Pick<InterceptorDeclaration, "devices">,
  links: readonly NetworkLink[],
): NetworkLink[] {
  return links.filter((link) =>
    devices.length === 0 ? !link.loopback && link.master === null : devices.includes(link.name),
  );
}
