/** Plugins that ask an upstream in their hooks, by hand, and services whose upstream answers when a test says so. */
import { setImmediate as turn } from "node:timers/promises";
import type { FetchResponse } from "#pipeline/filter.ts";
import type { PluginFilterSpec, TenantQuotas } from "#snapshot/snapshot.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import type { Interposer, LoadedModule } from "#wasm/guest/runtime.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { filterSpec, MAPS, PLUGIN, RESOURCES, TestServices } from "./wasm.ts";
import { wat } from "./wat.ts";

/** "api" at 0, "GET" at 8, "/no" at 16, "x-by" at 24. */
const MODULE = `(import "penstock" "upstream_open" (func $open (param i32 i32) (result i32)))
  (import "penstock" "fetch" (func $start (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "penstock" "fetched_body" (func $fetched (param i32 i32) (result i32)))
  (import "penstock" "body_size" (func $size (result i32)))
  (import "penstock" "body_get" (func $get (param i32 i32 i32) (result i32)))
  (import "penstock" "reply" (func $reply (param i32 i32 i32)))
  (import "penstock" "property" (func $property (param i32 i32 i32) (result i32)))
  (import "penstock" "request_part" (func $part (param i32 i32 i32) (result i32)))
  (import "penstock" "exchange_put" (func $put (param i32 i32)))
  (import "penstock" "exchange_get" (func $kept (param i32 i32) (result i32)))
  (import "penstock" "message_get" (func $message (param i32 i32) (result i32)))
  (import "penstock" "message_reply" (func $answer (param i32 i32)))
  (import "penstock" "tick_every" (func $every (param i32)))
  (import "penstock" "name_id" (func $name (param i32 i32) (result i32)))
  (import "penstock" "header_add" (func $add (param i32 i32 i32 i32) (result i32)))
  (import "penstock" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "api") (data (i32.const 8) "GET") (data (i32.const 16) "/no") (data (i32.const 24) "x-by")
  (global $calls (mut i32) (i32.const 0))
  (func (export "penstock_abi_2"))
  ;; Asks for "/", with the first KiB that is at hand as its body.
  (func $fetch (result i32)
    (call $start (call $open (i32.const 0) (i32.const 3)) (i32.const 8) (i32.const 3) (i32.const 16) (i32.const 1)
      (i32.const 1024) (call $get (i32.const 0) (i32.const 1024) (i32.const 1024)) (i32.const 0)))
  ;; The same without a body.
  (func $ask (result i32)
    (call $start (call $open (i32.const 0) (i32.const 3)) (i32.const 8) (i32.const 3) (i32.const 16) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0)))`;

export const NO_ANSWER: FetchResponse = { status: 0, headers: [], body: new Uint8Array(), error: "gone" };

export function answered(status: number, body = ""): FetchResponse {
  return { status, headers: [], body: Buffer.from(body), error: "" };
}

export class SlowUpstream extends TestServices {
  /** What was asked with. */
  readonly bodies: string[] = [];
  readonly #asked: ((answer: FetchResponse) => void)[] = [];
  /** The clock of the filter that was made last; null: it has none. */
  tick: (() => void) | null = null;

  constructor(quotas: Partial<TenantQuotas> = {}) {
    super(MAPS, quotas);
    const { fetch } = this;
    this.fetch = (upstream, request) => {
      this.bodies.push(Buffer.from(request.body).toString());
      return fetch(upstream, request);
    };
    this.answer = () => new Promise((resolve) => this.#asked.push(resolve));
  }

  get waiting(): number {
    return this.#asked.length;
  }

  /** Answers the oldest question. */
  async says(answer: FetchResponse): Promise<void> {
    this.#asked.shift()?.(answer);
    await turn();
  }

  every = (_periodMs: number, run: () => void): (() => void) => {
    this.tick = run;
    return () => (this.tick = null);
  };
}

/** `hooks`: exports of the module above. */
export function waitingModule(hooks: string): Promise<LoadedModule> {
  return loadModule(prepareModule(wat(`(module ${MODULE} ${hooks})`)).bytes);
}

export async function waitingFilter(
  hooks: string,
  services: TestServices,
  spec: Partial<PluginFilterSpec> = {},
  interposer: Interposer | null = null,
): Promise<WasmFilter> {
  const loaded = await waitingModule(hooks);
  const allowed = filterSpec({ allow: { maps: [], upstreams: [0] }, ...spec });
  return createWasmFilter(allowed, PLUGIN, loaded, services, RESOURCES, interposer);
}

export function bodyHook(code: string, direction: "request" | "response" = "request"): string {
  return `(func (export "on_${direction}_body") (param $last i32) (result i32) ${code})`;
}

/** Refuses what is not answered with 200. */
export const JUDGES = `(if (i32.ne (call $fetch) (i32.const 200))
  (then (call $reply (i32.const 403) (i32.const 16) (i32.const 3)) (return (i32.const 1)))) (i32.const 0)`;
/** The same of a stream. */
export const JUDGES_STREAM = "(i32.ne (call $fetch) (i32.const 200))";
/** Each piece of a body. */
export const EACH: string = bodyHook(JUDGES);
/** The whole of it. */
export const WHOLE: string = bodyHook(`(if (i32.eqz (local.get $last)) (then (return (i32.const 2)))) ${JUDGES}`);
export const HOLDS = `(func (export "on_request") (result i32) (i32.const 2))`;
