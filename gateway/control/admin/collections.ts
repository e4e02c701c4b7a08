/** The lists of named resources: where REST has them, who may do what, and how a path names an item. */
import type * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { indexOf, keyOf, listOf, type Item, type Kind } from "#control/config/kinds.ts";
import { KernelInterceptor, KernelInterface, KernelTrace } from "#control/config/kernel-devices.ts";
import { KernelBinding } from "#control/config/binding-resources.ts";
import { KernelService } from "#control/config/service-resources.ts";
import { KernelMap, KernelSteering, Listener, Route, Tenant, Upstream } from "#control/config/resources.ts";
import { Secret } from "#control/config/secret-resources.ts";
import { Certificate } from "#control/config/tls-resources.ts";
import type { Declaration } from "#control/config/declaration.ts";
import type { Access } from "./identity.ts";
import type { Call } from "./route.ts";

export interface Collection {
  readonly kind: Kind;
  /** Singular, for summaries and operation ids. */
  readonly noun: string;
  readonly path: string;
  /** The path parameter that names an item. */
  readonly param: string;
  readonly schema: v.GenericSchema;
  readonly reads: Access;
  readonly lists: Access;
  readonly writes: Access;
  /** Fields of an item that its path decides; undefined: that it must not have. */
  fixed(params: Readonly<Record<string, string>>): Item;
}

const operated = { reads: "read", lists: "read", writes: "operator" } as const;
const owned = { reads: "tenant-read", lists: "tenant-read", writes: "tenant-write" } as const;

export const COLLECTIONS: readonly Collection[] = [
  {
    kind: "listeners",
    noun: "listener",
    path: "/v1/listeners",
    param: "name",
    schema: Listener,
    ...operated,
    fixed: byName,
  },
  {
    kind: "certificates",
    noun: "certificate",
    path: "/v1/certificates",
    param: "name",
    schema: Certificate,
    ...operated,
    fixed: ({ name = "" }) => ({ name, tenant: undefined }),
  },
  {
    kind: "certificates",
    noun: "tenant certificate",
    path: "/v1/tenants/{tenant}/certificates",
    param: "name",
    schema: Certificate,
    ...owned,
    fixed: byTenant,
  },
  {
    kind: "upstreams",
    noun: "upstream",
    path: "/v1/upstreams",
    param: "name",
    schema: Upstream,
    ...operated,
    fixed: ({ name = "" }) => ({ name, tenant: undefined }),
  },
  {
    kind: "upstreams",
    noun: "tenant upstream",
    path: "/v1/tenants/{tenant}/upstreams",
    param: "name",
    schema: Upstream,
    ...owned,
    fixed: byTenant,
  },
  {
    kind: "tenants",
    noun: "tenant",
    path: "/v1/tenants",
    param: "tenant",
    schema: Tenant,
    ...operated,
    reads: "tenant-read",
    fixed: ({ tenant = "" }) => ({ name: tenant }),
  },
  {
    kind: "routes",
    noun: "route",
    path: "/v1/tenants/{tenant}/routes",
    param: "name",
    schema: Route,
    ...owned,
    fixed: byTenant,
  },
  {
    kind: "secrets",
    noun: "secret",
    path: "/v1/tenants/{tenant}/secrets",
    param: "name",
    schema: Secret,
    ...owned,
    fixed: byTenant,
  },
  {
    kind: "kernel/maps",
    noun: "map",
    path: "/v1/kernel/maps",
    param: "name",
    schema: KernelMap,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/interfaces",
    noun: "interface",
    path: "/v1/kernel/interfaces",
    param: "device",
    schema: KernelInterface,
    ...operated,
    fixed: ({ device = "" }) => ({ device }),
  },
  {
    kind: "kernel/steering",
    noun: "steering",
    path: "/v1/kernel/steering",
    param: "name",
    schema: KernelSteering,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/interceptors",
    noun: "interceptor",
    path: "/v1/kernel/interceptors",
    param: "name",
    schema: KernelInterceptor,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/services",
    noun: "service",
    path: "/v1/kernel/services",
    param: "name",
    schema: KernelService,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/bindings",
    noun: "binding",
    path: "/v1/kernel/bindings",
    param: "name",
    schema: KernelBinding,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/traces",
    noun: "trace",
    path: "/v1/kernel/traces",
    param: "listener",
    schema: KernelTrace,
    ...operated,
    fixed: ({ listener = "" }) => ({ listener }),
  },
];

function byName({ name = "" }: Readonly<Record<string, string>>): Item {
  return { name };
}

function byTenant({ tenant = "", name = "" }: Readonly<Record<string, string>>): Item {
  return { tenant, name };
}

/** True of what tenants change themselves. */
export function isOwned({ writes }: Collection): boolean {
  return writes === "tenant-write";
}

/** The items that are in this collection: of two collections of one kind, each has its own. */
export function itemsOf(collection: Collection, params: Call["params"], declaration: Declaration): readonly Item[] {
  const items = listOf(declaration, collection.kind);
  const fixed = collection.fixed(params);
  return "tenant" in fixed ? items.filter((item) => item["tenant"] === fixed["tenant"]) : items;
}

export function find(collection: Collection, { params }: Call, declaration: Declaration): Item | undefined {
  const { kind } = collection;
  return listOf(declaration, kind)[indexOf(declaration, kind, keyOf(kind, collection.fixed(params)))];
}

export function notFound({ noun, kind, fixed }: Collection, { params }: Call): Error {
  return controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no ${noun} "${keyOf(kind, fixed(params))}"` });
}
