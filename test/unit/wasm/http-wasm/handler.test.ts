/** http-wasm modules by hand: what makes one, and what becomes of a guest that does what the interface calls a panic. */
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { HANDLER_CALLS } from "#wasm/http-wasm/abi.ts";
import { prepareModule } from "#wasm/prepare.ts";

type CallName = keyof typeof HANDLER_CALLS;

const NEXT = "(i64.const 1)";

function source(calls: readonly CallName[], request: string, response = "", fields = ""): string {
  const imports = calls.map((name) => {
    const { params, results } = HANDLER_CALLS[name];
    const list = (kind: string, types: readonly string[]) => (types.length === 0 ? "" : `(${kind} ${types.join(" ")})`);
    return `(import "http_handler" "${name}" (func $${name} ${list("param", params)} ${list("result", results)}))`;
  });
  return `(module ${imports.join("\n")} (memory (export "memory") 1) (data (i32.const 0) "x-a") ${fields}
    (func (export "handle_request") (result i64) ${request})
    (func (export "handle_response") (param $context i32) (param i32) ${response}))`;
}

async function made(text: string): Promise<WasmFilter> {
  const loaded = await loadModule(prepareModule(wat(text)).bytes);
  return createWasmFilter(filterSpec(), PLUGIN, loaded, new TestServices(), RESOURCES);
}

describe("a module", () => {
  it("is told by its imports", () => {
    const { kind, abi, hooks } = prepareModule(wat(source(["log"], NEXT)));
    expect({ kind, abi, hooks }).toEqual({
      kind: "http-wasm",
      abi: "http-wasm http-handler",
      hooks: ["handle_request", "handle_response"],
    });
  });

  it.each([
    [
      "without handle_response",
      source(["log"], NEXT).replace("handle_response", "other"),
      "handle_response is not exported",
    ],
    ["with an unknown import", source(["log"], NEXT).replace('"log"', '"fly"'), "unknown import http_handler.fly"],
    ["with an import of another type", source(["log"], NEXT).replace("(param i32 i32 i32)", ""), "has type () → ()"],
    [
      "without memory",
      source(["log"], NEXT).replace("memory (export", "memory (; (export").replace(") 1)", ") ;) 1)"),
      "no memory",
    ],
  ])("%s is refused", (_, text, reason) => {
    expect(() => prepareModule(wat(text))).toThrow(reason);
  });
});

describe("what the interface calls a panic ends the guest, and the route answers", () => {
  it.each<[string, readonly CallName[], string]>([
    [
      "a header without a name",
      ["set_header_value"],
      "(call $set_header_value (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1))",
    ],
    [
      "a name outside the memory",
      ["remove_header"],
      "(call $remove_header (i32.const 0) (i32.const 65535) (i32.const 9))",
    ],
    [
      "trailers",
      ["add_header_value"],
      "(call $add_header_value (i32.const 2) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))",
    ],
    [
      "an unknown kind of headers",
      ["get_header_names"],
      "(drop (call $get_header_names (i32.const 9) (i32.const 0) (i32.const 0)))",
    ],
    ["a read into no bytes", ["read_body"], "(drop (call $read_body (i32.const 0) (i32.const 0) (i32.const 0)))"],
    [
      "a read of the response before there is one",
      ["read_body"],
      "(drop (call $read_body (i32.const 1) (i32.const 0) (i32.const 9)))",
    ],
    ["an unknown kind of body", ["write_body"], "(call $write_body (i32.const 2) (i32.const 0) (i32.const 1))"],
    ["a body outside the memory", ["write_body"], "(call $write_body (i32.const 1) (i32.const 65535) (i32.const 9))"],
    [
      "a body for a request that has none",
      ["write_body"],
      "(call $write_body (i32.const 0) (i32.const 0) (i32.const 3))",
    ],
    ["status 99", ["set_status_code"], "(call $set_status_code (i32.const 99))"],
    ["an empty method", ["set_method"], "(call $set_method (i32.const 0) (i32.const 0))"],
    ["a URI that is none", ["set_uri"], "(call $set_uri (i32.const 0) (i32.const 3))"],
    ["a result outside the memory", ["get_method"], "(drop (call $get_method (i32.const 65535) (i32.const 99)))"],
  ])("%s", async (_, calls, body) => {
    const filter = await made(source(calls, `${body} ${NEXT}`));
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    expect(exchange.reply?.status).toBe(503);
    expect(filter.stats.faults).toBe(1);
    filter.end(exchange, 0);
  });

  it("an edit of the request after it has gone on", async () => {
    const edit = `(call $set_header_value (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))`;
    const filter = await made(source(["set_header_value"], NEXT, edit));
    const exchange = new TestExchange().respondWith();
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect(filter.responseHead(exchange, 0)).toBe(REPLY);
    expect(filter.stats.faultsByCause["host-call"]).toBe(1);
  });
});

it("hands 32 bits from request to response, each exchange its own", async () => {
  const request = `(global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i64.or (i64.shl (i64.extend_i32_u (i32.sub (i32.const 0) (global.get $n))) (i64.const 32)) (i64.const 1))`;
  const response = `(if (i32.ne (local.get $context) (i32.sub (i32.const 0) (global.get $n))) (then unreachable))`;
  const filter = await made(source(["log"], request, response, "(global $n (mut i32) (i32.const 0))"));
  const exchanges = Array.from({ length: 5 }, () => new TestExchange().respondWith());
  for (const exchange of exchanges) expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
  for (const exchange of exchanges.toReversed()) expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
  for (const exchange of exchanges) filter.end(exchange, 0);
  expect(filter.stats.faults).toBe(0);
});
