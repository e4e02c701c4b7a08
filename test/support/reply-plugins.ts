/** Plugins that answer each request themselves, written down in WebAssembly's text. */
import { wat } from "./wat.ts";

const REPLY = `(import "penstock" "reply" (func $reply (param i32 i32 i32)))`;

export const replyPlugin = (body: string, imports = "", data = ""): Uint8Array =>
  wat(`(module ${imports} ${REPLY} (memory (export "memory") 1) ${data} (func (export "penstock_abi_2"))
    (func (export "on_request") (result i32) ${body}))`);

/** Answers 200 plus how often it has been asked, by whichever worker: it counts in the tenant's entries. */
export const countingPlugin = (): Uint8Array =>
  replyPlugin(
    `(call $reply (i32.add (i32.const 200) (i32.wrap_i64 (call $count (i32.const 0) (i32.const 4) (i64.const 1) (f64.const 0)))) (i32.const 0) (i32.const 0)) (i32.const 1)`,
    `(import "penstock" "kv_increment" (func $count (param i32 i32 i64 f64) (result i64)))`,
    `(data (i32.const 0) "hits")`,
  );
