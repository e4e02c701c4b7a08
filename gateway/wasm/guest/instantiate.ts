/**
 * Makes a guest: instance, memory bound, start function, configuration; all under fuel. About 50 µs for a small module.
 * A guest that does not come up is a fault of the plugin; the caller decides what that means.
 */
import { wasmError } from "#core/errors/wasm.ts";
import type { GuestEnvironment } from "./environment.ts";
import { describeFault } from "./faults.ts";
import { Guest } from "./guest.ts";
import { instantiateModule } from "./instantiate-module.ts";
import { PHASE_CONFIGURE, PHASE_DEAD } from "./phases.ts";
import { bindHostCalls, type Interposer, type LoadedModule } from "./runtime.ts";

/** Start function and configuration together: at most about 5 ms. */
export const CONFIGURE_FUEL = 5_000_000;

/** Throws PENSTOCK_WASM_CONFIGURE when it faults or does not accept its configuration, PENSTOCK_WASM_LIMIT. */
export function instantiateGuest(
  loaded: LoadedModule,
  environment: GuestEnvironment,
  interposer: Interposer | null,
): Guest {
  const guest = new Guest(environment);
  const imports = bindHostCalls(guest, loaded.calls, interposer);
  const instance = instantiateModule(loaded.module, imports, guest, interposer);
  guest.adopt(loaded.runtime.partsOf(instance, loaded, guest));
  guest.begin(null, PHASE_CONFIGURE);
  guest.meter.refuel(loaded.runtime.startFuel ?? CONFIGURE_FUEL);
  let accepted: number;
  try {
    guest.hooks.start();
    accepted = guest.hooks.configure();
  } catch (error) {
    const fault = describeFault(error, guest, loaded.module);
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
  if (environment.spec.isolation === "request") guest.remember();
  return guest;
}
