/** The same short filter for each interface: read `x-token`, compare it, add `x-checked: 1`; 401 without it. Written by hand, so that no SDK is measured. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { formatDiagnostic } from "#sdk/tooling/diagnostic.ts";
import { wat } from "#test/support/wat.ts";

const TOKEN_CHECK = join(import.meta.dirname, "../../../wasm-plugins/token-check/build/token-check.wasm");

/** What the SDK makes of it. */
export function assemblyScript(): Uint8Array {
  return readFileSync(TOKEN_CHECK);
}

/** By clang and wit-component. */
export function componentC(): Uint8Array {
  return readFileSync(join(import.meta.dirname, "../../corpus/component/token.wasm"));
}

/** With a JavaScript engine in it. */
export async function componentTypeScript(): Promise<Uint8Array> {
  const { wasm, diagnostics } = await buildPlugin(join(import.meta.dirname, "token-check-ts"));
  if (wasm.length === 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  return wasm;
}

/** `salt` makes modules that differ in code and data. */
export function core(salt: number): Uint8Array {
  return wat(`(module
    (import "penstock" "name_id" (func $name_id (param i32 i32) (result i32)))
    (import "penstock" "header_get" (func $header_get (param i32 i32 i32 i32) (result i32)))
    (import "penstock" "header_set" (func $header_set (param i32 i32 i32 i32) (result i32)))
    (import "penstock" "reply" (func $reply (param i32 i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x-token") (data (i32.const 16) "x-checked") (data (i32.const 32) "1 ${salt}")
    (global $token (mut i32) (i32.const 0)) (global $checked (mut i32) (i32.const 0)) (global $salt i32 (i32.const ${salt}))
    (func (export "penstock_abi_1"))
    (func (export "on_configure") (result i32)
      (global.set $token (call $name_id (i32.const 0) (i32.const 7)))
      (global.set $checked (call $name_id (i32.const 16) (i32.const 9)))
      (i32.store offset=512 (i32.const 0) (global.get $salt))
      (i32.const 0))
    (func (export "on_request") (result i32)
      (if (i32.ne (call $header_get (i32.const 0) (global.get $token) (i32.const 64) (i32.const 64)) (i32.const 6))
        (then (call $reply (i32.const 401) (i32.const 0) (i32.const 0)) (return (i32.const 1))))
      (if (i32.ne (i32.load (i32.const 64)) (i32.const 0x72633373))
        (then (call $reply (i32.const 401) (i32.const 0) (i32.const 0)) (return (i32.const 1))))
      (drop (call $header_set (i32.const 0) (global.get $checked) (i32.const 32) (i32.const 1)))
      (i32.const 0)))`);
}

/** About a megabyte: the filter, and data that is never read. */
export function megabyte(): Uint8Array {
  const bytes = 1_000_000;
  const text = `(data $large "${"x".repeat(bytes)}")`;
  return wat(`(module (memory (export "memory") 1) ${text} (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32) (i32.const 0))
    ${Array.from(
      { length: 200 },
      (_, index) => `(func (export "f${index}") (param i32) (result i32)
      (loop (br_if 0 (i32.gt_u (local.tee 0 (i32.mul (local.get 0) (i32.const ${index + 3}))) (i32.const 9)))) (local.get 0))`,
    ).join("\n")})`);
}

/** A hook that never ends. */
export function endless(): Uint8Array {
  return wat(`(module (memory (export "memory") 1) (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32) (loop (br 0)) (unreachable)))`);
}

export function proxyWasm(): Uint8Array {
  return wat(`(module
    (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x-token") (data (i32.const 16) "x-checked") (data (i32.const 32) "1")
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $get (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 64) (i32.const 68)))
      (if (i32.or (i32.ne (i32.load (i32.const 68)) (i32.const 6)) (i32.ne (i32.load (i32.load (i32.const 64))) (i32.const 0x72633373)))
        (then (drop (call $reply (i32.const 401) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
          (return (i32.const 1))))
      (drop (call $set (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 32) (i32.const 1)))
      (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
    (func (export "proxy_on_delete") (param i32)))`);
}

export function httpWasm(): Uint8Array {
  return wat(`(module
    (import "http_handler" "get_header_values" (func $get (param i32 i32 i32 i32 i32) (result i64)))
    (import "http_handler" "set_header_value" (func $set (param i32 i32 i32 i32 i32)))
    (import "http_handler" "set_status_code" (func $status (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x-token") (data (i32.const 16) "x-checked") (data (i32.const 32) "1")
    (func (export "handle_request") (result i64)
      (if (i32.or (i32.ne (i32.wrap_i64 (call $get (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 64) (i32.const 64))) (i32.const 7))
          (i32.ne (i32.load (i32.const 64)) (i32.const 0x72633373)))
        (then (call $status (i32.const 401)) (return (i64.const 0))))
      (call $set (i32.const 0) (i32.const 16) (i32.const 9) (i32.const 32) (i32.const 1))
      (i64.const 1))
    (func (export "handle_response") (param i32 i32)))`);
}
