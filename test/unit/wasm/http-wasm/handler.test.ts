/** http-wasm modules by hand: what makes one, and what becomes of a guest that does what the interface calls a panic. */
import { describe, expect, it } from "vitest";
import { newTrailers } from "#http/trailers.ts";
import type { Head } from "#http/head.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";
import { CONTINUE, REPLY, SUSPEND } from "#pipeline/filter.ts";
import { TestMemory } from "#test/support/http-memory.ts";
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
  it("is told by its exports where it imports nothing", () => {
    expect(prepareModule(wat(source([], NEXT))).kind).toBe("http-wasm");
    expect(() => prepareModule(wat(source([], NEXT).replace("handle_response", "other")))).toThrow("penstock_abi_");
  });

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
      "an edit of an unknown kind of headers",
      ["add_header_value"],
      "(call $add_header_value (i32.const 4) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))",
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

describe("trailers", () => {
  const CALLS = [
    "enable_features",
    "get_header_values",
    "set_header_value",
    "add_header_value",
    "remove_header",
  ] as const;
  const put = (call: "set" | "add", kind: number): string =>
    `(call $${call}_header_value (i32.const ${kind}) (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1))`;
  const remove = (kind: number): string => `(call $remove_header (i32.const ${kind}) (i32.const 0) (i32.const 3))`;
  /** A trap unless there are so many values of `x-a`. */
  const has = (kind: number, count: number): string =>
    `(if (i64.ne (i64.shr_u (call $get_header_values (i32.const ${kind}) (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 64))
      (i64.const 32)) (i64.const ${count})) (then unreachable))`;
  const enable = (features: number): string => `(drop (call $enable_features (i32.const ${features})))`;
  const START = '(func (export "_initialize")';

  function module(request: string, response: string, features: number): string {
    return source(CALLS, `${request} ${NEXT}`, response).replace(
      '(func (export "handle_request")',
      `${START} ${enable(features)}) (func (export "handle_request")`,
    );
  }

  class Link implements BodyLink {
    readonly memory = new Uint8Array(65_536);
    readonly full = false;
    readonly store = new TestMemory();
    trailers: Head | null = null;
    ended = false;
    sent = "";
    makeTrailers(): Head {
      return (this.trailers ??= newTrailers(this.store));
    }
    data(_buffer: number, start: number, end: number): void {
      this.write(this.memory.subarray(start, end));
    }
    write(bytes: Uint8Array): void {
      this.sent += Buffer.from(bytes).toString();
    }
    end(): void {
      this.ended = true;
    }
    pause(): void {}
    resume(): void {}
    retain(): void {}
    release(): void {}
    fail(): void {}
  }

  function run(stage: BodyStage | null | undefined, received: readonly string[] = []): Link {
    const link = new Link();
    for (const value of received) link.makeTrailers().addSpelled("x-a", Buffer.from(value), 0, value.length);
    stage?.attach(link);
    stage?.data(0, 0, 0);
    stage?.end();
    stage?.drained();
    return link;
  }

  const POST = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n";

  it("are a feature that there is", async () => {
    const answer = `(if (i32.ne (call $enable_features (i32.const 4)) (i32.const 4)) (then unreachable))`;
    const filter = await made(source(CALLS, `${answer} ${NEXT}`));
    expect([filter.requestHead(new TestExchange(), 0), filter.stats.faults]).toEqual([CONTINUE, 0]);
  });

  it("set before the body is over go behind it, and behind those that came", async () => {
    const request = `${put("add", 2)} ${has(2, 1)} ${put("add", 3)}`;
    const response = `${has(3, 1)} ${remove(3)} ${put("add", 3)} ${put("add", 3)} ${has(3, 2)}`;
    const filter = await made(module(request, response, 4));
    const exchange = new TestExchange(POST).respondWith();
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect([exchange.requestStages.length, exchange.request.announcesTrailers]).toEqual([1, true]);
    const sent = run(exchange.requestStages[0], ["came"]);
    expect([sent.ended, sent.trailers?.entries()]).toEqual([
      true,
      [
        ["x-a", "came"],
        ["x-a", "x"],
      ],
    ]);
    expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
    expect([exchange.responseStages.length, exchange.response.announcesTrailers]).toEqual([1, true]);
    expect(run(exchange.responseStages[0], ["came"]).trailers?.entries()).toEqual([
      ["x-a", "x"],
      ["x-a", "x"],
    ]);
    filter.end(exchange, 0);
    expect(filter.stats.faults).toBe(0);
  });

  it("cost nothing where the guest says nothing of them, or the message has no content", async () => {
    const silent = await made(module("", "", 4));
    const exchange = new TestExchange(POST).respondWith();
    silent.requestHead(exchange, 0);
    silent.responseHead(exchange, 0);
    expect([exchange.requestStages, exchange.responseStages]).toEqual([[], []]);
    const told = await made(module(put("set", 2), put("set", 3), 4));
    const empty = new TestExchange().respondWith("HTTP/1.1 204 X\r\n\r\n");
    expect([told.requestHead(empty, 0), told.responseHead(empty, 0)]).toEqual([CONTINUE, CONTINUE]);
    expect([empty.requestStages, empty.responseStages, told.stats.faults]).toEqual([[], [], 0]);
  });

  it("that came are read and changed where the body is buffered", async () => {
    const edits = (kind: number): string => `${has(kind, 2)} ${put("set", kind)} ${has(kind, 1)}`;
    const filter = await made(module(edits(2), edits(3), 7));
    const exchange = new TestExchange(POST).respondWith();
    expect(filter.requestHead(exchange, 0)).toBe(SUSPEND);
    const sent = run(exchange.requestStages[0], ["1", "2"]);
    expect([exchange.resumed, sent.ended, sent.trailers?.entries()]).toEqual([[CONTINUE], true, [["x-a", "x"]]]);
    expect(filter.responseHead(exchange, 0)).toBe(SUSPEND);
    const back = run(exchange.responseStages[0], ["1", "2"]);
    expect([exchange.resumed, back.ended, back.trailers?.entries()]).toEqual([
      [CONTINUE, CONTINUE],
      true,
      [["x-a", "x"]],
    ]);
    expect(filter.stats.faults).toBe(0);
  });

  it("of the request can't be changed after it has gone on", async () => {
    const filter = await made(module("", put("set", 2), 4));
    const exchange = new TestExchange(POST).respondWith();
    filter.requestHead(exchange, 0);
    expect([filter.responseHead(exchange, 0), filter.stats.lastFault?.cause]).toEqual([REPLY, "host-call"]);
  });

  it("go behind the guest's own reply", async () => {
    const filter = await made(source(CALLS, `${put("set", 3)} (i64.const 0)`));
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    expect(exchange.reply).toMatchObject({ status: 200, body: "-1 bytes from a source" });
    const link = new Link();
    exchange.source?.attach(link);
    exchange.source?.drained();
    exchange.source?.drained();
    expect([link.sent, link.ended, link.trailers?.entries()]).toEqual(["", true, [["x-a", "x"]]]);
  });
});
