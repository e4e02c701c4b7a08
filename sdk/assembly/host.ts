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
