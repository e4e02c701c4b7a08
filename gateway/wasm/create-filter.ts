/**
 * From a snapshot's filter to one that runs. Lifecycle: created while a snapshot is prepared (instantiate, configure,
 * warm up), put into force with it, disposed when its last exchange has ended.
 */
import { PenstockError } from "#core/errors.ts";
import type { FilterServices } from "#pipeline/filter.ts";
import { ABI_FUNCTIONS } from "#sdk/types/abi.ts";
import type { PluginFilterSpec, PluginSpec } from "#snapshot/snapshot.ts";
import { type FilterResources, GuestEnvironment } from "./guest/environment.ts";
import { PHASE_DEAD, PHASE_REQUEST } from "./guest/phases.ts";
import { importedCalls, instantiateGuest } from "./guest/instantiate.ts";
import { type Interpose, suppress } from "./host/table.ts";
import { PlainFilter } from "./filter/plain-filter.ts";
import { SuspendingFilter } from "./filter/suspending-filter.ts";
import type { WasmFilter } from "./filter/wasm-filter.ts";

export { compileModule } from "./engine.ts";
export type { FilterResources } from "./guest/environment.ts";
export type { WasmFilter } from "./filter/wasm-filter.ts";

/** Hooks are run so often before the first request, with all host calls suppressed. */
const WARM_UP_RUNS = 3;

/**
 * `module`: a metered one, compiled. `resources`: the snapshot, which the filter's `allow` list points into.
 * `interpose` sees every host call, for a trace or a replay.
 *
 * Throws PenstockError: PENSTOCK_WASM_CONFIGURE, PENSTOCK_WASM_LIMIT.
 */
export async function createWasmFilter(
  spec: PluginFilterSpec,
  plugin: PluginSpec,
  module: WebAssembly.Module,
  services: FilterServices,
  resources: FilterResources,
  interpose: Interpose | null = null,
): Promise<WasmFilter> {
  const name = `${plugin.name}@${plugin.version}`;
  const environment = new GuestEnvironment(name, spec, services, resources);
  await warmUp(module, environment);
  const suspends = importedCalls(module).some((call) => "suspends" in ABI_FUNCTIONS[call]);
  const filter = suspends
    ? new SuspendingFilter(plugin, module, environment, interpose)
    : new PlainFilter(plugin, module, environment, interpose);
  filter.prepare();
  return filter;
}

/**
 * Runs the hooks once for nothing, outside the path of a request: what the engine learns at first calls it keeps for all
 * instances of the module. The guest is thrown away, and what it does has no effect.
 */
async function warmUp(module: WebAssembly.Module, environment: GuestEnvironment): Promise<void> {
  // Between two turns: a snapshot with many plugins must not hold up the worker.
  await new Promise<void>((resolve) => setImmediate(resolve));
  try {
    const guest = instantiateGuest(module, importedCalls(module), environment, suppress);
    const { onRequest, onResponse, onEnd } = guest.exports;
    for (let run = 0; run < WARM_UP_RUNS; run++) {
      for (const hook of [onRequest, onResponse, onEnd]) {
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
