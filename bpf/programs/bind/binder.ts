/**
 * The bind programs with the tables of one declaration: verified and filled, attached nowhere. A change makes a new one,
 * which takes the old one's place as a whole; what must live on (leases, counters, conversations) is in BindMaps.
 */
import fs from "node:fs";
import { familyOf, ipOf, parseAddress, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { sumWords } from "#bpf/kernel/counters.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import type { ListenerDeclaration } from "#bpf/manager/declarations.ts";
import { Leases } from "#bpf/programs/steer/leases.ts";
import { prefixRanges, RANGES_MAX, type Action, type PlacedBinding, type PrefixRanges } from "./ranges.ts";

const AF_INET6 = 10;
/** The order of struct bind_counts. */
const COUNTERS = ["bound", "denied", "lapsed", "noSocket", "refused", "mended", "unmended"] as const;
const COUNTERS_MAX = 8;
const ACTION: Readonly<Record<Action, number>> = { bind: 1, deny: 2, leave: 3 };
/**
 * Clients of UDP bindings: 65536 x (20 + 36 + 48 of the hash) are 7 MiB. An answer whose entry was displaced leaves from the
 * listener's own port.
 */
const ANSWERS_MAX = 65_536;
/** struct bind_range, and struct bind_ranges around it. */
const RANGE_BYTES = 8;
const RANGES_HEADER_BYTES = 8;

/**
 * By the names of bind_consts.h: connections and datagrams given to the listener or refused by an entry; those that found
 * its lease lapsed, its sockets closed, or the kernel unwilling; and answers whose source was mended, or could not be.
 */
export type BindingCounters = Readonly<Record<(typeof COUNTERS)[number], number>>;

/** What all versions of the programs share. */
export class BindMaps {
  readonly leases: Leases;
  readonly leaseMap: BpfMap;
  readonly counterMap: BpfMap;
  readonly #collection: Collection;
  #answers: BpfMap | null = null;
  #none: BpfMap | null = null;

  constructor() {
    this.#collection = Collection.load(committedSpec("bind"), {
      programs: [],
      maps: { bind_answers: this.answers(false) },
    });
    this.leaseMap = this.#collection.map("bind_leases");
    this.counterMap = this.#collection.map("bind_counters");
    this.leases = new Leases(this.leaseMap);
  }

  /** Made when the first is wanted; until then something small stands there. */
  answers(wanted: boolean): BpfMap {
    if (wanted) return (this.#answers ??= makeAnswers(ANSWERS_MAX));
    return (this.#none ??= makeAnswers());
  }

  counters(slot: number): BindingCounters {
    const all = sumWords(this.counterMap.lookup(uint32(slot)) ?? Buffer.alloc(0), COUNTERS_MAX);
    const named = COUNTERS.map((name, i) => [name, all[i] ?? 0] as const);
    return Object.fromEntries(named) as BindingCounters;
  }

  /** A slot that is used again begins at 0. */
  resetCounters(slot: number): void {
    this.counterMap.update(uint32(slot), Buffer.alloc(this.counterMap.valueSlotBytes));
  }

  close(): void {
    this.#answers?.close();
    this.#none?.close();
    this.#collection.close();
  }
}

function makeAnswers(maxEntries?: number): BpfMap {
  const definition = committedSpec("bind").maps.get("bind_answers");
  if (definition === undefined) throw bpfError("PENSTOCK_BPF_OBJECT", { detail: "bind: no bind_answers" });
  return BpfMap.create(maxEntries === undefined ? definition : { ...definition, maxEntries });
}

export interface BoundListener extends PlacedBinding {
  readonly listener: ListenerDeclaration;
}

export class Binder {
  /** Any of UDP: then answers have to be mended. */
  readonly udp: boolean;
  readonly #collection: Collection;
  readonly #identity: string;

  /** Loads, verifies and fills. Throws PENSTOCK_BPF_BINDING, VerifierError; then nothing is left. */
  constructor(bindings: readonly BoundListener[], maps: BindMaps) {
    this.udp = bindings.some(({ declaration }) => declaration.protocol === "udp");
    this.#identity = identityOf(bindings);
    const tables = prefixRanges(bindings);
    this.#collection = Collection.load(committedSpec("bind"), {
      maps: {
        bind_leases: maps.leaseMap,
        bind_counters: maps.counterMap,
        bind_answers: maps.answers(this.udp),
      },
    });
    try {
      const prefixes = this.#collection.map("bind_prefixes");
      for (const each of tables) prefixes.update(prefixKey(each), rangesValue(each));
      for (const each of bindings) this.#putListener(each);
    } catch (error) {
      this.#collection.close();
      throw error;
    }
  }

  #putListener({ declaration, slot, listener: { name, addresses, sockets = [] } }: BoundListener): void {
    if (sockets.length === 0) {
      throw bpfError("PENSTOCK_BPF_BINDING", {
        detail: `binding ${declaration.name}: listener ${name} has no socket that could be given to the kernel`,
      });
    }
    for (const [i, fd] of sockets.entries()) {
      const address = parseAddress(addresses[i] ?? "");
      const at = uint32(2 * slot + (familyOf(address) === AF_INET6 ? 1 : 0));
      const ip = isWildcard(ipOf(address)) ? new Uint8Array(16) : ipOf(address);
      const port = portOf(address);
      this.#collection.map("bind_listeners").update(at, Buffer.from([...ip, port >> 8, port & 0xff, 0, 0]));
      const socket = Buffer.alloc(8);
      socket.writeUInt32LE(fd, 0);
      this.#collection.map("bind_sockets").update(at, socket);
    }
  }

  get lookup(): Program {
    return this.#collection.program("bind_lookup");
  }

  /** For a device's egress. `framed`: its frames begin with an Ethernet header. */
  reply(framed: boolean): Program {
    return this.#collection.program(framed ? "bind_reply" : "bind_reply_bare");
  }

  /** Whether it is what these would be: the same entries, the same sockets behind them. */
  fits(bindings: readonly BoundListener[]): boolean {
    return this.#identity === identityOf(bindings);
  }

  close(): void {
    this.#collection.close();
  }
}

/** A listener that was closed and opened again is another one, however alike its descriptor. */
function identityOf(bindings: readonly BoundListener[]): string {
  return JSON.stringify(
    bindings.map(({ declaration, slot, listener: { addresses, sockets = [] } }) => {
      const { protocol, match, deny, except, onFailure } = declaration;
      return [slot, protocol, match, deny, except, onFailure, addresses, sockets.map(socketNumber)];
    }),
  );
}

function socketNumber(fd: Fd): number {
  return fs.fstatSync(fd).ino;
}

function isWildcard(ip: Uint8Array): boolean {
  return ip.every((byte, i) => byte === 0 || ((i === 10 || i === 11) && byte === 0xff));
}

/** struct bind_prefix. */
function prefixKey({ protocol, ip, bits }: PrefixRanges): Buffer {
  return Buffer.concat([uint32(32 + bits), uint32(protocol), ip]);
}

/** struct bind_ranges. */
function rangesValue({ ranges }: PrefixRanges): Buffer {
  const value = Buffer.alloc(RANGES_HEADER_BYTES + RANGES_MAX * RANGE_BYTES);
  value.writeUInt32LE(ranges.length, 0);
  for (const [i, { first, last, binding, action, closed }] of ranges.entries()) {
    const at = RANGES_HEADER_BYTES + i * RANGE_BYTES;
    value.writeUInt16LE(first, at);
    value.writeUInt16LE(last, at + 2);
    value.writeUInt16LE(binding, at + 4);
    value.writeUInt8(ACTION[action], at + 6);
    value.writeUInt8(closed ? 1 : 0, at + 7);
  }
  return value;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
