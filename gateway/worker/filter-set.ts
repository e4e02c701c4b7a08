/**
 * The filters of this worker. One that a new snapshot has unchanged (route, position, plugin, configuration, limits and
 * permissions by name) is taken over as it is, guest and counters included; so a change of one route among thousands
 * instantiates one guest. Filters are counted by the engines that use them and disposed with the last.
 */
import { defined } from "#core/assert.ts";
import type { FetchRequest, FetchResponse, Filter, FilterServices } from "#pipeline/filter.ts";
import type { BucketTable } from "#plugins/bucket-table.ts";
import type { RawConnection } from "#pipeline/connection.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import type { BuiltinServices } from "#plugins/builtin-filter.ts";
import { createBuiltinFilter } from "#plugins/create-filter.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import { fetchUpstream } from "#proxy/fetch.ts";
import { connectUpstream } from "#proxy/raw-connection.ts";
import type { BuiltinFilterSpec } from "#snapshot/builtin-filters.ts";
import type { PluginFilterSpec, PluginSpec, RouteSpec, Snapshot, StreamRouteSpec } from "#snapshot/snapshot.ts";
import { banMapName } from "#snapshot/bans.ts";
import { boottimeNs } from "#sys/clock.ts";
import { CanaryFilter, createWasmFilter, loadModule, streamFilterOf, type WasmFilter } from "#wasm/create-filter.ts";
import type { LoadedModule } from "#wasm/guest/runtime.ts";
import { identityOf } from "./filter-identity.ts";
import { canaryChoice } from "./canary-choice.ts";
import { FileRoots, type FileGrants } from "./file-roots.ts";
import type { MapSet } from "./map-set.ts";
import type { GuestAnswer, ModuleBytes, PurgeOrder } from "./protocol.ts";
import { SecretValues } from "./secret-values.ts";
import { sharedClockOffsetMs } from "./shared-area.ts";
import { Slice } from "./slices.ts";
import type { StreamGuests } from "./stream-filter-set.ts";
import { banPrefix, TenantBans } from "./tenant-bans.ts";
import type { TenantSet } from "./tenants/tenant-set.ts";

/** A route of requests or of streams: filters are told apart by it. */
type OwnedRoute = Pick<RouteSpec, "name" | "tenant">;

interface Held {
  readonly identity: string;
  /** `tenant/name`, for people. */
  readonly route: string;
  readonly filter: Filter;
  /** The same, when a guest is in it: they count. */
  readonly guest: WasmFilter | null;
  /** What it is put together from, and keeps as long as it is there itself. */
  readonly parts: readonly Held[];
  references: number;
}

export interface Chains {
  /** The filters of each route, by number. */
  readonly filters: readonly (readonly Filter[])[];
  readonly streamGuests: readonly StreamGuests[];
  /** The engine's last exchange has ended. */
  readonly release: () => void;
}

export class FilterSet {
  readonly #context: WorkerContext;
  readonly #maps: MapSet;
  readonly #tenants: TenantSet;
  readonly #log: (line: string) => void;
  readonly #modules = new Map<string, LoadedModule>();
  readonly #held = new Map<string, Held>();
  readonly #builtinServices: BuiltinServices;
  /** Chains by route, of the snapshot prepared last: the same route beside the same things has the same chain. */
  #chains = new WeakMap<RouteSpec, readonly Held[]>();
  #beside = "";
  #engine: Engine | null = null;
  readonly #firstEngine = Promise.withResolvers<Engine>();

  /** `shared`: what filters share with others; `limits`: with the workers that serve the same listeners. */
  constructor(
    context: WorkerContext,
    { maps, tenants }: { readonly maps: MapSet; readonly tenants: TenantSet },
    limits: BucketTable,
    log: (line: string) => void,
    files: FileGrants = {},
  ) {
    this.#context = context;
    const offsetMs = sharedClockOffsetMs();
    this.#builtinServices = {
      nowMs: () => context.loop.nowMs,
      sharedMs: () => context.loop.nowMs + offsetMs,
      wallMs: () => performance.timeOrigin + context.loop.nowMs,
      limits,
      map: (name) => this.#maps.get(name),
      fetch: (upstream, request) => this.#fetch(upstream, request),
      files: new FileRoots(files),
      log: (level, filter, message) => log(JSON.stringify({ time: new Date().toISOString(), level, filter, message })),
    };
    this.#maps = maps;
    this.#tenants = tenants;
    this.#log = log;
  }

  /** Compiles, instantiates and configures what is new. `routes`: the snapshot's by number. Rejects with what a plugin said; then nothing is kept. */
  async prepare(
    snapshot: Snapshot,
    routes: readonly RouteSpec[],
    modules: readonly ModuleBytes[],
    secrets: readonly Uint8Array[] = [],
  ): Promise<Chains> {
    const values = new SecretValues(snapshot.secrets ?? [], secrets);
    await this.#compile(modules);
    const beside = placesIn(snapshot);
    const known = beside === this.#beside ? this.#chains : new WeakMap<RouteSpec, readonly Held[]>();
    const taken: Held[] = [];
    try {
      const filters: (readonly Filter[])[] = [];
      const guards = this.#guards(snapshot);
      const slice = new Slice();
      for (const route of routes) {
        const guard = guards.get(route.tenant);
        const chain = route.filters.length === 0 ? NO_FILTERS : this.#again(known.get(route), taken);
        const filtersOf = chain ?? (await this.#chain(snapshot, route, values, taken, known));
        filters.push(guard === undefined ? filtersOf : [guard, ...filtersOf]);
        // What is taken over takes less than asking for the time.
        const isLookedAt = chain === undefined || filters.length % 64 === 0;
        if (isLookedAt && slice.isOver) await slice.next();
      }
      this.#chains = known;
      this.#beside = beside;
      const streamGuests: StreamGuests[] = [];
      for (const route of snapshot.streamRoutes ?? []) {
        const guests = await this.#streamChain(snapshot, route, values, taken);
        streamGuests.push({ guard: guards.get(route.tenant) ?? null, guests });
      }
      return { filters, streamGuests, release: () => this.#release(taken) };
    } catch (error) {
      this.#release(taken);
      throw error;
    }
  }

  /** `engine` is in force: modules that it does not name are forgotten, and filters fetch from its upstreams. */
  commit(engine: Engine): void {
    this.#engine = engine;
    this.#firstEngine.resolve(engine);
    const named = new Set(engine.snapshot.plugins.map((plugin) => plugin.digest));
    for (const digest of this.#modules.keys()) if (!named.has(digest)) this.#modules.delete(digest);
  }

  /** By version of a plugin: `plugin_calls{tenant="acme",plugin="token-check",version="1"}` and the like. */
  counters(): Record<string, number> {
    const all: Record<string, number> = {};
    const add = (name: string, value: number): void => {
      all[name] = (all[name] ?? 0) + value;
    };
    for (const { guest, filter, route } of this.#held.values()) {
      if (guest === null) {
        for (const [name, value] of Object.entries(filter.counters?.() ?? {})) add(`${name}{route="${route}"}`, value);
        continue;
      }
      const { tenant, name, version } = guest.plugin;
      const labels = `{tenant="${tenant}",plugin="${name}",version="${version}"}`;
      const { calls, faults, fuel, skipped, throttled, rests } = guest.stats;
      const counted = { calls, faults, fuel, skipped, throttled, rests };
      for (const [what, value] of Object.entries(counted)) add(`plugin_${what}${labels}`, value);
    }
    return all;
  }

  /** Every filter of a tenant's plugin that listens hears the message; all at once, where they wait to answer it. */
  async tell(tenant: string, plugin: string, message: Uint8Array): Promise<GuestAnswer[]> {
    const told: Promise<GuestAnswer | null>[] = [];
    for (const { guest, route } of this.#held.values()) {
      if (guest === null || guest.plugin.tenant !== tenant || guest.plugin.name !== plugin) continue;
      told.push(answerOf(guest, route, message));
    }
    return (await Promise.all(told)).filter((answer) => answer !== null);
  }

  async #compile(modules: readonly ModuleBytes[]): Promise<void> {
    for (const { digest, bytes } of modules) {
      if (!this.#modules.has(digest)) this.#modules.set(digest, await loadModule(bytes));
    }
  }

  /** A chain that was made before, unless one of its filters has gone meanwhile. */
  #again(chain: readonly Held[] | undefined, taken: Held[]): readonly Filter[] | undefined {
    if (chain === undefined || chain.some((held) => this.#held.get(held.identity) !== held)) return undefined;
    for (const held of chain) {
      held.references++;
      taken.push(held);
    }
    return chain.map(({ filter }) => filter);
  }

  /** Answers how many responses there were. */
  purge({ tenant, route, ...which }: PurgeOrder): number {
    const name = `${tenant}/${route}`;
    let count = 0;
    for (const held of this.#held.values()) if (held.route === name) count += held.filter.purge?.(which) ?? 0;
    return count;
  }

  async #chain(
    snapshot: Snapshot,
    route: RouteSpec,
    secrets: SecretValues,
    taken: Held[],
    known: WeakMap<RouteSpec, readonly Held[]>,
  ): Promise<readonly Filter[]> {
    const chain: Held[] = [];
    for (let position = 0; position < route.filters.length; position++) {
      const spec = secrets.filled(route.tenant, defined(route.filters[position], "filter"));
      const held =
        spec.kind === "builtin"
          ? this.#builtin(route, position, spec)
          : await this.#plugin(snapshot, route, position, spec);
      held.references++;
      taken.push(held);
      chain.push(held);
    }
    known.set(route, chain);
    return chain.map(({ filter }) => filter);
  }

  /** Of tenants whose plugins may ban clients: what stands before all their filters. */
  #guards({ maps }: Snapshot): Map<string, TenantBans> {
    const guards = new Map<string, TenantBans>();
    for (const { tenant, name } of maps) {
      if (tenant !== undefined) guards.set(tenant, new TenantBans(this.#maps.get(name)));
    }
    return guards;
  }

  async #streamChain(
    snapshot: Snapshot,
    route: StreamRouteSpec,
    secrets: SecretValues,
    taken: Held[],
  ): Promise<(StreamFilter | null)[]> {
    const chain: (StreamFilter | null)[] = [];
    for (const [position, declared] of route.filters.entries()) {
      const spec = secrets.filled(route.tenant, declared);
      const held = spec.kind === "plugin" ? await this.#version(snapshot, route, position, spec) : null;
      if (held !== null) {
        held.references++;
        taken.push(held);
      }
      chain.push(held === null || held.guest === null ? null : streamFilterOf(held.guest));
    }
    return chain;
  }

  #builtin(route: RouteSpec, position: number, spec: BuiltinFilterSpec): Held {
    const identity = identityOf([route.tenant, route.name, position, spec.name, spec.config]);
    return (
      this.#held.get(identity) ??
      this.#hold(route, identity, createBuiltinFilter(spec, this.#builtinServices, identity), null)
    );
  }

  async #plugin(snapshot: Snapshot, route: OwnedRoute, position: number, spec: PluginFilterSpec): Promise<Held> {
    const { canary, ...stable } = spec;
    if (canary === undefined) return this.#version(snapshot, route, position, spec);
    const parts: Held[] = [];
    try {
      for (const plugin of [spec.plugin, canary.plugin]) {
        const part = await this.#version(snapshot, route, position, { ...stable, plugin });
        part.references++;
        parts.push(part);
      }
    } catch (error) {
      this.#release(parts);
      throw error;
    }
    const [before, after] = parts.map((part) => defined(part.guest, "guest of a version"));
    const identity = identityOf([canary.percent, canary.key, ...parts.map((part) => part.identity)]);
    const held = this.#held.get(identity);
    if (held === undefined) {
      const filter = new CanaryFilter(defined(before, "version"), defined(after, "canary"), canaryChoice(canary));
      return this.#hold(route, identity, filter, null, parts);
    }
    this.#release(parts);
    return held;
  }

  async #version(snapshot: Snapshot, route: OwnedRoute, position: number, spec: PluginFilterSpec): Promise<Held> {
    const plugin = defined(snapshot.plugins[spec.plugin], "plugin of a filter");
    const identity = identityOf([route.tenant, route.name, position, plugin, ...meaningOf(snapshot, spec)]);
    const held = this.#held.get(identity);
    if (held !== undefined) return held;
    const guest = await this.#guest(snapshot, route, spec, plugin).catch((error: unknown) => {
      // One of a thousand: whose it is comes first.
      const why = error instanceof Error ? error.message : String(error);
      const where = `route ${route.tenant}/${route.name}, filter ${position + 1}, ${plugin.name}@${plugin.version}`;
      throw new Error(`${where}: ${why}`, { cause: error });
    });
    return this.#hold(route, identity, guest, guest);
  }

  #hold(
    { tenant, name }: OwnedRoute,
    identity: string,
    filter: Filter,
    guest: WasmFilter | null,
    parts: readonly Held[] = [],
  ): Held {
    const held: Held = { identity, route: `${tenant}/${name}`, filter, guest, parts, references: 0 };
    this.#held.set(identity, held);
    return held;
  }

  #guest(snapshot: Snapshot, route: OwnedRoute, spec: PluginFilterSpec, plugin: PluginSpec): Promise<WasmFilter> {
    const module = defined(this.#modules.get(plugin.digest), `module of ${plugin.name}@${plugin.version}`);
    return createWasmFilter(spec, plugin, module, this.#services(snapshot, route, plugin), snapshot);
  }

  /** Indices are those of the snapshot the filter was made for; what they name is looked up in the one in force. */
  #services(snapshot: Snapshot, route: OwnedRoute, { tenant, name, version }: PluginSpec): FilterServices {
    const { loop, meters } = this.#context;
    const meter = meters.plugin(tenant, `${name}@${version}`);
    return {
      fetch: (index, request) => this.#fetch(snapshot.upstreams[index]?.name ?? "", request),
      connect: (index, timeoutMs) => this.#connect(snapshot.upstreams[index]?.name ?? "", timeoutMs),
      ban: (prefix, seconds) => banPrefix(this.#maps.get(banMapName(route.tenant)), prefix, seconds),
      every: (periodMs, run) => {
        const timer = setInterval(run, periodMs);
        return () => clearInterval(timer);
      },
      map: (index) => {
        const spec = defined(snapshot.maps[index], "map of a filter");
        return this.#tenants.map(route.tenant, this.#maps.get(spec.name), spec);
      },
      tenant: this.#tenants.account(route.tenant),
      log: (level, filter, message, offset = -1) => {
        this.#tenants.said(route.tenant, { level, route: route.name, plugin: filter, message, offset });
        this.#log(
          JSON.stringify({ time: new Date().toISOString(), level, route: route.name, plugin: filter, message }),
        );
      },
      took: (durationMs) => meter.called(durationMs),
      nowMs: () => performance.timeOrigin + loop.nowMs,
      bootMs: () => Number(boottimeNs() / 1_000_000n),
    };
  }

  /** From the upstream that has this name in the snapshot in force. */
  async #fetch(name: string, request: FetchRequest): Promise<FetchResponse> {
    // A plugin may ask while it is configured, before there is anything in force.
    const engine = this.#engine ?? (await this.#firstEngine.promise);
    const index = engine.upstreams.findIndex((upstream) => upstream.name === name);
    return fetchUpstream(this.#context, engine, index, request);
  }

  #connect(name: string, timeoutMs: number): Promise<RawConnection | string> {
    return connectUpstream(this.#context, defined(this.#engine, "an engine in force"), name, timeoutMs);
  }

  #release(taken: readonly Held[]): void {
    for (const held of taken) {
      held.references--;
      if (held.references > 0) continue;
      this.#held.delete(held.identity);
      held.filter.dispose();
      this.#release(held.parts);
    }
  }
}

const NO_FILTERS: readonly Filter[] = [];

async function answerOf(guest: WasmFilter, route: string, message: Uint8Array): Promise<GuestAnswer | null> {
  const answer = await guest.message(message);
  return answer === null ? null : { route, version: guest.plugin.version, answer };
}

/** All that a filter's identity takes from its snapshot besides its route. */
function placesIn({ plugins, upstreams, maps, secrets }: Snapshot): string {
  return JSON.stringify([plugins, upstreams.map(({ name }) => name), maps, secrets]);
}

/** What a plugin's behaviour depends on beside its module, with names in place of indices. */
function meaningOf(
  snapshot: Snapshot,
  { config, configText, vm, limits, onFault, allow, isolation }: PluginFilterSpec,
): unknown[] {
  const upstreams = allow.upstreams.map((index) => snapshot.upstreams[index]?.name);
  const maps = allow.maps.map((index) => snapshot.maps[index]);
  return [config, configText, vm, limits, onFault, upstreams, maps, allow.keyValue, allow.ban, isolation];
}
