/**
 * The `penstock` core interface, version 1: what a plugin's module imports and exports. The host, the fake host, the
 * validator and the AssemblyScript SDK are all held against this table by tests.
 *
 * Conventions
 * - Every import is a function of the module `penstock`. Every pointer is a byte offset into the exported `memory`.
 * - Text is bytes: header names in lower case, header values as they stand on the wire, the rest in UTF-8.
 * - A call that fills a buffer takes (pointer, capacity) and answers the length of the whole value. When that exceeds
 *   the capacity nothing is written: ask again with a larger buffer. −1: there is no such value.
 * - A pointer or a length outside the memory, an unknown head, part or handle, or an edit at the wrong time is the
 *   guest's fault: the guest is ended as it would be by a trap.
 * - What needs a permission (maps, upstreams) is opened by name; −1 when the route does not allow it.
 */

export const ABI_VERSION = 1;
export const IMPORT_MODULE = "penstock";

export type ValueType = "i32" | "i64" | "f64";

/** What the route's `allow` list must hold before a handle to it can be opened. */
export type Capability = "maps" | "upstreams";

export interface AbiFunction {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly capability?: Capability;
  /**
   * Beside its answer: `none`, nothing but what the guest itself will see; `acts`, something changes; else it looks at
   * what may be different next time. Shadow runs suppress what acts.
   */
  readonly effect?: "none" | "acts";
  /** The answer when it is suppressed; else −1 of what reads, 1 of what acts. */
  readonly absent?: 0;
  /** The guest is suspended until the answer is there: its hooks run under WebAssembly.promising. */
  readonly suspends?: true;
}

const pointerAndLength = ["i32", "i32"] as const;

export const ABI_FUNCTIONS = {
  /** (pointer, length of a lower-case name) → id, above 0; −1 for what is no name, or when there are too many. */
  name_id: { params: pointerAndLength, results: ["i32"], effect: "none" },

  // Heads: 0 the request, 1 the response.
  /** (head, name id, pointer, capacity) → length of the first such header's value, or −1. */
  header_get: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  /** (head) → number of header fields, repeated ones counted. Positions are valid until the next edit. */
  header_count: { params: ["i32"], results: ["i32"], absent: 0 },
  /** (head, position, pointer, capacity) → length of the name, in lower case. */
  header_name: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  /** (head, position, pointer, capacity) → length of the value. */
  header_value: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  /** (head, name id, pointer, length): replaces every field of that name by one. 1 done; 0 refused (see README). */
  header_set: { params: ["i32", "i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** The same, keeping what is there. */
  header_add: { params: ["i32", "i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** (head, name id) → 1 done, 0 refused. */
  header_remove: { params: ["i32", "i32"], results: ["i32"], effect: "acts" },
  /** (part, pointer, capacity) → length. The parts are `REQUEST_PARTS`. */
  request_part: { params: ["i32", "i32", "i32"], results: ["i32"], absent: 0 },
  /** (pointer, length of `/path?query`) → 1 done, 0 refused: not valid, or too long. The route is not chosen again. */
  set_target: { params: pointerAndLength, results: ["i32"], effect: "acts" },
  /** → the response's status; 0 before there is one. */
  status: { params: [], results: ["i32"], absent: 0 },
  /** (status of the response, 200–599) → 1 done, 0 refused: 204 and 304 can't come or go, since content would. */
  set_status: { params: ["i32"], results: ["i32"], effect: "acts" },

  // The local reply, made when the hook then answers ACTION_REPLY.
  /** (name id, pointer, length) → 1 done, 0 refused. */
  reply_header: { params: ["i32", "i32", "i32"], results: ["i32"], effect: "none" },
  /** (status, body pointer, body length). The headers are those given since the hook began. */
  reply: { params: ["i32", "i32", "i32"], results: [], effect: "none" },

  /** (key pointer, key length, pointer, capacity) → length, or −1. */
  config_get: { params: ["i32", "i32", "i32", "i32"], results: ["i32"], effect: "none" },
  /** (level, pointer, length). The levels are `LOG_LEVELS`. */
  log: { params: ["i32", "i32", "i32"], results: [], effect: "acts" },

  // Maps, shared with the kernel, the admin API and other workers.
  /** (name pointer, name length) → handle, or −1. */
  map_open: { params: pointerAndLength, results: ["i32"], capability: "maps", effect: "none" },
  /** (handle, pointer to 16 bytes): four u32: `MAP_KEYS`, `MAP_VALUES`, bytes of a key, bytes of a value. */
  map_shape: { params: ["i32", "i32"], results: [], effect: "none" },
  /** (handle, key pointer, key length, pointer, capacity) → length, or −1. */
  map_get: { params: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] },
  /** (handle, key pointer, key length, value pointer, value length) → 1, or 0 when the map is full. */
  map_put: { params: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** (handle, key pointer, key length) → 1, or 0 when there was none. */
  map_delete: { params: ["i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** (handle, key pointer, key length, delta) → the sum. Only for `counter` values. */
  map_increment: { params: ["i32", "i32", "i32", "i64"], results: ["i64"], effect: "acts" },

  // A request of the plugin's own, to an upstream that the route allows.
  /** (name pointer, name length) → handle, or −1. */
  upstream_open: { params: pointerAndLength, results: ["i32"], capability: "upstreams", effect: "none" },
  /** (name pointer, name length, value pointer, value length): for the next fetch. 1 done, 0 refused. */
  fetch_header: { params: ["i32", "i32", "i32", "i32"], results: ["i32"], effect: "none" },
  /**
   * (handle, method pointer, length, path pointer, length, body pointer, length, timeout in ms) → status; 0 when
   * there is no answer. What came is kept until the next fetch or the end of the hook.
   */
  fetch: {
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    results: ["i32"],
    suspends: true,
    effect: "acts",
    absent: 0,
  },
  /** (name pointer, name length, pointer, capacity) → length, or −1. */
  fetched_header: { params: ["i32", "i32", "i32", "i32"], results: ["i32"] },
  /** (pointer, capacity) → length. */
  fetched_body: { params: pointerAndLength, results: ["i32"], absent: 0 },
  /** (pointer, capacity) → length of the reason why there is no answer; 0 when there is one. */
  fetched_error: { params: pointerAndLength, results: ["i32"], absent: 0 },

  /** → milliseconds since the epoch. Stands still within a hook, except over a fetch. */
  now_ms: { params: [], results: ["f64"], absent: 0 },
  /** → milliseconds of CLOCK_BOOTTIME, which `expiry` values are counted in. */
  boot_ms: { params: [], results: ["f64"], absent: 0 },
  /** (pointer, length ≤ 256): fills the bytes at random. */
  random_bytes: { params: pointerAndLength, results: [] },
} as const satisfies Readonly<Record<string, AbiFunction>>;

export type AbiFunctionName = keyof typeof ABI_FUNCTIONS;

/** A function that does nothing and is never called: it says which version of this interface the module speaks. */
export const ABI_MARKER = `penstock_abi_${ABI_VERSION}`;
export const EXPORT_MEMORY = "memory";

/** What the host calls, each at its time, each without parameters. At least one of the last three must be there. */
export const ABI_HOOKS = {
  /** Once for each guest, before anything else → 0, or anything else to refuse the configuration. */
  on_configure: { params: [], results: ["i32"] },
  /** The request's head is there → ACTION_CONTINUE or ACTION_REPLY. */
  on_request: { params: [], results: ["i32"] },
  /** The response's head is there, from the upstream or from a filter behind this one → the same. */
  on_response: { params: [], results: ["i32"] },
  /** The exchange is over. Heads can't be read any more. */
  on_end: { params: [], results: [] },
} as const satisfies Readonly<Record<string, AbiFunction>>;

export type HookName = keyof typeof ABI_HOOKS;

export const ACTION_CONTINUE = 0;
export const ACTION_REPLY = 1;

export const HEAD_REQUEST = 0;
export const HEAD_RESPONSE = 1;

/** `request_part`. The client's address is text; the client's bytes are the address's 16, IPv4 mapped. */
export const REQUEST_PARTS = {
  method: 0,
  path: 1,
  query: 2,
  host: 3,
  scheme: 4,
  clientAddress: 5,
  clientBytes: 6,
} as const;

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** `map_shape`. `ip`: 16 bytes. `ip-prefix`: u32 length of 128, then 16 bytes. All integers are little-endian. */
export const MAP_KEYS = { bytes: 0, ip: 1, "ip-prefix": 2 } as const;
/** `counter`: u64. `expiry`: u64 nanoseconds of CLOCK_BOOTTIME, 0 never. */
export const MAP_VALUES = { bytes: 0, counter: 1, expiry: 2 } as const;

export const LOG_BYTES_MAX = 4096;
export const RANDOM_BYTES_MAX = 256;
/** Of a local reply, and of a fetch's request. */
export const BODY_BYTES_MAX = 65_536;
export const HEADER_VALUE_BYTES_MAX = 8192;
export const REPLY_HEADERS_MAX = 32;
