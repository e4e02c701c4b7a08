/**
 * Makes a guest: instance, memory bound, start function, configuration; all under fuel. About 50 µs for a small module.
 * A guest that does not come up is a fault of the plugin; the caller decides what that means.
 */
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import { ABI_FUNCTIONS, EXPORT_MEMORY, IMPORT_MODULE } from "#sdk/types/abi.ts";
import { wasmError } from "#core/errors/wasm.ts";
import {
  EXPORT_FUEL,
  EXPORT_GROWTH_REFUSED,
  EXPORT_PAGES_MAX,
  EXPORT_REFUEL,
  EXPORT_START,
} from "#wasm/meter/additions.ts";
import { type Interpose, bindHostCalls } from "#wasm/host/table.ts";
import type { GuestEnvironment } from "./environment.ts";
import { describeFault } from "./faults.ts";
import { Guest, type GuestExports } from "./guest.ts";
import { PHASE_CONFIGURE, PHASE_DEAD } from "./phases.ts";

const PAGE_BYTES = 65_536;
/** Start function and configuration together: at most about 5 ms. */
export const CONFIGURE_FUEL = 5_000_000;

const nothing = () => undefined;
const zero = () => 0;

/** Names of the host calls that a module imports. Its validator has admitted no others. */
export function importedCalls(module: WebAssembly.Module): AbiFunctionName[] {
  return WebAssembly.Module.imports(module)
    .filter((entry) => entry.module === IMPORT_MODULE && entry.name in ABI_FUNCTIONS)
    .map((entry) => entry.name as AbiFunctionName);
}

/** Throws PENSTOCK_WASM_LIMIT when the module needs more memory than the route grants. */
function readExports(instance: WebAssembly.Instance, memoryBytesMax: number): GuestExports {
  const { exports } = instance;
  const call = <T>(name: string, missing: T): T => (exports[name] as T | undefined) ?? missing;
  const read: GuestExports = {
    memory: exports[EXPORT_MEMORY] as WebAssembly.Memory,
    fuel: exports[EXPORT_FUEL] as () => number,
    refuel: exports[EXPORT_REFUEL] as (fuel: number) => void,
    pagesMax: exports[EXPORT_PAGES_MAX] as WebAssembly.Global,
    growthRefused: exports[EXPORT_GROWTH_REFUSED] as WebAssembly.Global,
    start: call(EXPORT_START, nothing),
    onConfigure: call("on_configure", zero),
    onRequest: call("on_request", zero),
    onResponse: call("on_response", zero),
    onEnd: call("on_end", nothing),
  };
  const { byteLength } = read.memory.buffer;
  if (byteLength > memoryBytesMax) {
    throw wasmError("PENSTOCK_WASM_LIMIT", {
      detail: `it starts with ${byteLength} bytes of memory, the route grants ${memoryBytesMax}`,
    });
  }
  read.pagesMax.value = Math.min(read.pagesMax.value, Math.floor(memoryBytesMax / PAGE_BYTES));
  return read;
}

/** Throws PENSTOCK_WASM_CONFIGURE when it faults or does not accept its configuration. */
export function instantiateGuest(
  module: WebAssembly.Module,
  imports: readonly AbiFunctionName[],
  environment: GuestEnvironment,
  interpose: Interpose | null,
): Guest {
  const guest = new Guest(environment);
  const bound = bindHostCalls(guest, imports, interpose);
  const instance = new WebAssembly.Instance(module, { [IMPORT_MODULE]: bound });
  const exports = readExports(instance, environment.spec.limits.memoryBytes);
  guest.adopt(exports);
  guest.begin(null, PHASE_CONFIGURE);
  exports.refuel(CONFIGURE_FUEL);
  let accepted: number;
  try {
    exports.start();
    accepted = exports.onConfigure();
  } catch (error) {
    const fault = describeFault(error, guest, module);
    guest.fail("it faulted while it was configured");
    throw wasmError("PENSTOCK_WASM_CONFIGURE", { detail: `${fault.cause}: ${fault.detail}`, cause: error });
  }
  if (guest.phase === PHASE_DEAD) {
    throw wasmError("PENSTOCK_WASM_CONFIGURE", { detail: guest.failure ?? "it was ended" });
  }
  if (accepted !== 0) {
    throw wasmError("PENSTOCK_WASM_CONFIGURE", { detail: guest.lastLog || `on_configure answered ${accepted}` });
  }
  guest.finish();
  return guest;
}
