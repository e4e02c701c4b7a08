/**
 * What of a declaration can be understood, however much of it is wrong: each entry that has the right types, with its
 * place, and every name that occurs, also of entries that don't. So one pass finds all errors, and a mistake in a
 * listener isn't reported again by each route that names it.
 */
import * as v from "valibot";
import { expectedFields, isRecord, rememberedBy, rememberedList } from "./fields.ts";
import { keyOf } from "./kinds.ts";
import { Secret, type SecretResource } from "./secret-resources.ts";
import { Certificate } from "./tls-resources.ts";
import {
  KernelInterceptor,
  KernelInterface,
  KernelTrace,
  type InterceptorResource,
  type InterfaceResource,
  type TraceResource,
} from "./kernel-devices.ts";
import { KernelBinding, type BindingResource } from "./binding-resources.ts";
import { KernelService, type ServiceResource } from "./service-resources.ts";
import type {
  CertificateResource,
  ListenerResource,
  MapResource,
  PluginResource,
  Resolved,
  RouteResource,
  TenantResource,
  UpstreamResource,
} from "./declaration.ts";
import { KernelMap, KernelSteering, Listener, Plugin, Route, Tenant, Upstream } from "./resources.ts";

export interface Entry<T> {
  /** JSON pointer of the entry. */
  readonly pointer: string;
  readonly value: T;
}

export interface Draft {
  readonly listeners: readonly Entry<ListenerResource>[];
  readonly certificates: readonly Entry<CertificateResource>[];
  readonly upstreams: readonly Entry<UpstreamResource>[];
  readonly tenants: readonly Entry<TenantResource>[];
  readonly secrets: readonly Entry<SecretResource>[];
  readonly plugins: readonly Entry<PluginResource>[];
  readonly routes: readonly Entry<RouteResource>[];
  /** Those of them that are not known to go with all the rest (`verified.ts`); all, to begin with. */
  readonly suspects: readonly Entry<RouteResource>[];
  readonly maps: readonly Entry<MapResource>[];
  readonly interfaces: readonly Entry<InterfaceResource>[];
  readonly steering: readonly Entry<Resolved["kernel"]["steering"][number]>[];
  readonly interceptors: readonly Entry<InterceptorResource>[];
  readonly services: readonly Entry<ServiceResource>[];
  readonly bindings: readonly Entry<BindingResource>[];
  readonly traces: readonly Entry<TraceResource>[];
  readonly names: {
    readonly listeners: ReadonlySet<string>;
    /** `site`, and a tenant's: `acme/site`. */
    readonly certificates: ReadonlySet<string>;
    /** The gateway's own. */
    readonly upstreams: ReadonlySet<string>;
    /** Of each tenant. */
    readonly upstreamsOf: ReadonlyMap<string, ReadonlySet<string>>;
    readonly tenants: ReadonlySet<string>;
    readonly maps: ReadonlySet<string>;
    /** `tenant/name@version`. */
    readonly plugins: ReadonlySet<string>;
  };
}

export function draftOf(input: unknown): Draft {
  const root = isRecord(input) ? input : {};
  const kernel = isRecord(root["kernel"]) ? root["kernel"] : {};
  const routes = entries(Route, root["routes"], "/routes");
  return {
    listeners: entries(Listener, root["listeners"], "/listeners"),
    certificates: entries(Certificate, root["certificates"], "/certificates"),
    upstreams: entries(Upstream, root["upstreams"], "/upstreams"),
    tenants: entries(Tenant, root["tenants"], "/tenants"),
    secrets: entries(Secret, root["secrets"], "/secrets"),
    plugins: entries(Plugin, root["plugins"], "/plugins"),
    routes,
    suspects: routes,
    maps: entries(KernelMap, kernel["maps"], "/kernel/maps"),
    interfaces: entries(KernelInterface, kernel["interfaces"], "/kernel/interfaces"),
    steering: entries(KernelSteering, kernel["steering"], "/kernel/steering"),
    interceptors: entries(KernelInterceptor, kernel["interceptors"], "/kernel/interceptors"),
    services: entries(KernelService, kernel["services"], "/kernel/services"),
    bindings: entries(KernelBinding, kernel["bindings"], "/kernel/bindings"),
    traces: entries(KernelTrace, kernel["traces"], "/kernel/traces"),
    names: {
      listeners: namesIn(root["listeners"]),
      certificates: certificatesIn(root["certificates"]),
      upstreams: namesIn(root["upstreams"], (one) => one["tenant"] === undefined),
      upstreamsOf: upstreamsOf(root["upstreams"]),
      tenants: namesIn(root["tenants"]),
      maps: namesIn(kernel["maps"]),
      plugins: pluginsIn(root["plugins"]),
    },
  };
}

/** Pointers are asked for where something is wrong. */
class ListEntry<T> implements Entry<T> {
  readonly value: T;
  readonly #list: string;
  readonly #index: number;

  constructor(list: string, index: number, value: T) {
    this.value = value;
    this.#list = list;
    this.#index = index;
  }

  get pointer(): string {
    return `${this.#list}/${this.#index}`;
  }
}

function entries<T extends v.GenericSchema>(schema: T, input: unknown, pointer: string): Entry<v.InferOutput<T>>[] {
  if (!Array.isArray(input)) return [];
  const good = rememberedList(schema, input) as readonly v.InferOutput<T>[] | undefined;
  if (good !== undefined) return good.map((value, index) => new ListEntry(pointer, index, value));
  const understood: Entry<v.InferOutput<T>>[] = [];
  for (const [index, element] of input.entries()) {
    const known = rememberedBy(schema, element);
    const result =
      known === undefined
        ? v.safeParse(schema, expectedFields(schema, element))
        : { typed: true as const, output: known as v.InferOutput<T> };
    if (result.typed) understood.push(new ListEntry(pointer, index, result.output));
  }
  return understood;
}

function namesIn(input: unknown, counts: (element: Readonly<Record<string, unknown>>) => boolean = () => true) {
  const names = new Set<string>();
  if (!Array.isArray(input)) return names;
  for (const element of input) {
    if (isRecord(element) && typeof element["name"] === "string" && counts(element)) names.add(element["name"]);
  }
  return names;
}

function certificatesIn(input: unknown): Set<string> {
  const records = (Array.isArray(input) ? input : []).filter(isRecord);
  return new Set(records.map((one) => keyOf("certificates", one)));
}

function upstreamsOf(input: unknown): Map<string, Set<string>> {
  const tenants = new Set<string>();
  for (const element of Array.isArray(input) ? input : []) {
    if (isRecord(element) && typeof element["tenant"] === "string") tenants.add(element["tenant"]);
  }
  return new Map([...tenants].map((tenant) => [tenant, namesIn(input, (one) => one["tenant"] === tenant)]));
}

/** What routes of a tenant may call an upstream: its own names, and the gateway's. An own one hides the gateway's of that name. */
export function upstreamsFor({ names }: Draft, tenant: string): ReadonlySet<string> {
  const own = names.upstreamsOf.get(tenant);
  if (own === undefined) return names.upstreams;
  const unions = UNIONS.get(names) ?? new Map<string, ReadonlySet<string>>();
  UNIONS.set(names, unions);
  const known = unions.get(tenant) ?? names.upstreams.union(own);
  unions.set(tenant, known);
  return known;
}

/** Asked for by each of a tenant's routes, made once a draft. */
const UNIONS = new WeakMap<Draft["names"], Map<string, ReadonlySet<string>>>();

function pluginsIn(input: unknown): Set<string> {
  const plugins = new Set<string>();
  if (!Array.isArray(input)) return plugins;
  for (const element of input) {
    if (isRecord(element))
      plugins.add(`${String(element["tenant"])}/${String(element["name"])}@${String(element["version"])}`);
  }
  return plugins;
}
