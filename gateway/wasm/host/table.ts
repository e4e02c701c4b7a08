/** The host calls of the core interface, as its table in `sdk/types/abi.ts` names them. */
import { ABI_FUNCTIONS, type AbiFunction, IMPORT_MODULE } from "#sdk/types/abi.ts";
import type { HostCall, HostCallTable, HostFunction } from "#wasm/guest/runtime.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { byteCalls } from "./bytes.ts";
import { clockCalls } from "./clocks.ts";
import { connectionCalls } from "./connections.ts";
import { eventCalls } from "./events.ts";
import { factCalls } from "./facts.ts";
import { fetchCalls } from "./fetches.ts";
import { headCalls } from "./heads.ts";
import { mapCalls } from "./maps.ts";
import { replyCalls } from "./replies.ts";
import { settingCalls } from "./settings.ts";
import { signatureCalls } from "./signatures.ts";
import { tenantCalls } from "./tenant.ts";
import type { HostCallMakers } from "./signature.ts";

const MAKERS: HostCallMakers = {
  ...headCalls,
  ...replyCalls,
  ...settingCalls,
  ...mapCalls,
  ...fetchCalls,
  ...clockCalls,
  ...byteCalls,
  ...factCalls,
  ...tenantCalls,
  ...connectionCalls,
  ...signatureCalls,
  ...eventCalls,
};

/** By `penstock.name`. */
export const CORE_CALLS: HostCallTable = new Map(
  Object.entries(MAKERS).map(([name, maker]) => [`${IMPORT_MODULE}.${name}`, hostCall(name, maker)]),
);

function hostCall(name: string, maker: HostCallMakers[keyof HostCallMakers]): HostCall {
  const row: AbiFunction = ABI_FUNCTIONS[name as keyof typeof ABI_FUNCTIONS];
  return {
    module: IMPORT_MODULE,
    name,
    // The maker's types say more than a table over all names can: arity and types were checked when it was built.
    make: maker as unknown as (guest: Guest) => HostFunction,
    effect: row.effect ?? "reads",
    suspends: row.suspends === true,
    suppressed: suppressed(row),
    ...(name === "body_splice" ? { changesBody: true } : {}),
  };
}

/** What acts has been done, what reads finds nothing. */
function suppressed({ results: [result], effect, absent }: AbiFunction): number | bigint | undefined {
  if (result === undefined) return undefined;
  if (result === "i64") return 0n;
  return absent ?? (effect === "acts" ? 1 : -1);
}
