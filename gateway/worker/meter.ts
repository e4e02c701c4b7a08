/** The module as a worker would run it, for a plugin's author who has no gateway at hand. */
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";

/** What a gateway takes in; a route then grants less. */
const MEMORY_PAGES_MAX = 4096;

/** Metered bytes. Throws PenstockError (`PENSTOCK_WASM_*`) with what an upload would be refused with. */
export function meterModule(wasm: Uint8Array): Uint8Array {
  return prepareModule(wasm, { ...DEFAULT_MODULE_LIMITS, memoryPagesMax: MEMORY_PAGES_MAX }).bytes;
}
