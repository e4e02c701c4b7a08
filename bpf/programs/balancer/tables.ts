/**
 * Which place each service, endpoint and device has in the program's tables. Pure: from the tables in force and a
 * declaration to the next tables. What stays keeps its place and its generation, so its flows stay too; what is new never
 * takes over flows of what was in its place before.
 */
import { bpfError } from "#core/errors/bpf.ts";
import {
  endpointName,
  serviceAddress,
  type ServiceDeclaration,
  type ServiceEndpointDeclaration,
} from "./declaration.ts";
import { DEVICES_MAX, ENDPOINTS_MAX, SERVICES_MAX } from "./layout.ts";

export interface EndpointPlace {
  readonly index: number;
  readonly generation: number;
  /** `10.0.0.1:53` */
  readonly name: string;
  /** As the endpoint sees it: an address, or a prefix. */
  readonly source: string;
  readonly declaration: ServiceEndpointDeclaration;
  readonly healthy: boolean;
}

export interface ServicePlace {
  readonly index: number;
  /** `10.0.0.10:53/udp`: what it is known by; names may change. */
  readonly key: string;
  readonly declaration: ServiceDeclaration;
  readonly endpoints: readonly EndpointPlace[];
}

export interface ServiceTables {
  readonly services: readonly ServicePlace[];
  /** By bit; undefined where nothing is. */
  readonly devices: readonly (string | undefined)[];
  /** The next generation that nobody has had. */
  readonly generation: number;
}

export const NO_SERVICES: ServiceTables = { services: [], devices: [], generation: 1 };

/** The host's own address towards an endpoint. */
export type SourceOf = (endpoint: string) => string;

/** Throws PENSTOCK_BPF_SERVICE: two of one address, more than there is room for. */
export function planServices(
  before: ServiceTables,
  declarations: readonly ServiceDeclaration[],
  sourceOf: SourceOf,
): ServiceTables {
  const known = new Map(before.services.map((service) => [service.key, service]));
  const keys = declarations.map(serviceAddress);
  refuseTwice(keys, "services");
  for (const { endpoints } of declarations) refuseTwice(endpoints.map(endpointName), "endpoints");

  const serviceIndices = new Places("services", SERVICES_MAX, keptIndices(keys, known));
  const endpointIndices = new Places("endpoints", ENDPOINTS_MAX, keptEndpoints(declarations, known, sourceOf));
  let { generation } = before;
  const services = declarations.map((declaration, i): ServicePlace => {
    const key = keys[i] ?? "";
    const old = known.get(key);
    const endpoints = declaration.endpoints.map((endpoint): EndpointPlace => {
      const source = declaration.source ?? sourceOf(endpoint.address);
      const stays = old === undefined ? undefined : sameEndpoint(old, endpoint, source);
      if (stays !== undefined) return { ...stays, declaration: endpoint };
      const name = endpointName(endpoint);
      return {
        index: endpointIndices.take(),
        generation: generation++,
        name,
        source,
        declaration: endpoint,
        healthy: true,
      };
    });
    return { index: old?.index ?? serviceIndices.take(), key, declaration, endpoints };
  });
  return { services, devices: planDevices(before.devices, declarations), generation };
}

/** A dead endpoint loses its flows for good: when it comes back it is another generation. Null: nothing changes. */
export function withHealth(
  tables: ServiceTables,
  service: string,
  endpoint: string,
  healthy: boolean,
): ServiceTables | null {
  const concerns = (each: ServicePlace): boolean => each.declaration.name === service;
  const changes = (each: EndpointPlace): boolean => each.name === endpoint && each.healthy !== healthy;
  if (!tables.services.some((each) => concerns(each) && each.endpoints.some(changes))) return null;
  let { generation } = tables;
  const services = tables.services.map((each) => {
    if (!concerns(each)) return each;
    const endpoints = each.endpoints.map((one) => (changes(one) ? { ...one, healthy, generation: generation++ } : one));
    return { ...each, endpoints };
  });
  return { ...tables, services, generation };
}

/** Whether it gets new flows. */
export function accepts({ declaration, healthy }: EndpointPlace): boolean {
  return healthy && !declaration.drain && declaration.weight > 0;
}

function refuseTwice(keys: readonly string[], what: string): void {
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw bpfError("PENSTOCK_BPF_SERVICE", { detail: `two ${what} of ${twice}` });
}

/** With another source the way back is another one too: then it is a new endpoint. */
function sameEndpoint(
  old: ServicePlace,
  endpoint: ServiceEndpointDeclaration,
  source: string,
): EndpointPlace | undefined {
  const name = endpointName(endpoint);
  return old.endpoints.find((each) => each.name === name && each.source === source);
}

function keptIndices(keys: readonly string[], known: ReadonlyMap<string, ServicePlace>): number[] {
  return keys.flatMap((key) => known.get(key)?.index ?? []);
}

function keptEndpoints(
  declarations: readonly ServiceDeclaration[],
  known: ReadonlyMap<string, ServicePlace>,
  sourceOf: SourceOf,
): number[] {
  return declarations.flatMap((declaration) => {
    const old = known.get(serviceAddress(declaration));
    if (old === undefined) return [];
    return declaration.endpoints.flatMap(
      (each) => sameEndpoint(old, each, declaration.source ?? sourceOf(each.address))?.index ?? [],
    );
  });
}

/** Devices keep their bits as long as any service is on them. */
function planDevices(
  before: readonly (string | undefined)[],
  declarations: readonly ServiceDeclaration[],
): (string | undefined)[] {
  const wanted = new Set(declarations.flatMap(({ devices }) => devices));
  const devices = before.map((device) => (device !== undefined && wanted.has(device) ? device : undefined));
  for (const device of wanted) {
    if (devices.includes(device)) continue;
    const free = devices.indexOf(undefined);
    if (free < 0) devices.push(device);
    else devices[free] = device;
  }
  if (devices.length > DEVICES_MAX) {
    throw bpfError("PENSTOCK_BPF_SERVICE", { detail: `services on more than ${DEVICES_MAX} devices` });
  }
  return devices;
}

/** Indices from 1 on that nobody keeps, lowest first. */
class Places {
  readonly #what: string;
  readonly #end: number;
  readonly #taken: Set<number>;
  #next = 1;

  constructor(what: string, end: number, kept: readonly number[]) {
    this.#what = what;
    this.#end = end;
    this.#taken = new Set(kept);
  }

  take(): number {
    while (this.#taken.has(this.#next)) this.#next++;
    if (this.#next >= this.#end) {
      throw bpfError("PENSTOCK_BPF_SERVICE", { detail: `more than ${this.#end - 1} ${this.#what}` });
    }
    return this.#next++;
  }
}
