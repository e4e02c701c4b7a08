/**
 * Declaration in, snapshot out: names become indices, defaults are filled in, split and single upstream become one form.
 * A pure function: the same declaration, ages and modules always give the same digest. The declaration was checked, so
 * every reference resolves; one that doesn't is our bug.
 */
import { defined } from "#core/assert.ts";
import type { BuiltinFilterSpec } from "#snapshot/builtin-filters.ts";
import type { KernelSpec } from "#snapshot/kernel.ts";
import type {
  CanarySpec,
  FilterSpec,
  ListenerProtocol,
  ListenerSpec,
  PluginSpec,
  RouteAction,
  RouteMatch,
  RouteSpec,
  Snapshot,
  StreamFilterSpec,
  StreamRouteSpec,
} from "#snapshot/snapshot.ts";
import { compileCertificate, compileListenerTls, compileUpstreamTls, type SealedKeys } from "./compile-tls.ts";
import { banMaps } from "./compile-bans.ts";
import { compileSecrets, type SealedSecrets } from "./compile-secrets.ts";
import { compileUpstream } from "./compile-upstream.ts";
import { digestOf } from "./canonical.ts";
import type { FilterResource, Resolved, RouteResource } from "./config/declaration.ts";
import { compileBindings } from "./config/kernel-bindings.ts";
import { compileInterceptors, compileInterface, compileTraces } from "./config/kernel-interfaces.ts";
import { compileServices } from "./config/kernel-services.ts";
import { compileMap } from "./config/kernel-maps.ts";
import { streamListenerParts } from "./config/stream-listener.ts";
import { runningQuotas } from "./config/tenant-quotas.ts";
import { resolvedConfig } from "./config/builtin/names.ts";
import { compilePluginConfig } from "./config/plugin-config.ts";
import { keyOf, routeKey } from "./config/kinds.ts";
import type { KnownSpecs } from "./known-specs.ts";

const FOREIGN_ABI = /^(proxy|http)-wasm /;
/** And components: Rust's toolchain begins with a stack of 1 MiB, Go's with more, JavaScript with its engine. */
const ROOMY_ABI = /^(proxy-wasm|http-wasm|penstock:plugin) /;
const MEMORY_BYTES = 2 ** 20;
const ROOMY_MEMORY_BYTES = 16 * 2 ** 20;

export interface CompileContext {
  readonly revision: number;
  /** Routes as `tenant/name`, oldest first: the order they were first declared in, over all revisions. */
  readonly ages: readonly string[];
  /** The metered module that was made of the uploaded one. */
  meteredDigest(digest: string): string;
  /** Which interface the uploaded module speaks, `penstock 1`; absent: that one. */
  abiOf?(digest: string): string;
  /** The sealed private key of a certificate; without certificates nobody asks. */
  readonly sealedKey?: SealedKeys;
  /** The sealed value of a secret; without references to secrets nobody asks. */
  readonly sealedSecret?: SealedSecrets;
  /** Left out: everything is compiled anew. */
  readonly knownSpecs?: KnownSpecs;
}

export function compile(declared: Resolved, context: CompileContext): Snapshot {
  const tables: Tables = {
    listeners: indexed(declared.listeners, (one) => one.name),
    protocols: declared.listeners.map((one) => one.protocol),
    upstreams: indexed(declared.upstreams, (one) => keyOf("upstreams", one)),
    maps: indexed(declared.kernel.maps, (one) => one.name),
    plugins: indexed(declared.plugins, (one) => `${one.tenant}/${one.name}@${one.version}`),
    pluginAbis: declared.plugins.map((one) => context.abiOf?.(one.digest ?? "") ?? ""),
    tenants: new Map(declared.tenants.map((one) => [one.name, one.hosts])),
    ages: agesIndexed(context.ages),
    settings: declared.settings,
  };
  context.knownSpecs?.beside(declared);
  const routeOf = (one: RouteResource): RouteSpec => {
    const orderOf = () => at(tables.ages, routeKey(one));
    const make = () => compileRoute(one, orderOf(), tables);
    return context.knownSpecs?.route(one, context.ages, orderOf, make) ?? make();
  };
  const onlyHttp = tables.protocols.every((one) => one === "http");
  const [streams, requests] = onlyHttp ? [[], declared.routes] : byProtocol(declared.routes, tables);
  const streamRoutes = streams.map((one) => compileStreamRoute(one, tables));
  const content = {
    listeners: declared.listeners.map((one): ListenerSpec => ({
      name: one.name,
      address: one.address,
      protocol: one.protocol,
      transparent: one.transparent,
      ...streamListenerParts(one),
      ...compileListenerTls(one, declared),
    })),
    // Names unique among all: `api`, and a tenant's own `acme/api`.
    upstreams: declared.upstreams.map((one) => {
      const make = () => ({ ...compileUpstream(one, keyOf("upstreams", one)), ...compileUpstreamTls(one, declared) });
      return context.knownSpecs?.upstream(one, make) ?? make();
    }),
    ...compileCertificates(declared, context),
    ...compileSecrets(declared, context.sealedSecret),
    plugins: declared.plugins.map((one): PluginSpec => ({
      name: one.name,
      tenant: one.tenant,
      version: one.version,
      digest: context.meteredDigest(defined(one.digest, "digest of a checked plugin")),
    })),
    tenants: declared.tenants.map(({ name, quotas }) => ({ name, quotas: runningQuotas(quotas) })),
    routes: requests.map(routeOf),
    ...(streamRoutes.length === 0 ? {} : { streamRoutes }),
    maps: [...declared.kernel.maps.map(compileMap), ...banMaps(declared.routes)],
    kernel: compileKernel(declared, tables),
    settings: { ...declared.settings },
  };
  return { revision: context.revision, digest: digestOf(content), ...content };
}

interface Tables {
  readonly listeners: ReadonlyMap<string, number>;
  /** Of each listener. */
  readonly protocols: readonly ListenerProtocol[];
  readonly upstreams: ReadonlyMap<string, number>;
  readonly maps: ReadonlyMap<string, number>;
  readonly plugins: ReadonlyMap<string, number>;
  /** Of each plugin, whether it was made for another gateway. */
  /** By a plugin's index. */
  readonly pluginAbis: readonly string[];
  /** Hosts by tenant: what a route without hosts serves. */
  readonly tenants: ReadonlyMap<string, readonly string[]>;
  readonly ages: ReadonlyMap<string, number>;
  readonly settings: Resolved["settings"];
}

function indexed<T>(values: readonly T[], key: (value: T) => string): Map<string, number> {
  return new Map(values.map((value, index) => [key(value), index]));
}

const AGES = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** Remembered: most changes leave all ages as they are. */
function agesIndexed(ages: readonly string[]): ReadonlyMap<string, number> {
  const table = AGES.get(ages) ?? indexed(ages, (route) => route);
  AGES.set(ages, table);
  return table;
}

function at(table: ReadonlyMap<string, number>, key: string): number {
  return defined(table.get(key), `"${key}" of a checked declaration`);
}

/** A snapshot without certificates says nothing of them. */
function compileCertificates(declared: Resolved, { sealedKey }: CompileContext): Pick<Snapshot, "certificates"> {
  if (declared.certificates.length === 0) return {};
  const sealed = defined(sealedKey, "keys of declared certificates");
  return { certificates: declared.certificates.map((one) => compileCertificate(one, sealed)) };
}

function compileRoute(route: RouteResource, order: number, tables: Tables): RouteSpec {
  return {
    name: route.name,
    tenant: route.tenant,
    listeners: listenersOf(route, tables),
    match: compileMatch(route, tables),
    filters: route.filters.map((filter) => compileFilter(filter, route.tenant, tables)),
    action: compileAction(route, tables),
    order,
    ...(route.connect === undefined ? {} : { connect: route.connect }),
    ...bounds(route, tables.settings),
  };
}

/** A route's own, or the settings'; what is 0 is left out. */
function bounds(route: RouteResource, settings: Resolved["settings"]): Partial<RouteSpec> {
  const bodyBytesMax = route.bodyBytesMax ?? settings.bodyBytesMax;
  const requestTimeoutMs = route.timeouts?.requestMs ?? settings.requestTimeoutMs;
  return {
    ...(bodyBytesMax === 0 ? {} : { bodyBytesMax }),
    ...(requestTimeoutMs === 0 ? {} : { requestTimeoutMs }),
  };
}

/** Left out: all that speak HTTP. */
function listenersOf(route: RouteResource, tables: Tables): number[] {
  if (route.listeners !== undefined) return route.listeners.map((name) => at(tables.listeners, name));
  return [...tables.protocols.keys()].filter((index) => tables.protocols[index] === "http");
}

/** Routes of streams, and of requests. */
function byProtocol(routes: readonly RouteResource[], tables: Tables): [RouteResource[], RouteResource[]] {
  return [routes.filter((one) => isStreamRoute(one, tables)), routes.filter((one) => !isStreamRoute(one, tables))];
}

/** A checked route's listeners are of one protocol. */
function isStreamRoute(route: RouteResource, tables: Tables): boolean {
  const [first] = route.listeners ?? [];
  return first !== undefined && tables.protocols[at(tables.listeners, first)] !== "http";
}

function compileStreamRoute(route: RouteResource, tables: Tables): StreamRouteSpec {
  const listeners = listenersOf(route, tables);
  const passesThrough = listeners.some((index) => tables.protocols[index] === "tls-passthrough");
  return {
    name: route.name,
    tenant: route.tenant,
    listeners,
    match: {
      serverNames: passesThrough || route.match.hosts !== undefined ? compileHosts(route, tables) : [],
      sources: [...route.match.sources],
      destinations: route.match.destinations.map(({ prefix, port }) => ({ prefix: prefix ?? "", port: port ?? 0 })),
    },
    // The schemas are paired with their names as the snapshot's types are, and others were refused.
    filters: route.filters.map((filter) => compileFilter(filter, route.tenant, tables) as StreamFilterSpec),
    action: compileAction(route, tables),
    order: at(tables.ages, routeKey(route)),
  };
}

function compileMatch(route: RouteResource, tables: Tables): RouteMatch {
  const { path } = route.match;
  return {
    hosts: compileHosts(route, tables),
    path:
      path?.exact === undefined ? { kind: "prefix", value: path?.prefix ?? "/" } : { kind: "exact", value: path.exact },
    methods: [...route.match.methods],
    headers: Object.entries(route.match.headers)
      .map(([name, value]) => ({ name, value }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...(route.match.ports === undefined ? {} : { ports: [...route.match.ports] }),
  };
}

/** The snapshot's empty list is every host; a tenant without hosts gets none, which no host can match. */
function compileHosts(route: RouteResource, tables: Tables): string[] {
  const hosts = route.match.hosts ?? defined(tables.tenants.get(route.tenant), `tenant "${route.tenant}"`);
  return hosts.includes("*") ? [] : hosts.length === 0 ? [NO_HOST] : [...hosts];
}

/** RFC 6761, 6.4: never exists. */
const NO_HOST = "invalid";

function compileFilter(filter: FilterResource, tenant: string, tables: Tables): FilterSpec {
  // The schemas are paired with their names as the snapshot's types are.
  if ("builtin" in filter) {
    const config = resolvedConfig(filter, (name) => upstreamNameOf(name, tenant, tables));
    return { kind: "builtin", name: filter.builtin, config } as BuiltinFilterSpec;
  }
  const plugin = at(tables.plugins, `${tenant}/${filter.plugin}`);
  const abi = tables.pluginAbis[plugin] ?? "";
  const foreign = FOREIGN_ABI.test(abi);
  return {
    kind: "plugin",
    plugin,
    ...compilePluginConfig(filter.config, filter.vm, foreign),
    limits: {
      ...filter.limits,
      memoryBytes: filter.limits.memoryBytes ?? (ROOMY_ABI.test(abi) ? ROOMY_MEMORY_BYTES : MEMORY_BYTES),
    },
    onFault: filter.onFault,
    ...compileCanary(filter, tenant, tables),
    ...(filter.isolation === "request" ? { isolation: "request" } : {}),
    allow: {
      upstreams: filter.allow.upstreams.map((name) => upstreamOf(name, tenant, tables)),
      maps: filter.allow.maps.map((name) => at(tables.maps, name)),
      ...(filter.allow.keyValue ? { keyValue: true } : {}),
      ...(filter.allow.ban ? { ban: true } : {}),
    },
  };
}

function compileCanary(
  { plugin, canary }: Extract<FilterResource, { plugin: string }>,
  tenant: string,
  { plugins }: Tables,
): { canary?: CanarySpec } {
  if (canary === undefined) return {};
  const { version, percent, key } = canary;
  const name = plugin.slice(0, plugin.indexOf("@"));
  return { canary: { plugin: at(plugins, `${tenant}/${name}@${version}`), percent, key } };
}

function compileAction(route: RouteResource, tables: Tables): RouteAction {
  if (route.upstream === "original") return { kind: "original" };
  const parts = route.split ?? [{ upstream: defined(route.upstream, "upstream of a checked route"), weight: 1 }];
  return {
    kind: "upstream",
    split: parts.map(({ upstream, weight }) => ({ upstream: upstreamOf(upstream, route.tenant, tables), weight })),
    ...(route.stickiness === undefined ? {} : { stickiness: { ...route.stickiness } }),
  };
}

/** What a tenant's route calls by this name: the tenant's own comes first. */
function upstreamOf(name: string, tenant: string, { upstreams }: Tables): number {
  return upstreams.get(`${tenant}/${name}`) ?? at(upstreams, name);
}

/** The same as the snapshot names it: for what outlives a snapshot, where indices don't. */
function upstreamNameOf(name: string, tenant: string, { upstreams }: Tables): string {
  const own = `${tenant}/${name}`;
  return upstreams.has(own) ? own : name;
}

function compileKernel(declared: Resolved, tables: Tables): KernelSpec {
  return {
    interfaces: declared.kernel.interfaces.map((one) => compileInterface(one, (name) => at(tables.maps, name))),
    steering: declared.kernel.steering.map((one) => {
      const listener = at(tables.listeners, one.listener);
      return {
        cgroup: one.cgroup,
        ports: [...one.ports],
        listener,
        leaseMs: one.leaseMs,
        ...(declared.listeners[listener]?.protocol === "udp" ? { protocol: "udp" as const } : {}),
        ...(one.confirmMs === undefined ? {} : { confirmMs: one.confirmMs }),
      };
    }),
    ...compileInterceptors(declared.kernel.interceptors, (name) => at(tables.listeners, name)),
    ...(declared.listeners.some(({ splice }) => splice === "sockmap") ? { splice: true as const } : {}),
    ...compileServices(declared.kernel.services, declared.kernel.interfaces),
    ...compileTraces(declared.kernel.traces, (name) => at(tables.listeners, name)),
    ...compileBindings(declared.kernel.bindings, (name) => {
      const index = at(tables.listeners, name);
      return { index, protocol: declared.listeners[index]?.protocol ?? "tcp" };
    }),
  };
}

/**
 * Ages after a change: routes that are still there keep theirs, new ones follow in the order they are declared in. The
 * place of one that went stays empty, so that nobody else's age changes, until such places are the greater part.
 */
export function agesAfter(
  before: readonly string[],
  routes: readonly { readonly tenant: string; readonly name: string }[],
): string[] {
  const now = new Set(routes.map(routeKey));
  const kept = before.map((route) => (now.delete(route) ? route : ""));
  const empty = kept.filter((route) => route === "").length;
  return [...(2 * empty > kept.length ? kept.filter((route) => route !== "") : kept), ...now];
}
