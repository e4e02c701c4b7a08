/**
 * Every way in which a guest can reach the host. One table, so that it can be observed, replayed or suppressed as a
 * whole: an interposer sees every call of a guest and may answer in the host's place. Without one, nothing stands
 * between guest and handler.
 */
import { ABI_FUNCTIONS, type AbiFunctionName } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { clockCalls } from "./clocks.ts";
import { fetchCalls } from "./fetches.ts";
import { headCalls } from "./heads.ts";
import { mapCalls } from "./maps.ts";
import { replyCalls } from "./replies.ts";
import { settingCalls } from "./settings.ts";
import type { HostCallMakers } from "./signature.ts";

export const HOST_CALLS: HostCallMakers = {
  ...headCalls,
  ...replyCalls,
  ...settingCalls,
  ...mapCalls,
  ...fetchCalls,
  ...clockCalls,
};

export type HostFunction = (...args: (number | bigint)[]) => number | bigint | undefined | Promise<number>;

/** Takes a host call's place. `call` is the real one. */
export type Interpose = (name: AbiFunctionName, call: HostFunction) => HostFunction;

/** The functions that a module imports, bound to one guest. */
export function bindHostCalls(
  guest: Guest,
  imports: readonly AbiFunctionName[],
  interpose: Interpose | null,
): Record<string, unknown> {
  const bound: Record<string, unknown> = {};
  for (const name of imports) {
    // The maker's types say more than a table over all names can: arity and types were checked when it was built.
    const call = HOST_CALLS[name](guest) as unknown as HostFunction;
    const used = interpose === null ? call : interpose(name, call);
    const suspends = "suspends" in ABI_FUNCTIONS[name] && interpose !== suppress;
    bound[name] = suspends ? new WebAssembly.Suspending(used) : used;
  }
  return bound;
}

/** For warming up: nothing is there, nothing is done. Only the configuration is as it will be. */
export const suppress: Interpose = (name, call) => {
  if (name === "config_get" || name === "name_id") return call;
  const [result] = ABI_FUNCTIONS[name].results;
  const absent = name.endsWith("_get") || name.startsWith("fetched_") || name.startsWith("header_");
  if (result === undefined) return () => undefined;
  if (result === "i64") return () => 0n;
  return () => (absent ? -1 : 0);
};
