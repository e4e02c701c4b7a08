/** The host calls of the http-handler ABI, and of WASI beside them, as one table. */
import type { HostCallTable } from "#wasm/guest/runtime.ts";
import { callTable, type Handlers, hostCalls, type Trait } from "#wasm/host/call-table.ts";
import { WASI_HOST_CALLS } from "#wasm/wasi/calls.ts";
import { HANDLER_CALLS, IMPORT_MODULE } from "./abi.ts";
import { bodyCalls } from "./calls/bodies.ts";
import { headCalls } from "./calls/heads.ts";

const handlers: Handlers<typeof HANDLER_CALLS> = { ...headCalls, ...bodyCalls };

const NEUTRAL: ReadonlySet<string> = new Set(["enable_features", "get_config", "log_enabled"]);

function trait(name: string): Trait {
  const [result] = HANDLER_CALLS[name as keyof typeof HANDLER_CALLS].results;
  const suppressed = result === undefined ? undefined : result === "i64" ? 0n : 0;
  if (NEUTRAL.has(name)) return { effect: "none", suppressed };
  return { effect: result === undefined ? "acts" : "reads", suppressed };
}

/** By `module.name`. */
export const HTTP_WASM_CALLS: HostCallTable = callTable(hostCalls([IMPORT_MODULE], handlers, trait), WASI_HOST_CALLS);
