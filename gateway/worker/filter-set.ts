/**
 * The filters of this worker. One that a new snapshot has unchanged (route, position, plugin, configuration, limits and
 * permissions by name) is taken over as it is, guest and counters included; so a change of one route among thousands
 * instantiates one guest. Filters are counted by the engines that use them and disposed with the last.
 */
import { createHash } from "node:crypto";
import { defined } from "#core/assert.ts";
import type { Filter, FilterServices } from "#pipeline/filter.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import { fetchUpstream } from "#proxy/fetch.ts";
import type { FilterSpec, PluginSpec, RouteSpec, Snapshot } from "#snapshot/snapshot.ts";
import { boottimeNs } from "#sys/clock.ts";
import { compileModule, createWasmFilter, type WasmFilter } from "#wasm/create-filter.ts";
import type { MapSet } from "./map-set.ts";
import type { ModuleBytes, PrepareMessage } from "./protocol.ts";

interface Held {
  readonly identity: string;
  readonly filter: WasmFilter;
  references: number;
}

export interface Chains {
  /** The filters of each route of the snapshot, in order. */
  readonly filters: readonly (readonly Filter[])[];
  /** The engine's last exchange has ended. */
  readonly release: () => void;
}

export class FilterSet {
  readonly #context: WorkerContext;
  readonly #maps: MapSet;
  readonly #log: (line: string) => void;
  readonly #modules = new Map<string, WebAssembly.Module>();
  readonly #held = new Map<string, Held>();
  #engine: Engine | null = null;

  constructor(context: WorkerContext, maps: MapSet, log: (line: string) => void) {
    this.#context = context;
    this.#maps = maps;
    this.#log = log;
  }

  /** Compiles, instantiates and configures what is new. Rejects with what a plugin said; then nothing is kept. */
  async prepare(message: PrepareMessage): Promise<Chains> {
    await this.#compile(message.modules);
    const { snapshot } = message;
    const taken: Held[] = [];
    try {
      const filters: Filter[][] = [];
      for (const route of snapshot.routes) filters.push(await this.#chain(snapshot, route, taken));
      return { filters, release: () => this.#release(taken) };
    } catch (error) {
      this.#release(taken);
      throw error;
    }
  }

  /** `engine` is in force: modules that it does not name are forgotten, and filters fetch from its upstreams. */
  commit(engine: Engine): void {
    this.#engine = engine;
    const named = new Set(engine.snapshot.plugins.map((plugin) => plugin.digest));
    for (const digest of this.#modules.keys()) if (!named.has(digest)) this.#modules.delete(digest);
  }

  /** By plugin: `plugin_calls{token-check@1}` and the like. */
  counters(): Record<string, number> {
    const all: Record<string, number> = {};
    const add = (name: string, value: number): void => {
      all[name] = (all[name] ?? 0) + value;
    };
    for (const { filter } of this.#held.values()) {
      const { calls, faults, fuel, skipped } = filter.stats;
      add(`plugin_calls{${filter.name}}`, calls);
      add(`plugin_faults{${filter.name}}`, faults);
      add(`plugin_fuel{${filter.name}}`, fuel);
      add(`plugin_skipped{${filter.name}}`, skipped);
    }
    return all;
  }

  async #compile(modules: readonly ModuleBytes[]): Promise<void> {
    for (const { digest, bytes } of modules) {
      if (!this.#modules.has(digest)) this.#modules.set(digest, await compileModule(bytes));
    }
  }

  async #chain(snapshot: Snapshot, route: RouteSpec, taken: Held[]): Promise<Filter[]> {
    const chain: Filter[] = [];
    for (let position = 0; position < route.filters.length; position++) {
      const spec = defined(route.filters[position], "filter");
      const plugin = defined(snapshot.plugins[spec.plugin], "plugin of a filter");
      const identity = identityOf(snapshot, route, position, spec, plugin);
      const held = this.#held.get(identity) ?? (await this.#make(snapshot, route, spec, plugin, identity));
      held.references++;
      taken.push(held);
      chain.push(held.filter);
    }
    return chain;
  }

  async #make(
    snapshot: Snapshot,
    route: RouteSpec,
    spec: FilterSpec,
    plugin: PluginSpec,
    identity: string,
  ): Promise<Held> {
    const module = defined(this.#modules.get(plugin.digest), `module of ${plugin.name}@${plugin.version}`);
    const filter = await createWasmFilter(spec, plugin, module, this.#services(snapshot, route), snapshot);
    const held: Held = { identity, filter, references: 0 };
    this.#held.set(identity, held);
    return held;
  }

  /** Indices are those of the snapshot the filter was made for; what they name is looked up in the one in force. */
  #services(snapshot: Snapshot, route: RouteSpec): FilterServices {
    const { loop } = this.#context;
    return {
      fetch: (index, request) => {
        const engine = defined(this.#engine, "an engine in force");
        const name = snapshot.upstreams[index]?.name;
        return fetchUpstream(
          this.#context,
          engine,
          engine.upstreams.findIndex((upstream) => upstream.name === name),
          request,
        );
      },
      map: (index) => this.#maps.get(defined(snapshot.maps[index], "map of a filter").name),
      log: (level, filter, message) => {
        this.#log(
          JSON.stringify({ time: new Date().toISOString(), level, route: route.name, plugin: filter, message }),
        );
      },
      nowMs: () => performance.timeOrigin + loop.nowMs,
      bootMs: () => Number(boottimeNs() / 1_000_000n),
    };
  }

  #release(taken: readonly Held[]): void {
    for (const held of taken) {
      held.references--;
      if (held.references > 0) continue;
      this.#held.delete(held.identity);
      held.filter.dispose();
    }
  }
}

/** Everything a filter's behaviour depends on, with names in place of indices. */
function identityOf(
  snapshot: Snapshot,
  route: RouteSpec,
  position: number,
  spec: FilterSpec,
  plugin: PluginSpec,
): string {
  const allowed = [
    spec.allow.upstreams.map((index) => snapshot.upstreams[index]?.name),
    spec.allow.maps.map((index) => snapshot.maps[index]),
  ];
  const all = [route.tenant, route.name, position, plugin, spec.config, spec.limits, spec.onFault, allowed];
  return createHash("sha256").update(JSON.stringify(all)).digest("base64");
}
