/** The module as a worker would run it, for a plugin's author who has no gateway at hand. */
import { prepareModule } from "#wasm/prepare.ts";

/** Metered bytes. Throws PenstockError (`PENSTOCK_WASM_*`) with what an upload would be refused with. */
export function meterModule(wasm: Uint8Array): Uint8Array {
  return prepareModule(wasm).bytes;
}
