/**
 * The world `penstock:plugin` in terms of the core interface: `sdk/wit/plugin.wit` as a table. A component's calls become host
 * calls of `sdk/types/abi.ts`, its hooks exports of that name; so every rule of the core interface holds for components as it is.
 */
import type { AbiFunctionName, HookName } from "#sdk/types/abi.ts";

/** Package and version, as imports name it. */
export const PACKAGE = "penstock:plugin";
export const VERSION = "1.0.0";

/**
 * A parameter: one core value; text or a list, as pointer and length; the name of a header, which becomes its id; a list of
 * exactly so many bytes, as a pointer.
 */
export type Parameter = "i32" | "i64" | "f64" | "bytes" | "name" | "20 bytes";

/**
 * How the answer comes to the component:
 *
 *     value      as it is
 *     option     −1 is none, else some number
 *     list       filled by the host call, whose last parameters are pointer and capacity; −1 is empty
 *     some list  the same; −1 is none
 *     part       the same, and the last parameter is how much is wanted at most
 *     some part  the same; −1 is none. What follows the pointer and the capacity comes last
 *     filled     as many bytes as the last parameter says
 *     digest     32 bytes
 *     record     written by the host call
 */
export type Answer =
  | "nothing"
  | "i32"
  | "i64"
  | "f64"
  | "option"
  | "list"
  | "some list"
  | "part"
  | "some part"
  | "filled"
  | "digest"
  | "record";

export interface WorldFunction {
  readonly call: AbiFunctionName;
  readonly params: readonly Parameter[];
  readonly answer: Answer;
}

const row = (call: AbiFunctionName, params: readonly Parameter[], answer: Answer): WorldFunction => ({
  call,
  params,
  answer,
});

export const WORLD: Readonly<Record<string, Readonly<Record<string, WorldFunction>>>> = {
  types: {},
  http: {
    header: row("header_get", ["i32", "name"], "some list"),
    "header-count": row("header_count", ["i32"], "i32"),
    "header-name-at": row("header_name", ["i32", "i32"], "list"),
    "header-value-at": row("header_value", ["i32", "i32"], "list"),
    "set-header": row("header_set", ["i32", "name", "bytes"], "i32"),
    "add-header": row("header_add", ["i32", "name", "bytes"], "i32"),
    "remove-header": row("header_remove", ["i32", "name"], "i32"),
    "request-part": row("request_part", ["i32"], "list"),
    "set-target": row("set_target", ["bytes"], "i32"),
    status: row("status", [], "i32"),
    "set-status": row("set_status", ["i32"], "i32"),
    "reply-header": row("reply_header", ["name", "bytes"], "i32"),
    reply: row("reply", ["i32", "bytes"], "nothing"),
    "reply-text": row("reply", ["i32", "bytes"], "nothing"),
  },
  body: {
    size: row("body_size", [], "i32"),
    get: row("body_get", ["i32", "i32"], "part"),
    splice: row("body_splice", ["i32", "i32", "bytes"], "i32"),
    "splice-text": row("body_splice", ["i32", "i32", "bytes"], "i32"),
    skip: row("body_skip", [], "nothing"),
  },
  exchange: {
    keep: row("exchange_put", ["bytes"], "nothing"),
    kept: row("exchange_get", [], "list"),
  },
  facts: {
    property: row("property", ["i32"], "list"),
    measure: row("measure", ["i32"], "f64"),
  },
  config: { get: row("config_get", ["bytes"], "some list") },
  log: { write: row("log", ["i32", "bytes"], "nothing") },
  maps: {
    open: row("map_open", ["bytes"], "option"),
    "shape-of": row("map_shape", ["i32"], "record"),
    get: row("map_get", ["i32", "bytes"], "some list"),
    put: row("map_put", ["i32", "bytes", "bytes"], "i32"),
    delete: row("map_delete", ["i32", "bytes"], "i32"),
    increment: row("map_increment", ["i32", "bytes", "i64"], "i64"),
    next: row("map_next", ["i32", "bytes"], "some list"),
  },
  "key-value": {
    get: row("kv_get", ["bytes"], "some list"),
    version: row("kv_version", [], "i32"),
    put: row("kv_put", ["bytes", "bytes", "f64", "i32"], "i32"),
    "put-text": row("kv_put", ["bytes", "bytes", "f64", "i32"], "i32"),
    delete: row("kv_delete", ["bytes", "i32"], "i32"),
    increment: row("kv_increment", ["bytes", "i64", "f64"], "i64"),
  },
  metrics: {
    define: row("metric_define", ["i32", "bytes"], "option"),
    add: row("metric_add", ["i32", "f64"], "nothing"),
    record: row("metric_record", ["i32", "f64"], "nothing"),
  },
  upstreams: {
    open: row("upstream_open", ["bytes"], "option"),
    "route-to": row("route_to", ["i32", "bytes"], "i32"),
    "fetch-header": row("fetch_header", ["bytes", "bytes"], "i32"),
    fetch: row("fetch", ["i32", "bytes", "bytes", "bytes", "i32"], "i32"),
    "fetched-header": row("fetched_header", ["bytes"], "some list"),
    "fetched-body": row("fetched_body", [], "list"),
    "fetched-error": row("fetched_error", [], "list"),
    connect: row("connect", ["i32", "i32"], "option"),
    send: row("connection_send", ["i32", "bytes"], "i32"),
    receive: row("connection_receive", ["i32", "i32", "i32"], "some part"),
    close: row("connection_close", ["i32"], "nothing"),
  },
  crypto: {
    verify: row("verify", ["i32", "bytes", "bytes", "bytes"], "i32"),
    "hmac-sha256": row("hmac_sha256", ["bytes", "bytes"], "digest"),
    sha256: row("sha256", ["bytes"], "digest"),
  },
  time: {
    "now-ms": row("now_ms", [], "f64"),
    "boot-ms": row("boot_ms", [], "f64"),
    random: row("random_bytes", ["i32"], "filled"),
  },
  events: {
    "tick-every": row("tick_every", ["i32"], "nothing"),
    message: row("message_get", [], "list"),
    answer: row("message_reply", ["bytes"], "nothing"),
  },
  bans: { ban: row("ban", ["20 bytes", "i32"], "i32") },
};

/** A component's hooks. `on-configure` answers whether it accepts, the core interface's whether it refuses. */
export const WORLD_HOOKS: Readonly<Record<string, HookName>> = {
  "on-configure": "on_configure",
  "on-request": "on_request",
  "on-request-body": "on_request_body",
  "on-request-end": "on_request_end",
  "on-response": "on_response",
  "on-response-body": "on_response_body",
  "on-response-end": "on_response_end",
  "on-end": "on_end",
  "on-connection": "on_connection",
  "on-data": "on_data",
  "on-tick": "on_tick",
  "on-message": "on_message",
};
