/**
 * What runs on a device: planned from its declaration, put in force as one step of a change, let go afterwards. Everything
 * on XDP stands in the device's chain (kernel/xdp-chain.ts); a counter behind XDP has a place of its own.
 */
import { assert } from "#core/assert.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { findInterface } from "#bpf/netlink/interfaces.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { attachIngress, type TcAttachment } from "#bpf/kernel/tcx.ts";
import { XdpChain, type ChainPrograms } from "#bpf/kernel/xdp-chain.ts";
import { PacketCounter } from "#bpf/programs/counter/counter.ts";
import type { CounterDeclaration } from "#bpf/programs/counter/declaration.ts";
import { Firewall } from "#bpf/programs/firewall/firewall.ts";
import type { InterfaceDeclaration, MapDeclaration } from "./declarations.ts";
import type { Planned } from "./planned.ts";

export interface PlannedInterface {
  readonly declaration: InterfaceDeclaration;
  readonly chain: Planned<XdpChain>;
  readonly firewall: Planned<Firewall> | null;
  readonly counter: Planned<PacketCounter> | null;
  /** Programs of other features in this device's chain; theirs to close. */
  readonly guests: ChainPrograms;
}

export interface AttachedInterface {
  readonly declaration: InterfaceDeclaration;
  readonly chain: XdpChain;
  readonly firewall: Firewall | null;
  readonly counter: PacketCounter | null;
  /** Of a counter behind XDP. */
  readonly counterPlace: TcAttachment | null;
  readonly guests: ChainPrograms;
}

/** Finds the map of a declaration's index, planned already. */
export type MapAt = (index: number) => { readonly declaration: MapDeclaration; readonly map: BpfMap };

/**
 * Loads what is new and keeps what can stay. `before`: what is in force there, `chain` and `guests`: as drafted. Throws the
 * first refusal; then nothing of it is left but the chain, which is the draft's.
 */
export function planInterface(
  declaration: InterfaceDeclaration,
  before: AttachedInterface | undefined,
  chain: Planned<XdpChain>,
  guests: ChainPrograms,
  mapAt: MapAt,
): PlannedInterface {
  const firewall = planFirewall(declaration, before, chain.item, mapAt);
  try {
    return { declaration, chain, firewall, counter: planCounter(declaration, before, chain.item), guests };
  } catch (error) {
    if (firewall?.kept === false) firewall.item.close();
    throw error;
  }
}

function planFirewall(
  { device, firewall }: InterfaceDeclaration,
  before: AttachedInterface | undefined,
  chain: XdpChain,
  mapAt: MapAt,
): Planned<Firewall> | null {
  if (firewall === undefined) return null;
  const prefixes = (index: number): BpfMap => {
    const { declaration, map } = mapAt(index);
    if (declaration.type !== "lpm-trie" || declaration.key !== "ip-prefix" || declaration.value !== "expiry") {
      throw bpfError("PENSTOCK_BPF_TYPES", {
        detail: `${device}: ${declaration.name} is no lpm-trie of ip-prefix and expiry`,
      });
    }
    return map;
  };
  const { blocklist, allowlist, limits, synsPerSecond } = firewall;
  const maps = { deny: prefixes(blocklist), allow: allowlist === undefined ? null : prefixes(allowlist) };
  const options = { limits, synsPerSecond };
  const known = before?.firewall ?? undefined;
  return planned(known?.fits(maps, options) === true ? known : undefined, () => new Firewall(maps, options, chain.map));
}

function planCounter(
  { counter }: InterfaceDeclaration,
  before: AttachedInterface | undefined,
  chain: XdpChain,
): Planned<PacketCounter> | null {
  if (counter === undefined) return null;
  const known = before?.counter ?? undefined;
  const was = before?.declaration.counter;
  const same = known !== undefined && was !== undefined && sameCounter(was, counter);
  const { by, hook, ipv4Bits, ipv6Bits, entriesMax } = counter;
  return planned(
    same ? known : undefined,
    () => new PacketCounter({ by, hook, ipv4Bits, ipv6Bits, sourcesMax: entriesMax, chain: chain.map }),
  );
}

/** How many of them are shown is no matter of the program's. */
function sameCounter(a: CounterDeclaration, b: CounterDeclaration): boolean {
  return (["by", "hook", "ipv4Bits", "ipv6Bits", "entriesMax"] as const).every((field) => a[field] === b[field]);
}

function planned<T>(current: T | undefined, make: () => T): Planned<T> {
  return current === undefined ? { kept: false, item: make() } : { kept: true, item: current };
}

/** Whether the device is still the one that it was put on: another may come under the same name. */
export function isInPlace({ declaration, chain }: AttachedInterface): boolean {
  return findInterface(declaration.device)?.index === chain.index;
}

/** Attaches, moves and replaces; what was done is on `undo`, also when it throws. Lets nothing go yet. */
export function putInterface(
  plan: PlannedInterface,
  before: AttachedInterface | undefined,
  undo: (() => void)[],
): AttachedInterface {
  const { declaration, chain, firewall, counter, guests } = plan;
  const programs = chainPrograms(plan);
  if (Object.keys(programs).length > 0) chain.item.change(programs, declaration.mode, undo);
  return {
    declaration,
    chain: chain.item,
    firewall: firewall?.item ?? null,
    counter: counter?.item ?? null,
    counterPlace: counter?.item.hook === "tcx" ? putCounter(plan, counter, before, undo) : null,
    guests,
  };
}

function chainPrograms({ firewall, counter, guests }: PlannedInterface): ChainPrograms {
  return {
    ...guests,
    ...(firewall === null ? {} : { firewall: firewall.item.program }),
    ...(counter === null || counter.item.hook !== "xdp" ? {} : { counter: counter.item.program }),
  };
}

function putCounter(
  { declaration, chain }: PlannedInterface,
  counter: Planned<PacketCounter>,
  before: AttachedInterface | undefined,
  undo: (() => void)[],
): TcAttachment {
  const place = chain.kept ? (before?.counterPlace ?? null) : null;
  if (place === null) {
    const made = attachIngress(counter.item.program, declaration.device, chain.item.index);
    undo.push(() => made.close());
    return made;
  }
  const old = before?.counter ?? null;
  assert(old !== null, "what has a place is a counter");
  if (old !== counter.item) {
    place.update(counter.item.program, old.program);
    undo.push(() => place.update(old.program, counter.item.program));
  }
  return place;
}

/** After a change that succeeded: what of `before` is not in force any more. `now`: undefined when the device is left. */
export function releaseInterface(before: AttachedInterface, now: AttachedInterface | undefined): void {
  if (now?.counterPlace !== before.counterPlace) before.counterPlace?.close();
  if (now?.chain !== before.chain) before.chain.close();
  else if (Object.keys(now.chain.programs).length > 0 && !hasXdp(now)) now.chain.clear();
  if (now?.firewall !== before.firewall) before.firewall?.close();
  if (now?.counter !== before.counter) before.counter?.close();
}

function hasXdp({ firewall, counter, guests }: AttachedInterface): boolean {
  return Object.keys(guests).length > 0 || firewall !== null || counter?.hook === "xdp";
}

export function closeNewInterface({ chain, firewall, counter }: PlannedInterface): void {
  for (const each of [firewall, counter, chain]) if (each?.kept === false) each.item.close();
}
