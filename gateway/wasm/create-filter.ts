/**
 * From a snapshot's filter to one that runs. Lifecycle: created while a snapshot is prepared (instantiate, configure,
 * warm up), put into force with it, disposed when its last exchange has ended.
 */
import { PenstockError } from "#core/errors.ts";
import { wasmError } from "#core/errors/wasm.ts";
import type { FilterServices } from "#pipeline/filter.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import type { PluginFilterSpec, PluginSpec } from "#snapshot/snapshot.ts";
import { type FilterResources, GuestEnvironment } from "./guest/environment.ts";
import { PHASE_DEAD, PHASE_REQUEST } from "./guest/phases.ts";
import { instantiateGuest } from "./guest/instantiate.ts";
import { type Interposer, type LoadedModule, suppress } from "./guest/runtime.ts";
import { HttpWasmFilter } from "./http-wasm/filter.ts";
import { ProxyWasmFilter } from "./proxy-wasm/filter.ts";
import { ProxyWasmStreams } from "./proxy-wasm/tcp-filter.ts";
import { PlainFilter } from "./filter/plain-filter.ts";
import { SuspendingFilter } from "./filter/suspending-filter.ts";
import { HookFilter } from "./filter/hook-filter.ts";
import { StreamGuestFilter } from "./filter/stream-guest-filter.ts";
import type { WasmFilter } from "./filter/wasm-filter.ts";

export type { FilterResources } from "./guest/environment.ts";
export { loadModule } from "./load.ts";
export { CanaryFilter } from "./filter/canary-filter.ts";
export type { WasmFilter } from "./filter/wasm-filter.ts";

/** Hooks are run so often before the first request, with all host calls suppressed. */
const WARM_UP_RUNS = 3;

/**
 * `loaded`: a metered module, compiled. `resources`: the snapshot, which the filter's `allow` list points into.
 * `interposer` sees all that goes in and out of the guests, for a trace or a recording.
 *
 * Throws PenstockError: PENSTOCK_WASM_CONFIGURE, PENSTOCK_WASM_LIMIT.
 */
export async function createWasmFilter(
  spec: PluginFilterSpec,
  plugin: PluginSpec,
  loaded: LoadedModule,
  services: FilterServices,
  resources: FilterResources,
  interposer: Interposer | null = null,
): Promise<WasmFilter> {
  const environment = new GuestEnvironment(plugin, spec, services, resources);
  if (loaded.kind === "proxy-wasm" || loaded.kind === "http-wasm") {
    if (spec.isolation === "request") {
      const detail = "`isolation: request` is for plugins of our own interfaces: this one keeps its contexts itself";
      throw wasmError("PENSTOCK_WASM_INTERFACE", { detail });
    }
    await betweenTurns();
    const foreign = new (loaded.kind === "proxy-wasm" ? ProxyWasmFilter : HttpWasmFilter)(
      plugin,
      loaded,
      environment,
      interposer,
    );
    // Warmed up by its own start and configuration.
    foreign.prepare();
    return foreign;
  }
  await warmUp(loaded, environment);
  const filter = loaded.suspends
    ? new SuspendingFilter(plugin, loaded, environment, interposer)
    : new PlainFilter(plugin, loaded, environment, interposer);
  filter.prepare();
  return filter;
}

/** A plugin's filter as one of streams. Throws PENSTOCK_WASM_INTERFACE for a kind of guest that does not serve them. */
export function streamFilterOf(filter: WasmFilter): StreamFilter {
  if (filter instanceof HookFilter) return new StreamGuestFilter(filter);
  if (filter instanceof ProxyWasmFilter) return new ProxyWasmStreams(filter);
  throw wasmError("PENSTOCK_WASM_INTERFACE", {
    detail: `${filter.name} is of a kind that does not serve streams here`,
  });
}

/** A snapshot with many plugins must not hold up the worker. */
function betweenTurns(): Promise<void> {
  return new Promise<void>((resolve) => setImmediate(resolve));
}

/**
 * Runs the hooks once for nothing, outside the path of a request: what the engine learns at first calls it keeps for all
 * instances of the module. The guest is thrown away, and what it does has no effect.
 */
async function warmUp(loaded: LoadedModule, environment: GuestEnvironment): Promise<void> {
  await betweenTurns();
  try {
    const guest = instantiateGuest(loaded, environment, suppress);
    const { hooks } = guest;
    for (let run = 0; run < WARM_UP_RUNS; run++) {
      for (const hook of [hooks.requestHead, hooks.responseHead, hooks.end]) {
        if (guest.phase === PHASE_DEAD) return;
        guest.begin(null, PHASE_REQUEST);
        hook();
      }
    }
  } catch (error) {
    const expected = error instanceof PenstockError || error instanceof WebAssembly.RuntimeError;
    if (!expected && !(error instanceof RangeError)) throw error;
  }
}
