/**
 * One steering entry: the steer programs on one cgroup, with their own configuration, over maps that all entries share.
 *
 *     prepared   programs verified with their configuration; nothing attached, the lease not begun
 *     attached   links held; a changed entry replaces its programs through them, so that no connect sees none
 */
import { bpfError } from "#core/errors/bpf.ts";
import { familyOf, formatIp, ipOf, parseAddress, parseIp, portOf } from "#core/address.ts";
import { cgroupId } from "#sys/cgroup.ts";
import type { BtfValue } from "#bpf/btf/codec.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import type { ListenerDeclaration, SteeringDeclaration } from "#bpf/manager/declarations.ts";
import type { LeftBehind } from "#bpf/manager/feature.ts";
import { Leases } from "./leases.ts";
import { Link } from "#bpf/kernel/link.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";

const AF_INET = 2;
const AF_INET6 = 10;

/** Attached to the steered cgroup, those that rewrite last: by then the record of what was rewritten is being kept. */
export const STEER_PROGRAMS = {
  tcp: ["steer_sockops", "steer_getpeername4", "steer_getpeername6", "steer_connect4", "steer_connect6"],
  udp: [
    "steer_release",
    "steer_egress",
    "steer_recvmsg4",
    "steer_recvmsg6",
    "steer_getpeername4",
    "steer_getpeername6",
    "steer_sendmsg4",
    "steer_sendmsg6",
    "steer_connect4",
    "steer_connect6",
  ],
} as const;

/** linux/in.h */
const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** What is known of steered connections that are open: it must be the same for the gateways before and after an upgrade. */
const HANDED_MAPS = ["steer_pending", "steer_datagrams", "steer_originals"] as const;

/** Maps of all steering entries together; kept while any of them is, so that open connections outlive a change. */
export class SteeringMaps {
  readonly #pending: BpfMap;
  readonly #datagrams: BpfMap;
  readonly originals: BpfMap;
  readonly leases: Leases;
  readonly #leaseMap: BpfMap;
  /** Holds the types that describe what is kept on sockets: such maps must have them. */
  readonly #collection: Collection;
  /** Of a gateway that this one takes the place of. */
  readonly #taken: Readonly<Record<string, BpfMap>>;

  /** `left`: the records of connections that are open already, by `HANDED_MAPS`. */
  constructor(left: LeftBehind) {
    const found = HANDED_MAPS.flatMap((name) => {
      const map = left.map(`steer ${name}`);
      return map === null ? [] : [[name, map] as const];
    });
    this.#taken = Object.fromEntries(found);
    // A collection without programs: the maps as the object declares them.
    this.#collection = Collection.load(committedSpec("steer"), { programs: [], maps: this.#taken });
    this.#pending = this.#collection.map("steer_pending");
    this.#datagrams = this.#collection.map("steer_datagrams");
    this.originals = this.#collection.map("steer_originals");
    this.#leaseMap = this.#collection.map("steer_leases");
    this.leases = new Leases(this.#leaseMap);
  }

  /** To be put in place of each collection's own. */
  get replacements(): Readonly<Record<string, BpfMap>> {
    return {
      steer_pending: this.#pending,
      steer_datagrams: this.#datagrams,
      steer_originals: this.originals,
      steer_leases: this.#leaseMap,
    };
  }

  /** By the names that `left` is asked for. */
  handOver(): Map<string, BpfMap> {
    return new Map(HANDED_MAPS.map((name) => [`steer ${name}`, this.#collection.map(name)]));
  }

  close(): void {
    this.#collection.close();
    for (const map of Object.values(this.#taken)) map.close();
  }
}

/** What an entry's programs need to know besides the declaration. */
export interface SteeringSurroundings {
  /** 0n: the gateway has no cgroup of its own. */
  readonly gatewayCgroup: bigint;
  readonly netnsCookie: bigint;
  /** 0: marks mean nothing. */
  readonly exemptMark: number;
}

export class Steering {
  readonly declaration: SteeringDeclaration;
  readonly listener: ListenerDeclaration;
  readonly collection: Collection;
  readonly slot: number;
  readonly #maps: SteeringMaps;

  /** Loads and verifies. Throws; then nothing is left. */
  constructor(
    declaration: SteeringDeclaration,
    listener: ListenerDeclaration,
    maps: SteeringMaps,
    surroundings: SteeringSurroundings,
  ) {
    this.declaration = declaration;
    this.listener = listener;
    this.#maps = maps;
    this.slot = maps.leases.reserve(declaration.leaseMs);
    try {
      this.collection = Collection.load(committedSpec("steer"), {
        maps: maps.replacements,
        globals: {
          steer_config: configuration(declaration, listener, surroundings, this.slot),
          steer_ports: portBits(declaration.ports),
        },
        programs: this.#programs,
      });
    } catch (error) {
      maps.leases.release(this.slot);
      throw error;
    }
  }

  get #programs(): readonly string[] {
    return STEER_PROGRAMS[this.declaration.protocol ?? "tcp"];
  }

  /** Whether this entry can stay as it is under that declaration. */
  fits(declaration: SteeringDeclaration, listener: ListenerDeclaration): boolean {
    return (
      this.declaration.leaseMs === declaration.leaseMs &&
      this.declaration.protocol === declaration.protocol &&
      same(this.declaration.ports, declaration.ports) &&
      same(this.listener.addresses, listener.addresses)
    );
  }

  /** Links by program name. All or none. */
  attach(): Map<string, Link> {
    const links = new Map<string, Link>();
    try {
      for (const name of this.#programs)
        links.set(name, Link.toCgroup(this.collection.program(name), this.declaration.cgroup));
    } catch (error) {
      for (const link of links.values()) link.close();
      throw error;
    }
    return links;
  }

  /** Puts these programs where `old`'s are. All or none. */
  replace(old: Steering, links: ReadonlyMap<string, Link>): void {
    const done: string[] = [];
    try {
      for (const [name, link] of links) {
        link.update(this.collection.program(name), old.collection.program(name));
        done.push(name);
      }
    } catch (error) {
      for (const name of done) links.get(name)?.update(old.collection.program(name), this.collection.program(name));
      throw error;
    }
  }

  /** Sums over CPUs, by the names of steer_consts.h. */
  counters(): SteeringCounters {
    const [redirected = 0, leaseExpired = 0, exempt = 0, unrecorded = 0, second = 0] = sumPerCpu(
      this.collection.map("steer_counters"),
    );
    return { redirected, leaseExpired, exempt, unrecorded, second };
  }

  close(): void {
    this.#maps.leases.release(this.slot);
    this.collection.close();
  }
}

export interface SteeringCounters {
  readonly redirected: number;
  readonly leaseExpired: number;
  readonly exempt: number;
  readonly unrecorded: number;
  /** Of datagrams: left alone, since their socket has another destination on record. */
  readonly second: number;
}

function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

/** Refuses what would make a loop or could never work, before anything is loaded. */
export function checkSteering(declaration: SteeringDeclaration, gatewayDirectory: string | null): void {
  const id = cgroupId(declaration.cgroup);
  if (id === null)
    throw bpfError("PENSTOCK_BPF_CGROUP", { detail: `${declaration.cgroup} is no directory of cgroup2` });
  if (gatewayDirectory !== null && cgroupId(gatewayDirectory) === id) {
    throw bpfError("PENSTOCK_BPF_CGROUP", {
      detail: `${declaration.cgroup} is the gateway's own: its connections could not be told from its clients'`,
    });
  }
}

/** struct steer_config, by its fields. */
function configuration(
  { protocol = "tcp" }: SteeringDeclaration,
  listener: ListenerDeclaration,
  surroundings: SteeringSurroundings,
  slot: number,
): BtfValue {
  return {
    listener4: endpointOf(listener, AF_INET),
    listener6: endpointOf(listener, AF_INET6),
    gateway_cgroup: surroundings.gatewayCgroup,
    netns_cookie: surroundings.netnsCookie,
    exempt_mark: surroundings.exemptMark,
    lease: slot,
    protocol: PROTOCOL[protocol],
  };
}

/** struct endpoint of the listener's first address of a family; port 0 when it has none. */
function endpointOf(listener: ListenerDeclaration, family: number): BtfValue {
  const address = listener.addresses.map((text) => parseAddress(text)).find((each) => familyOf(each) === family);
  if (address === undefined) return {};
  const ip = Buffer.from(reachable(ipOf(address)));
  const port = portOf(address);
  return {
    ip: { word: [0, 4, 8, 12].map((at) => ip.readUInt32LE(at)) },
    // __be16, written as this machine's number with the same bytes.
    port: ((port & 0xff) << 8) | (port >> 8),
  };
}

/** Where a listener on every address is connected to: loopback. */
function reachable(ip: Uint8Array): Uint8Array {
  const wildcards = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  const text = formatIp(ip);
  return text === "0.0.0.0" || text === "::" ? parseIp(wildcards[text]) : ip;
}

/** The bit set of steer_ports. */
function portBits(ports: readonly number[]): Buffer {
  const bits = Buffer.alloc(65_536 / 8);
  for (const port of ports) bits[port >> 3] = (bits[port >> 3] as number) | (1 << (port & 7));
  return bits;
}
