/**
 * The `penstock` core interface, version 2: what a plugin's module imports and exports. The host, the fake host, the
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
 *
 * Versions: rows are added and never change. A module says by its marker (`penstock_abi_2`) which version it was made for, and may
 * use rows up to that one; a gateway runs modules of its own version and of all before it.
 */

export const ABI_VERSION = 2;
export const IMPORT_MODULE = "penstock";

export type ValueType = "i32" | "i64" | "f64";

/** What the route's `allow` list must hold before a handle to it can be opened. */
export type Capability = "maps" | "upstreams" | "keyValue" | "ban";

export interface AbiFunction {
  /** The version that brought it; absent: 1. */
  readonly since?: 2;
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

  // Heads: 0 the request, 1 the response; 2 and 3 their trailers, in the end hooks. Trailers can be added to what goes on in chunks, as a message does that
  // came so, or to whose head a `trailer` header was added.
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

  /**
   * (upstream handle, pointer, length of an endpoint's address, empty: any) → 1 done, 0 refused. Of a request before it leaves,
   * or of a stream before it is connected: it goes there instead of where its route says.
   */
  route_to: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"], capability: "upstreams", effect: "acts" },
  /** (number, pointer, capacity) → length. The texts are `PROPERTIES`. */
  property: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"] },
  /** (number) → value; NaN when it is not known now. The numbers are `MEASURES`. */
  measure: { since: 2, params: ["i32"], results: ["f64"], absent: 0 },

  // Bytes that are at hand in a hook of a body or of a stream's data.
  /** → how many. */
  body_size: { since: 2, params: [], results: ["i32"], absent: 0 },
  /** (offset, pointer, capacity) → how many were copied. */
  body_get: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"], absent: 0 },
  /** (offset, how many to take out, pointer, length to put there) → 1 done, 0: more than BODY_WINDOW_BYTES_MAX. */
  body_splice: { since: 2, params: ["i32", "i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** In a head hook: the body that belongs to it is not asked for in this exchange. */
  body_skip: { since: 2, params: [], results: [], effect: "acts" },

  // What the plugin keeps of one exchange or stream, from hook to hook.
  /** (pointer, length ≤ EXCHANGE_BYTES_MAX): replaces what is kept. */
  exchange_put: { since: 2, params: pointerAndLength, results: [], effect: "none" },
  /** (pointer, capacity) → length; 0 before it was put. */
  exchange_get: { since: 2, params: pointerAndLength, results: ["i32"], effect: "none" },

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

  /** (handle, key pointer, key length 0 or a key's, pointer, capacity) → length of the key after that one, or −1: it was the last. */
  map_next: { since: 2, params: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] },
  /**
   * (pointer to a prefix of 20 bytes, seconds): who comes from there is refused by all routes of the plugin's tenant, and of
   * nobody else. 1 done, 0: not allowed, or the list is full.
   */
  ban: { since: 2, params: ["i32", "i32"], results: ["i32"], capability: "ban", effect: "acts" },

  // Entries of the plugin's tenant, the same ones in all workers.
  /** (key pointer, key length, pointer, capacity) → length, or −1. What `kv_version` answers is then this entry's. */
  kv_get: { since: 2, params: ["i32", "i32", "i32", "i32"], results: ["i32"], capability: "keyValue" },
  /** → version of the entry that `kv_get` has found last; 0: it found none. */
  kv_version: { since: 2, params: [], results: ["i32"], capability: "keyValue", absent: 0 },
  /**
   * (key pointer, length, value pointer, length, lifetime in ms or 0, version that must be there: 0 none, −1 any) → the new
   * version; −1 another version is there, −2 no room, −3 busy, −4 not allowed.
   */
  kv_put: {
    since: 2,
    params: ["i32", "i32", "i32", "i32", "f64", "i32"],
    results: ["i32"],
    capability: "keyValue",
    effect: "acts",
  },
  /** (key pointer, length, version or −1) → 1 done, 0 not. */
  kv_delete: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"], capability: "keyValue", effect: "acts" },
  /** (key pointer, length, delta, lifetime in ms or 0) → the sum; the smallest i64 when there is no room, or it is not allowed. */
  kv_increment: {
    since: 2,
    params: ["i32", "i32", "i64", "f64"],
    results: ["i64"],
    capability: "keyValue",
    effect: "acts",
  },

  // Series of the plugin's own, shown in the gateway's metrics.
  /** (kind of `METRIC_KINDS`, name pointer, length) → handle, or −1. */
  metric_define: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"], effect: "none" },
  /** (handle, delta): to a counter or a gauge. */
  metric_add: { since: 2, params: ["i32", "f64"], results: [], effect: "acts" },
  /** (handle, value): a gauge's value, or an observation of a histogram. */
  metric_record: { since: 2, params: ["i32", "f64"], results: [], effect: "acts" },

  // A request of the plugin's own, to an upstream that the route allows: in every hook but `on_configure`.
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

  // A connection of the plugin's own, to an upstream that the route allows: in every hook but `on_configure`.
  /** (upstream handle, timeout in ms) → number of the connection; −1 when there is none. */
  connect: {
    since: 2,
    params: ["i32", "i32"],
    results: ["i32"],
    capability: "upstreams",
    suspends: true,
    effect: "acts",
  },
  /** (connection, pointer, length) → 1 on its way, 0 it is closed, or has too much to send already. */
  connection_send: { since: 2, params: ["i32", "i32", "i32"], results: ["i32"], effect: "acts" },
  /** (connection, pointer, capacity, timeout in ms) → how many bytes came; 0 the peer has ended, −1 it broke or took too long. */
  connection_receive: {
    since: 2,
    params: ["i32", "i32", "i32", "i32"],
    results: ["i32"],
    suspends: true,
    effect: "acts",
  },
  /** (connection): also done when the hook ends. */
  connection_close: { since: 2, params: ["i32"], results: [], effect: "acts" },

  // Signatures. Keys are PEM, or bytes for HMAC.
  /** (algorithm of `SIGNATURES`, key pointer, length, data pointer, length, signature pointer, length) → 1 it is good, 0 it is not. */
  verify: { since: 2, params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32"], results: ["i32"], effect: "none" },
  /** (key pointer, length, data pointer, length, pointer to 32 bytes): HMAC-SHA-256. */
  hmac_sha256: { since: 2, params: ["i32", "i32", "i32", "i32", "i32"], results: [], effect: "none" },
  /** (pointer, length, pointer to 32 bytes): SHA-256. */
  sha256: { since: 2, params: ["i32", "i32", "i32"], results: [], effect: "none" },

  /** In `on_configure`: (period in ms, 0: never) of `on_tick`; at least TICK_MS_MIN. */
  tick_every: { since: 2, params: ["i32"], results: [], effect: "none" },
  /** (pointer, capacity) → length of the message that `on_message` is about. */
  message_get: { since: 2, params: pointerAndLength, results: ["i32"], absent: 0 },
  /** (pointer, length): what its sender is answered. */
  message_reply: { since: 2, params: pointerAndLength, results: [], effect: "acts" },

  /** → milliseconds since the epoch. Stands still within a hook, except over a fetch. */
  now_ms: { params: [], results: ["f64"], absent: 0 },
  /** → milliseconds of CLOCK_BOOTTIME, which `expiry` values are counted in. */
  boot_ms: { params: [], results: ["f64"], absent: 0 },
  /** (pointer, length ≤ 256): fills the bytes at random. */
  random_bytes: { params: pointerAndLength, results: [] },
} as const satisfies Readonly<Record<string, AbiFunction>>;

export type AbiFunctionName = keyof typeof ABI_FUNCTIONS;

/** A function that does nothing and is never called: followed by a version it says what the module was made for. */
export const ABI_MARKER_PREFIX = "penstock_abi_";
export const EXPORT_MEMORY = "memory";

/** What the host calls, each at its time. At least one beside `on_configure` must be there. */
export const ABI_HOOKS = {
  /** Once for each guest, before anything else → 0, or anything else to refuse the configuration. */
  on_configure: { params: [], results: ["i32"] },
  /** The request's head is there → an action; ACTION_PAUSE: it waits until `on_request_body` lets it go. */
  on_request: { params: [], results: ["i32"] },
  /** (1: the last, else 0): bytes of the request's body are at hand → CONTINUE: they go on; PAUSE: they wait for more; REPLY. The head can be changed while it waits. */
  on_request_body: { since: 2, params: ["i32"], results: ["i32"] },
  /** The request's body is over; its trailers are head 2. */
  on_request_end: { since: 2, params: [], results: [] },
  /** The response's head is there, from the upstream or from a filter behind this one → as `on_request`, with `on_response_body`. */
  on_response: { params: [], results: ["i32"] },
  /** As for the request. Once the head has left, a reply can only cut the response off. */
  on_response_body: { since: 2, params: ["i32"], results: ["i32"] },
  /** The response's body is over; its trailers are head 3. */
  on_response_end: { since: 2, params: [], results: [] },
  /** The exchange or stream is over. Heads can't be read any more; properties and measures say how it went. */
  on_end: { params: [], results: [] },
  /** A connection or a UDP session of a stream route begins → CONTINUE, or REPLY to refuse it. */
  on_connection: { since: 2, params: [], results: ["i32"] },
  /** (0 from the client, 1 from the upstream; 1: the last): as `on_request_body`; REPLY ends the stream. Of UDP: one datagram, which PAUSE drops. */
  on_data: { since: 2, params: ["i32", "i32"], results: ["i32"] },
  /** As often as `tick_every` said, in each worker, but not while the last one still waits. Belongs to no exchange. */
  on_tick: { since: 2, params: [], results: [] },
  /** A message by the admin API. Belongs to no exchange. */
  on_message: { since: 2, params: [], results: [] },
} as const satisfies Readonly<Record<string, AbiFunction>>;

export type HookName = keyof typeof ABI_HOOKS;

export const ACTION_CONTINUE = 0;
export const ACTION_REPLY = 1;
export const ACTION_PAUSE = 2;

export const HEAD_REQUEST = 0;
export const HEAD_RESPONSE = 1;
export const HEAD_REQUEST_TRAILERS = 2;
export const HEAD_RESPONSE_TRAILERS = 3;

/** `property`: text, empty when there is none. */
export const PROPERTIES = {
  /** Of the route, the tenant, the plugin as `name@version`. */
  route: 0,
  tenant: 1,
  plugin: 2,
  /** `http`, `https`, `tcp`, `udp`, `tls`. */
  protocol: 3,
  /** The name that a TLS client asked for. */
  serverName: 4,
  /** Where a steered client wanted to go, `address:port`. */
  originalDestination: 5,
  /** The endpoint, `address:port`; before one is chosen, none. */
  endpoint: 6,
  /** In `on_end`: one word for how it ended. */
  outcome: 7,
  /** SHA-256 (hex) of the client's certificate. */
  clientCertificate: 8,
} as const;

/** `measure`. */
export const MEASURES = {
  /** Since the head, or the connection, was there. */
  durationMs: 0,
  /** Of bodies, or of a stream: from the client, and to it. */
  bytesReceived: 1,
  bytesSent: 2,
  /** Of the response; 0: none was sent. */
  status: 3,
} as const;

export const METRIC_KINDS = ["counter", "gauge", "histogram"] as const;

/** `verify`. RSA with PKCS #1 v1.5 padding; ECDSA signatures as two numbers (RFC 7518 section 3.4). */
export const SIGNATURES = { HS256: 0, RS256: 1, ES256: 2, EdDSA: 3 } as const;

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
/** What a hook that pauses may let gather. */
export const BODY_WINDOW_BYTES_MAX = 1 << 20;
export const EXCHANGE_BYTES_MAX = 1024;
export const MESSAGE_BYTES_MAX = 65_536;
export const TICK_MS_MIN = 100;
export const RANDOM_BYTES_MAX = 256;
/** Of a local reply, and of what a connection takes or gives at once. */
export const BODY_BYTES_MAX = 65_536;
/** Of a fetch's request: as much as a hook that pauses may let gather. */
export const FETCH_BODY_BYTES_MAX = 1 << 20;
export const HEADER_VALUE_BYTES_MAX = 8192;
export const REPLY_HEADERS_MAX = 32;
