/**
 * The Proxy-Wasm ABI, versions 0.1.0, 0.2.0 and 0.2.1, as tables: what a module may import from `env`, what it may export,
 * and the numbers that both sides use. Source: the published specification of each version (proxy-wasm/spec, abi-versions).
 *
 * A module of one version may import what another one has: the names do not overlap, and toolchains mix them. The types
 * are of the specification; where a toolchain in use differs (0.1.0's calls without a result), both are taken.
 */
import type { Signature } from "#wasm/validate/signatures.ts";

const I = "i32";
const L = "i64";

/** Answers a `proxy_status_t`. */
function call<const P extends Signature["params"]>(...params: P) {
  return { params, results: [I] } as const;
}

function procedure<const P extends Signature["params"]>(...params: P) {
  return { params, results: [] } as const;
}

export const PROXY_WASM_VERSIONS = ["0.1.0", "0.2.0", "0.2.1"] as const;
export type ProxyWasmVersion = (typeof PROXY_WASM_VERSIONS)[number];

export const PROXY_CALLS = {
  // Logging, clocks, timers.
  proxy_log: call(I, I, I),
  proxy_get_log_level: call(I),
  proxy_get_current_time_nanoseconds: call(I),
  proxy_set_tick_period_milliseconds: call(I),

  // Configuration (0.1.0), buffers, fields.
  proxy_get_configuration: call(I, I),
  proxy_get_buffer_bytes: call(I, I, I, I, I),
  proxy_get_buffer_status: call(I, I, I),
  proxy_set_buffer_bytes: call(I, I, I, I, I),
  proxy_get_header_map_size: call(I, I),
  proxy_get_header_map_pairs: call(I, I, I),
  proxy_set_header_map_pairs: call(I, I, I),
  proxy_get_header_map_value: call(I, I, I, I, I),
  proxy_add_header_map_value: call(I, I, I, I, I),
  proxy_replace_header_map_value: call(I, I, I, I, I),
  proxy_remove_header_map_value: call(I, I, I),

  // Streams and contexts.
  proxy_continue_stream: call(I),
  proxy_close_stream: call(I),
  proxy_continue_request: call(),
  proxy_continue_response: call(),
  proxy_clear_route_cache: call(),
  proxy_send_local_response: call(I, I, I, I, I, I, I, I),
  proxy_get_status: call(I, I, I),
  proxy_set_effective_context: call(I),
  proxy_done: call(),

  // Calls to upstreams.
  proxy_http_call: call(I, I, I, I, I, I, I, I, I, I),
  proxy_grpc_call: call(I, I, I, I, I, I, I, I, I, I, I, I),
  proxy_grpc_stream: call(I, I, I, I, I, I, I, I, I),
  proxy_grpc_send: call(I, I, I, I),
  proxy_grpc_cancel: call(I),
  proxy_grpc_close: call(I),

  // Shared data and queues.
  proxy_get_shared_data: call(I, I, I, I, I),
  proxy_set_shared_data: call(I, I, I, I, I),
  proxy_register_shared_queue: call(I, I, I),
  proxy_resolve_shared_queue: call(I, I, I, I, I),
  proxy_enqueue_shared_queue: call(I, I, I),
  proxy_dequeue_shared_queue: call(I, I, I),

  // Metrics, properties, foreign functions.
  proxy_define_metric: call(I, I, I, I),
  proxy_increment_metric: call(I, L),
  proxy_record_metric: call(I, L),
  proxy_get_metric: call(I, I),
  proxy_get_property: call(I, I, I, I),
  proxy_set_property: call(I, I, I, I),
  proxy_call_foreign_function: call(I, I, I, I, I, I),

  // What Emscripten's toolchain asks of every host (emscripten.h); not of the specification.
  emscripten_notify_memory_growth: procedure(I),
  pthread_equal: call(I, I),
} as const satisfies Readonly<Record<string, Signature>>;

/** 0.1.0 says that these answer nothing; the toolchains of its time import them with a status. */
export const WITHOUT_RESULT: ReadonlySet<string> = new Set([
  "proxy_continue_request",
  "proxy_continue_response",
  "proxy_clear_route_cache",
]);

/** Called by the host, each if it is there. Those of streams and plugins get the context's id first. */
export const PROXY_CALLBACKS = {
  _initialize: procedure(),
  _start: procedure(),
  main: call(I, I),
  __main_void: call(),
  malloc: call(I),
  proxy_on_memory_allocate: call(I),
  proxy_on_context_create: procedure(I, I),
  proxy_on_vm_start: call(I, I),
  proxy_on_configure: call(I, I),
  proxy_on_done: call(I),
  proxy_on_log: procedure(I),
  proxy_on_delete: procedure(I),
  proxy_on_tick: procedure(I),
  proxy_on_new_connection: call(I),
  proxy_on_downstream_data: call(I, I, I),
  proxy_on_downstream_connection_close: procedure(I, I),
  proxy_on_upstream_data: call(I, I, I),
  proxy_on_upstream_connection_close: procedure(I, I),
  proxy_on_request_headers: call(I, I, I),
  proxy_on_request_body: call(I, I, I),
  proxy_on_request_trailers: call(I, I),
  proxy_on_response_headers: call(I, I, I),
  proxy_on_response_body: call(I, I, I),
  proxy_on_response_trailers: call(I, I),
  proxy_on_http_call_response: procedure(I, I, I, I, I),
  proxy_on_queue_ready: procedure(I, I),
} as const satisfies Readonly<Record<string, Signature>>;

export type ProxyCallbackName = keyof typeof PROXY_CALLBACKS;

/** Without `end_of_stream`, as 0.1.0 has them. */
export const SHORT_CALLBACKS: Readonly<Record<string, Signature>> = {
  proxy_on_request_headers: call(I, I),
  proxy_on_response_headers: call(I, I),
};

// proxy_status_t
export const OK = 0;
export const NOT_FOUND = 1;
export const BAD_ARGUMENT = 2;
export const INVALID_MEMORY_ACCESS = 6;
export const EMPTY = 7;
export const CAS_MISMATCH = 8;
export const INTERNAL_FAILURE = 10;
export const UNIMPLEMENTED = 12;

/** proxy_action_t: anything else than CONTINUE pauses. */
export const ACTION_CONTINUE = 0;

/** proxy_log_level_t: trace, debug, info, warn, error, critical; as the gateway's log has them. */
export const PROXY_LOG_LEVELS = ["debug", "debug", "info", "warn", "error", "error"] as const;
/** What `proxy_get_log_level` answers: the gateway keeps what is logged at `info` and above. */
export const LOG_LEVEL_INFO = 2;

// proxy_buffer_type_t
export const BUFFER_REQUEST_BODY = 0;
export const BUFFER_RESPONSE_BODY = 1;
export const BUFFER_UPSTREAM_DATA = 3;
export const BUFFER_HTTP_CALL_BODY = 4;
export const BUFFER_VM_CONFIGURATION = 6;
export const BUFFER_PLUGIN_CONFIGURATION = 7;
export const BUFFER_LAST = 8;

// proxy_map_type_t
export const MAP_REQUEST_HEADERS = 0;
export const MAP_REQUEST_TRAILERS = 1;
export const MAP_RESPONSE_HEADERS = 2;
export const MAP_RESPONSE_TRAILERS = 3;
export const MAP_HTTP_CALL_HEADERS = 6;
export const MAP_LAST = 7;

// proxy_stream_type_t
export const STREAM_REQUEST = 0;
export const STREAM_RESPONSE = 1;
export const STREAM_UPSTREAM = 3;
