/** An instance of one metered module, with the route's memory bound in force. Nothing of the guest has run yet. */
import { wasmError } from "#core/errors/wasm.ts";
import { EXPORT_MEMORY } from "#sdk/types/abi.ts";
import {
  EXPORT_FUEL,
  EXPORT_GROWTH_REFUSED,
  EXPORT_PAGES_MAX,
  EXPORT_REFUEL,
  EXPORT_RESTORE,
  EXPORT_SAVE,
  EXPORT_START,
  WHOLE_SECTION,
} from "#wasm/meter/additions.ts";
import { interposedExports } from "./entries.ts";
import type { Guest } from "./guest.ts";
import type { Instantiated } from "./hooks.ts";
import type { Interposer } from "./runtime.ts";

const PAGE_BYTES = 65_536;

/**
 * `interposer` stands in the place of the exported functions that run the plugin's code.
 *
 * Throws PENSTOCK_WASM_LIMIT when the module needs more memory than the route grants.
 */
export function instantiateModule(
  module: WebAssembly.Module,
  imports: Record<string, WebAssembly.ModuleImports>,
  guest: Guest,
  interposer: Interposer | null,
): Instantiated {
  const own = boundInstance(module, imports, guest.environment.spec.limits.memoryBytes);
  const exports = interposer === null ? own : interposedExports(own, guest, interposer);
  const meter = {
    memory: exports[EXPORT_MEMORY] as WebAssembly.Memory,
    fuel: exports[EXPORT_FUEL] as () => number,
    refuel: exports[EXPORT_REFUEL] as (fuel: number) => void,
    globals: isWhole(module, guest)
      ? { save: exports[EXPORT_SAVE] as () => void, restore: exports[EXPORT_RESTORE] as () => void }
      : null,
    growthRefused: exports[EXPORT_GROWTH_REFUSED] as WebAssembly.Global,
  };
  return { exports, meter, start: exports[EXPORT_START] as (() => void) | undefined };
}

/** The exports of an instance whose memory grows no further than that. Throws PENSTOCK_WASM_LIMIT. */
export function boundInstance(
  module: WebAssembly.Module,
  imports: Record<string, WebAssembly.ModuleImports>,
  memoryBytes: number,
): Readonly<Record<string, unknown>> {
  const { exports } = new WebAssembly.Instance(module, imports);
  const { byteLength } = (exports[EXPORT_MEMORY] as WebAssembly.Memory).buffer;
  if (byteLength > memoryBytes) {
    throw wasmError("PENSTOCK_WASM_LIMIT", {
      detail: `it starts with ${byteLength} bytes of memory, the route grants ${memoryBytes}`,
    });
  }
  const pagesMax = exports[EXPORT_PAGES_MAX] as WebAssembly.Global;
  pagesMax.value = Math.min(pagesMax.value, Math.floor(memoryBytes / PAGE_BYTES));
  return exports;
}

/** Asked only where guests are put back: looking costs some microseconds. */
function isWhole(module: WebAssembly.Module, { environment }: Guest): boolean {
  if (environment.spec.isolation !== "request") return false;
  return WebAssembly.Module.customSections(module, WHOLE_SECTION).length > 0;
}
