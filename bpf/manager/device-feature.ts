/**
 * What runs on network devices: their XDP chains, for every feature that has a program there, and the firewall and counter
 * of `kernel.interfaces`. Planned after the features that put programs into a chain, since a chain changes as a whole.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { XdpChain, type ChainPrograms, type ChainSlot } from "#bpf/kernel/xdp-chain.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import type { Program } from "#bpf/kernel/program.ts";
import type { PacketCounter } from "#bpf/programs/counter/counter.ts";
import type { Declaration, InterfaceDeclaration } from "./declarations.ts";
import type {
  DeviceChains,
  FeaturePlan,
  FeatureStatus,
  KernelFeature,
  LeftBehind,
  PinSet,
  PlanContext,
  Undo,
} from "./feature.ts";
import {
  closeNewInterface,
  isInPlace,
  planInterface,
  putInterface,
  releaseInterface,
  type AttachedInterface,
  type PlannedInterface,
} from "./interfaces.ts";
import { interfaceStatus, interfacesStatus, type InterfaceStatus } from "./interface-status.ts";
import type { Planned } from "./planned.ts";

export class DeviceFeature implements KernelFeature {
  readonly name = "interfaces";
  #inForce = new Map<string, AttachedInterface>();

  /** Begins a plan: other features ask it for chains before `plan` itself. */
  draft(left: LeftBehind): DeviceDraft {
    return new DeviceDraft(this.#inForce, left);
  }

  plan(declaration: Declaration, context: PlanContext): FeaturePlan {
    const draft = context.devices;
    if (!(draft instanceof DeviceDraft)) throw new TypeError("devices are planned on their own draft");
    const planned = new Map<string, PlannedInterface>();
    const discard = (): void => {
      for (const each of planned.values()) closeNewInterface(each);
    };
    try {
      for (const each of declaration.kernel.interfaces) {
        if (planned.has(each.device))
          throw bpfError("PENSTOCK_BPF_DEVICE", { detail: `${each.device} is named twice` });
        planned.set(each.device, this.#planOne(each, draft, context));
      }
      for (const device of draft.devices()) {
        if (!planned.has(device)) planned.set(device, this.#planOne({ device, mode: "auto" }, draft, context));
      }
    } catch (error) {
      discard();
      throw error;
    }
    let next = new Map<string, AttachedInterface>();
    return {
      attach: (undo) => {
        next = this.#attach(planned, undo);
      },
      settle: () => {
        for (const [device, old] of this.#inForce) releaseInterface(old, next.get(device));
        this.#inForce = next;
      },
      discard,
    };
  }

  #planOne(declaration: InterfaceDeclaration, draft: DeviceDraft, context: PlanContext): PlannedInterface {
    const { device } = declaration;
    const chain = draft.take(device);
    try {
      return planInterface(declaration, draft.before(device), chain, draft.guests(device), (i) => context.map(i));
    } catch (error) {
      if (!chain.kept) chain.item.close();
      throw error;
    }
  }

  #attach(planned: ReadonlyMap<string, PlannedInterface>, undo: Undo): Map<string, AttachedInterface> {
    const next = new Map<string, AttachedInterface>();
    for (const [device, plan] of planned) next.set(device, putInterface(plan, this.#inForce.get(device), undo));
    return next;
  }

  counter(device: string): PacketCounter | null {
    return this.#inForce.get(device)?.counter ?? null;
  }

  interfaces(): InterfaceStatus[] {
    return Array.from(this.#inForce.values(), interfaceStatus);
  }

  status(): FeatureStatus {
    return interfacesStatus(this.interfaces());
  }

  /** A counter behind XDP is on a link that is not pinned: it drops nothing, and counts on from the next start. */
  pins(): PinSet {
    const links = new Map(
      Array.from(this.#inForce.values()).flatMap(({ declaration: { device }, chain }) =>
        chain.link === null ? [] : [[pinName(device), chain.link] as const],
      ),
    );
    const maps = new Map(
      Array.from(
        this.#inForce.values(),
        ({ declaration: { device }, chain }) => [`chain ${device}`, chain.map] as const,
      ),
    );
    return { links, maps };
  }

  /** Our programs go back behind our links, whatever a successor that has failed put there. */
  takeBack(): void {
    for (const { chain } of this.#inForce.values()) chain.putBack();
  }

  close(): void {
    for (const each of this.#inForce.values()) releaseInterface(each, undefined);
    this.#inForce.clear();
  }
}

function pinName(device: string): string {
  return `xdp ${device}`;
}

/** The chains of one plan: kept where the device is still the same, new where not. */
export class DeviceDraft implements DeviceChains {
  readonly #inForce: ReadonlyMap<string, AttachedInterface>;
  readonly #chains = new Map<string, Planned<XdpChain>>();
  readonly #left: LeftBehind;
  readonly #taken = new Set<string>();
  readonly #guests = new Map<string, Partial<Record<ChainSlot, Program>>>();

  constructor(inForce: ReadonlyMap<string, AttachedInterface>, left: LeftBehind) {
    this.#inForce = inForce;
    this.#left = left;
  }

  before(device: string): AttachedInterface | undefined {
    const current = this.#inForce.get(device);
    return current !== undefined && isInPlace(current) ? current : undefined;
  }

  chain(device: string): BpfMap {
    return this.#chain(device).item.map;
  }

  put(device: string, slot: ChainSlot, program: Program): void {
    this.#chain(device);
    this.#guests.set(device, { ...this.#guests.get(device), [slot]: program });
  }

  guests(device: string): ChainPrograms {
    return this.#guests.get(device) ?? {};
  }

  /** Devices that have a program of another feature, in no order of importance. */
  devices(): Iterable<string> {
    return this.#guests.keys();
  }

  /** From now on the taker closes it. */
  take(device: string): Planned<XdpChain> {
    const chain = this.#chain(device);
    this.#taken.add(device);
    return chain;
  }

  /** Chains that were asked for and are in no plan. */
  close(): void {
    for (const [device, { kept, item }] of this.#chains) if (!kept && !this.#taken.has(device)) item.close();
    this.#chains.clear();
  }

  #chain(device: string): Planned<XdpChain> {
    const known = this.#chains.get(device);
    if (known !== undefined) return known;
    const before = this.before(device)?.chain;
    const made =
      before === undefined
        ? { kept: false, item: new XdpChain(device, this.#left.link(pinName(device))) }
        : { kept: true, item: before };
    this.#chains.set(device, made);
    return made;
  }
}
