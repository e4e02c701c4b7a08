// The host calls, as ../types/abi.ts defines them. A module imports only those that it uses.

// @ts-ignore: decorator
@external("penstock", "name_id")
export declare function name_id(pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_get")
export declare function header_get(head: i32, name: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_count")
export declare function header_count(head: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_name")
export declare function header_name(head: i32, position: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_value")
export declare function header_value(head: i32, position: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_set")
export declare function header_set(head: i32, name: i32, pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_add")
export declare function header_add(head: i32, name: i32, pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "header_remove")
export declare function header_remove(head: i32, name: i32): i32;
// @ts-ignore: decorator
@external("penstock", "request_part")
export declare function request_part(part: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "set_target")
export declare function set_target(pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "status")
export declare function get_status(): i32;
// @ts-ignore: decorator
@external("penstock", "set_status")
export declare function set_status(status: i32): i32;
// @ts-ignore: decorator
@external("penstock", "reply_header")
export declare function reply_header(name: i32, pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "reply")
export declare function reply(status: i32, pointer: usize, length: i32): void;
// @ts-ignore: decorator
@external("penstock", "config_get")
export declare function config_get(key: usize, keyLength: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "log")
export declare function write_log(level: i32, pointer: usize, length: i32): void;
// @ts-ignore: decorator
@external("penstock", "map_open")
export declare function map_open(name: usize, nameLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "map_shape")
export declare function map_shape(handle: i32, pointer: usize): void;
// @ts-ignore: decorator
@external("penstock", "map_get")
export declare function map_get(handle: i32, key: usize, keyLength: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "map_put")
export declare function map_put(handle: i32, key: usize, keyLength: i32, value: usize, valueLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "map_delete")
export declare function map_delete(handle: i32, key: usize, keyLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "map_increment")
export declare function map_increment(handle: i32, key: usize, keyLength: i32, delta: i64): i64;
// @ts-ignore: decorator
@external("penstock", "upstream_open")
export declare function upstream_open(name: usize, nameLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "fetch_header")
export declare function fetch_header(name: usize, nameLength: i32, value: usize, valueLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "fetch")
export declare function start_fetch(
  upstream: i32,
  method: usize, methodLength: i32,
  path: usize, pathLength: i32,
  body: usize, bodyLength: i32,
  timeoutMs: i32,
): i32;
// @ts-ignore: decorator
@external("penstock", "fetched_header")
export declare function fetched_header(name: usize, nameLength: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "fetched_body")
export declare function fetched_body(pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "fetched_error")
export declare function fetched_error(pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "now_ms")
export declare function now_ms(): f64;
// @ts-ignore: decorator
@external("penstock", "boot_ms")
export declare function boot_ms(): f64;
// @ts-ignore: decorator
@external("penstock", "random_bytes")
export declare function random_bytes(pointer: usize, length: i32): void;
// @ts-ignore: decorator
@external("penstock", "route_to")
export declare function route_to(upstream: i32, endpoint: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "property")
export declare function property(which: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "measure")
export declare function measure(which: i32): f64;
// @ts-ignore: decorator
@external("penstock", "body_size")
export declare function body_size(): i32;
// @ts-ignore: decorator
@external("penstock", "body_get")
export declare function body_get(offset: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "body_splice")
export declare function body_splice(offset: i32, removed: i32, pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "body_skip")
export declare function body_skip(): void;
// @ts-ignore: decorator
@external("penstock", "exchange_put")
export declare function exchange_put(pointer: usize, length: i32): void;
// @ts-ignore: decorator
@external("penstock", "exchange_get")
export declare function exchange_get(pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "map_next")
export declare function map_next(handle: i32, key: usize, keyLength: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "ban")
export declare function ban_prefix(prefix: usize, seconds: i32): i32;
// @ts-ignore: decorator
@external("penstock", "kv_get")
export declare function kv_get(key: usize, keyLength: i32, pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "kv_version")
export declare function kv_version(): i32;
// @ts-ignore: decorator
@external("penstock", "kv_put")
export declare function kv_put(
  key: usize,
  keyLength: i32,
  value: usize,
  valueLength: i32,
  ttlMs: f64,
  version: i32,
): i32;
// @ts-ignore: decorator
@external("penstock", "kv_delete")
export declare function kv_delete(key: usize, keyLength: i32, version: i32): i32;
// @ts-ignore: decorator
@external("penstock", "kv_increment")
export declare function kv_increment(key: usize, keyLength: i32, delta: i64, ttlMs: f64): i64;
// @ts-ignore: decorator
@external("penstock", "metric_define")
export declare function metric_define(kind: i32, name: usize, nameLength: i32): i32;
// @ts-ignore: decorator
@external("penstock", "metric_add")
export declare function metric_add(handle: i32, delta: f64): void;
// @ts-ignore: decorator
@external("penstock", "metric_record")
export declare function metric_record(handle: i32, value: f64): void;
// @ts-ignore: decorator
@external("penstock", "connect")
export declare function start_connect(upstream: i32, timeoutMs: i32): i32;
// @ts-ignore: decorator
@external("penstock", "connection_send")
export declare function connection_send(connection: i32, pointer: usize, length: i32): i32;
// @ts-ignore: decorator
@external("penstock", "connection_receive")
export declare function connection_receive(connection: i32, pointer: usize, capacity: i32, timeoutMs: i32): i32;
// @ts-ignore: decorator
@external("penstock", "connection_close")
export declare function connection_close(connection: i32): void;
// @ts-ignore: decorator
@external("penstock", "verify")
export declare function verify_signature(
  algorithm: i32,
  key: usize,
  keyLength: i32,
  data: usize,
  dataLength: i32,
  signature: usize,
  signatureLength: i32,
): i32;
// @ts-ignore: decorator
@external("penstock", "hmac_sha256")
export declare function hmac_sha256(
  key: usize,
  keyLength: i32,
  data: usize,
  dataLength: i32,
  pointer: usize,
): void;
// @ts-ignore: decorator
@external("penstock", "sha256")
export declare function digest_sha256(data: usize, dataLength: i32, pointer: usize): void;
// @ts-ignore: decorator
@external("penstock", "tick_every")
export declare function tick_every(periodMs: i32): void;
// @ts-ignore: decorator
@external("penstock", "message_get")
export declare function message_get(pointer: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("penstock", "message_reply")
export declare function message_reply(pointer: usize, length: i32): void;
