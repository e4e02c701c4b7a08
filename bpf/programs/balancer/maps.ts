/**
 * The balancer's tables in the kernel, shared by the programs of all devices and by successive versions of them. Written
 * entry by entry while packets pass, in an order in which every packet meets a state that makes sense.
 */
import { BpfMap } from "#bpf/kernel/map.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { TypedMap } from "#bpf/kernel/typed-map.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { LeftBehind } from "#bpf/manager/feature.ts";
import type { CollectionSpec, MapDefinition } from "#bpf/spec/spec.ts";
import { BALANCER_REASONS, FLOWS_PER_SECOND, RING_SLOTS, STATE, type BalancerReason } from "./layout.ts";
import { makeRecord, readRecord, writeRecord } from "./record.ts";
import { accepts, NO_SERVICES, type EndpointPlace, type ServicePlace, type ServiceTables } from "./tables.ts";
import { endpointValue, ringOf, ringText, serviceValue, stateOf, vipValue } from "./values.ts";

/** What .rodata is for one program only. */
const OWN = [".rodata", "xdp_chain"];

export interface ServiceCounters {
  readonly packets: number;
  readonly bytes: number;
  /** That were new. */
  readonly flows: number;
  /** NAT: from endpoints. */
  readonly returnPackets: number;
  readonly returnBytes: number;
  readonly reasons: Readonly<Record<BalancerReason, number>>;
}

export interface EndpointCounters {
  readonly packets: number;
  readonly bytes: number;
  readonly flows: number;
}

export class BalancerMaps {
  readonly #collection: Collection;
  readonly #spec = committedSpec("balancer");
  readonly #record: BpfMap;
  /** Of a process before this one: closed by us. */
  readonly #taken: ReadonlyMap<string, BpfMap>;
  /** What is in them already. */
  readonly found: ServiceTables;

  /** `left`: takes up what an earlier process left, flows and all; either all of it or nothing. */
  constructor(left: LeftBehind = NOTHING_LEFT) {
    const taken = takeUp(this.#spec, left);
    this.#taken = taken?.maps ?? new Map();
    this.found = taken?.tables ?? NO_SERVICES;
    // A collection without programs: the maps as the object declares them.
    this.#collection = Collection.load(this.#spec, { programs: [], maps: Object.fromEntries(this.#taken) });
    this.#record = taken?.record ?? makeRecord();
  }

  /** By the names that `left` is asked for. */
  get handedOver(): Map<string, BpfMap> {
    const shared = sharedNames(this.#spec).map((name) => [pinName(name), this.map(name)] as const);
    return new Map([...shared, [RECORD, this.#record]]);
  }

  /** To be put in place of each program's own. */
  get replacements(): Readonly<Record<string, BpfMap>> {
    return Object.fromEntries([...this.#collection.maps].filter(([name]) => !OWN.includes(name)));
  }

  map(name: string): BpfMap {
    return this.#collection.map(name);
  }

  /**
   * From one state of the tables to another. `whole`: what is the same in both is written again too, and what is in the
   * kernel besides goes. Throws when the kernel has no memory left.
   */
  change(from: ServiceTables, to: ServiceTables, whole = false): void {
    const stay = new Set(to.services.map(({ key }) => key));
    for (const service of from.services) if (!stay.has(service.key)) this.#removeService(service);
    const before = new Map(from.services.map((service) => [service.key, service]));
    for (const service of to.services) this.#writeService(before.get(service.key), service, to, whole);
    if (whole) this.#removeOthers(to);
    this.#control(to);
    writeRecord(this.#record, to);
  }

  /** Addresses that a process before us entered and did not get round to put on record. */
  #removeOthers({ services }: ServiceTables): void {
    const wanted = new Set(services.map(({ index }) => index));
    const vips = this.map("balancer_vips");
    for (const [key, value] of vips.entries()) if (!wanted.has(value.readUInt32LE(0))) vips.delete(key);
  }

  service({ index }: ServicePlace): ServiceCounters {
    const [packets = 0, bytes = 0, flows = 0, returnPackets = 0, returnBytes = 0, ...counts] = this.#sums(
      "balancer_service_counters",
      index,
    );
    const named = BALANCER_REASONS.map(({ name }, i) => [name, counts[i] ?? 0] as const);
    const reasons = Object.fromEntries(named) as Record<BalancerReason, number>;
    return { packets, bytes, flows, returnPackets, returnBytes, reasons };
  }

  endpoint({ index }: EndpointPlace): EndpointCounters {
    const [packets = 0, bytes = 0, flows = 0] = this.#sums("balancer_endpoint_counters", index);
    return { packets, bytes, flows };
  }

  close(): void {
    this.#collection.close();
    this.#record.close();
    for (const map of this.#taken.values()) map.close();
  }

  #removeService(service: ServicePlace): void {
    this.#typed("balancer_vips").delete(vipValue(service.declaration));
    this.map("balancer_rings").delete(indexKey(service.index));
    for (const each of service.endpoints) this.#writeEndpoint(service, each, STATE.none);
    this.map("balancer_services").update(indexKey(service.index), this.#zeros("balancer_services"));
  }

  #writeService(old: ServicePlace | undefined, service: ServicePlace, to: ServiceTables, whole: boolean): void {
    if (old === undefined) this.#clear("balancer_service_counters", service.index);
    const places = new Set(service.endpoints.map(({ index }) => index));
    const known = new Map(old?.endpoints.map((each) => [each.index, each]));
    const write = (endpoint: EndpointPlace): void => {
      const before = known.get(endpoint.index);
      if (before === undefined) this.#clear("balancer_endpoint_counters", endpoint.index);
      // First all but the state: a packet that comes in between must not take a half-written endpoint for one.
      if (before?.generation !== endpoint.generation) this.#writeEndpoint(service, endpoint, STATE.none);
      this.#writeEndpoint(service, endpoint, stateOf(endpoint));
    };
    // Who comes is there before the ring leads to it; who goes is there until the ring leads past it.
    for (const each of service.endpoints) if (accepts(each)) write(each);
    const services = this.#typed("balancer_services");
    services.set(service.index, serviceValue(service, to.devices));
    if (whole || old === undefined || ringText(old) !== ringText(service)) this.#writeRing(service);
    if (whole || old === undefined) this.#typed("balancer_vips").set(vipValue(service.declaration), service.index);
    for (const each of service.endpoints) if (!accepts(each)) write(each);
    for (const each of old?.endpoints ?? [])
      if (!places.has(each.index)) this.#writeEndpoint(service, each, STATE.none);
  }

  #writeEndpoint(service: ServicePlace, endpoint: EndpointPlace, state: number): void {
    this.#typed("balancer_endpoints").set(endpoint.index, endpointValue(service, endpoint, state));
  }

  /** A ring of its own, filled before it is in its place: packets meet the old one or the new one. */
  #writeRing(service: ServicePlace): void {
    const inner = this.#definition("balancer_rings").inner;
    if (inner === null) throw bpfError("PENSTOCK_BPF_OBJECT", { detail: "balancer_rings is no map of maps" });
    const ring = BpfMap.create(inner);
    try {
      const slots = ringOf(service, RING_SLOTS);
      ring.update(Buffer.alloc(4), Buffer.from(slots.buffer, slots.byteOffset, slots.byteLength));
      this.map("balancer_rings").update(indexKey(service.index), indexKey(ring.fd));
    } finally {
      // The outer map holds it.
      ring.close();
    }
  }

  #control({ services }: ServiceTables): void {
    const nat = services.some(({ declaration }) => declaration.mode === "nat") ? 1 : 0;
    this.#typed("balancer_control").set(0, { nat, flows_per_second: FLOWS_PER_SECOND });
  }

  #definition(name: string): MapDefinition {
    const definition = this.#spec.maps.get(name);
    if (definition === undefined) throw bpfError("PENSTOCK_BPF_MAP_UNKNOWN", { detail: name });
    return definition;
  }

  #typed(name: string): TypedMap {
    const { btf } = this.#spec;
    if (btf === null) throw bpfError("PENSTOCK_BPF_OBJECT", { detail: "the balancer's object has no types" });
    return new TypedMap(this.map(name), btf, this.#definition(name));
  }

  #zeros(name: string): Buffer {
    return Buffer.alloc(this.map(name).valueSlotBytes);
  }

  #clear(name: string, index: number): void {
    this.map(name).update(indexKey(index), this.#zeros(name));
  }

  /** The 64-bit fields of a per-CPU value, summed over CPUs. */
  #sums(name: string, index: number): number[] {
    const map = this.map(name);
    const bytes = map.lookup(indexKey(index)) ?? this.#zeros(name);
    const fields = map.perCpuBytes / 8;
    return Array.from({ length: fields }, (_, field) => {
      let sum = 0n;
      for (let at = field * 8; at < bytes.length; at += map.perCpuBytes) sum += bytes.readBigUInt64LE(at);
      return Number(sum);
    });
  }
}

const NOTHING_LEFT: LeftBehind = { map: () => null, link: () => null };
const RECORD = "balancer record";

function pinName(map: string): string {
  return `balancer ${map}`;
}

/** Of all programs and versions together. */
function sharedNames(spec: CollectionSpec): string[] {
  return [...spec.maps.keys()].filter((name) => !OWN.includes(name));
}

interface TakenUp {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly record: BpfMap;
  readonly tables: ServiceTables;
}

/** All maps in today's shape and a record of what is in them, or null and nothing is held. */
function takeUp(spec: CollectionSpec, left: LeftBehind): TakenUp | null {
  const record = left.map(RECORD);
  if (record === null) return null;
  const names = sharedNames(spec);
  const found = names.flatMap((name) => {
    const map = left.map(pinName(name));
    return map === null ? [] : [[name, map] as const];
  });
  const tables = readRecord(record);
  const fits = found.every(([name, { info }]) => {
    const wanted = spec.maps.get(name);
    return (
      info.type === wanted?.type &&
      info.keyBytes === wanted.keyBytes &&
      info.valueBytes === wanted.valueBytes &&
      info.maxEntries === wanted.maxEntries
    );
  });
  if (tables !== null && found.length === names.length && fits) return { maps: new Map(found), record, tables };
  for (const [, map] of found) map.close();
  record.close();
  return null;
}

function indexKey(index: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(index);
  return bytes;
}
