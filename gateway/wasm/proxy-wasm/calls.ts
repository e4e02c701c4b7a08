/** The host calls of Proxy-Wasm, and of WASI beside them, as one table. */
import type { HostCallTable } from "#wasm/guest/runtime.ts";
import { callTable, type Handlers, hostCalls, type Trait } from "#wasm/host/call-table.ts";
import { WASI_HOST_CALLS } from "#wasm/wasi/calls.ts";
import { NOT_FOUND, OK, type PROXY_CALLS } from "./abi.ts";
import { bufferCalls } from "./calls/buffers.ts";
import { fieldCalls } from "./calls/fields.ts";
import { httpCalls } from "./calls/http.ts";
import { propertyCalls } from "./calls/properties.ts";
import { sharedCalls } from "./calls/shared.ts";
import { streamCalls } from "./calls/streams.ts";
import { systemCalls } from "./calls/system.ts";

export const IMPORT_MODULE = "env";

const handlers: Handlers<typeof PROXY_CALLS> = {
  ...systemCalls,
  ...bufferCalls,
  ...fieldCalls,
  ...streamCalls,
  ...httpCalls,
  ...sharedCalls,
  ...propertyCalls,
};

/** The same whatever surrounds the guest: its configuration, its own contexts, what is always refused. */
const NEUTRAL: ReadonlySet<string> = new Set([
  "emscripten_notify_memory_growth",
  "proxy_call_foreign_function",
  "proxy_clear_route_cache",
  "proxy_get_configuration",
  "proxy_get_buffer_bytes",
  "proxy_get_buffer_status",
  "proxy_get_log_level",
  "proxy_set_effective_context",
  "pthread_equal",
]);

/** Answered as if nothing were there. */
const READS: ReadonlySet<string> = new Set([
  "proxy_get_current_time_nanoseconds",
  "proxy_get_header_map_pairs",
  "proxy_get_header_map_size",
  "proxy_get_header_map_value",
  "proxy_get_metric",
  "proxy_get_property",
  "proxy_get_shared_data",
  "proxy_get_status",
  "proxy_resolve_shared_queue",
]);

function trait(name: string): Trait {
  if (NEUTRAL.has(name)) return { effect: "none", suppressed: OK };
  return READS.has(name) ? { effect: "reads", suppressed: NOT_FOUND } : { effect: "acts", suppressed: OK };
}

/** By `module.name`. */
export const PROXY_WASM_CALLS: HostCallTable = callTable(hostCalls([IMPORT_MODULE], handlers, trait), WASI_HOST_CALLS);
