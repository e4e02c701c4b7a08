/**
 * The L4 balancer: its tables, and a program for each device that packets of services arrive on. Programs differ in the
 * device's bit only, and are made when the first service comes to it.
 *
 *     plan    checks and counts; changes nothing
 *     put     writes the tables; answers how to undo that
 */
import { Collection } from "#bpf/kernel/collection.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import type { LeftBehind } from "#bpf/manager/feature.ts";
import type { ServiceDeclaration } from "./declaration.ts";
import { BalancerMaps, type EndpointCounters, type ServiceCounters } from "./maps.ts";
import { introduce, sourceTowards } from "./source.ts";
import { NO_SERVICES, planServices, withHealth, type ServiceTables } from "./tables.ts";
import { checkFamilies, deviceBit, endpointValue, stateOf } from "./values.ts";

/** The program of one device. */
export class BalancerProgram {
  readonly bit: bigint;
  readonly #collection: Collection;

  /** Loads and verifies; attaches nothing. `chain`: the device's (kernel/xdp-chain.ts). */
  constructor(maps: BalancerMaps, bit: bigint, chain: BpfMap) {
    this.bit = bit;
    this.#collection = Collection.load(committedSpec("balancer"), {
      maps: { ...maps.replacements, xdp_chain: chain },
      globals: { balancer_config: { device: bit } },
    });
  }

  get program(): Program {
    return this.#collection.program("balancer");
  }

  close(): void {
    this.#collection.close();
  }
}

export interface EndpointStatus {
  /** `10.0.0.1:53` */
  readonly name: string;
  readonly weight: number;
  readonly state: "active" | "draining" | "dead";
  readonly counters: EndpointCounters;
}

export interface ServiceStatus {
  readonly name: string;
  /** `10.0.0.10:53/udp` */
  readonly address: string;
  readonly mode: "dsr" | "nat";
  readonly devices: readonly string[];
  readonly counters: ServiceCounters;
  readonly endpoints: readonly EndpointStatus[];
}

export class Balancer {
  readonly maps: BalancerMaps;
  #tables: ServiceTables;
  /** Tables that somebody else wrote last are written whole. */
  #others: boolean;
  /** By service: packets that found no neighbour when last looked at. */
  readonly #waiting = new Map<string, number>();

  /** `left`: goes on where an earlier process ended. */
  constructor(left?: LeftBehind) {
    this.maps = new BalancerMaps(left);
    this.#tables = this.maps.found;
    this.#others = this.#tables !== NO_SERVICES;
  }

  /** Throws PENSTOCK_BPF_SERVICE; then nothing has changed. */
  plan(declarations: readonly ServiceDeclaration[]): ServiceTables {
    const tables = planServices(this.#tables, declarations, sourceTowards);
    for (const service of tables.services) {
      checkFamilies(service);
      for (const endpoint of service.endpoints) endpointValue(service, endpoint, stateOf(endpoint));
    }
    return tables;
  }

  bitOf(tables: ServiceTables, device: string): bigint {
    return deviceBit(tables.devices, device);
  }

  /** Answers how to undo it. When it throws, it has undone itself. */
  put(tables: ServiceTables): () => void {
    const before = this.#tables;
    // What health checks found out since it was planned stays found out.
    const services = tables.services.map((service) => refreshed(service, before));
    const next = { ...tables, services, generation: Math.max(tables.generation, before.generation) };
    try {
      this.maps.change(before, next, this.#others);
      this.#others = false;
    } catch (error) {
      this.maps.change(next, before);
      throw error;
    }
    this.#tables = next;
    const known = new Set(before.services.flatMap(({ endpoints }) => endpoints.map(({ index }) => index)));
    for (const { endpoints } of next.services)
      for (const each of endpoints) if (!known.has(each.index)) introduce(each.declaration.address);
    return () => {
      this.maps.change(this.#tables, before);
      this.#tables = before;
    };
  }

  /** A successor that has failed wrote tables of its own: ours again. */
  rewrite(): void {
    this.maps.change(this.#tables, this.#tables, true);
  }

  /** A verdict of a health check. False: no such endpoint, or nothing new. */
  setHealth(service: string, endpoint: string, healthy: boolean): boolean {
    const next = withHealth(this.#tables, service, endpoint, healthy);
    if (next === null) return false;
    this.maps.change(this.#tables, next);
    this.#tables = next;
    return true;
  }

  /** About once a second: whose hardware address is not known, and is wanted, is asked for it. */
  keepNeighbours(): void {
    for (const service of this.#tables.services) {
      const { noNeighbour } = this.maps.service(service).reasons;
      if (noNeighbour === (this.#waiting.get(service.key) ?? 0)) continue;
      this.#waiting.set(service.key, noNeighbour);
      for (const { declaration } of service.endpoints) introduce(declaration.address);
    }
  }

  status(): ServiceStatus[] {
    return this.#tables.services.map((service) => ({
      name: service.declaration.name,
      address: service.key,
      mode: service.declaration.mode,
      devices: service.declaration.devices,
      counters: this.maps.service(service),
      endpoints: service.endpoints.map((endpoint) => ({
        name: endpoint.name,
        weight: endpoint.declaration.weight,
        state: (["dead", "active", "draining"] as const)[stateOf(endpoint)] ?? "dead",
        counters: this.maps.endpoint(endpoint),
      })),
    }));
  }

  close(): void {
    this.maps.close();
  }
}

function refreshed(service: ServiceTables["services"][number], before: ServiceTables): typeof service {
  const old = before.services.find(({ key }) => key === service.key);
  const endpoints = service.endpoints.map((endpoint) => {
    const now = old?.endpoints.find(({ index, name }) => index === endpoint.index && name === endpoint.name);
    return now === undefined ? endpoint : { ...endpoint, healthy: now.healthy, generation: now.generation };
  });
  return { ...service, endpoints };
}
