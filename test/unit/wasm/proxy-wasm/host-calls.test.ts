/**
 * What host calls answer when they are misused, from hand-written modules: sizes that lie, pointers outside the memory, no
 * allocator, calls at the wrong time and from within themselves. Each module puts the status into a header, `x-status`.
 */
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY, SUSPEND } from "#pipeline/filter.ts";
import { RESOURCES, TestExchange } from "#test/support/wasm.ts";
import type { PROXY_CALLS } from "#wasm/proxy-wasm/abi.ts";
import { encodePairs } from "#wasm/proxy-wasm/pairs.ts";
import { made, onRequestHeaders, proxyModule } from "./guest.ts";

type CallName = keyof typeof PROXY_CALLS;

/** Data at 0: names and values that the calls below point to. */
const DATA = `(data (i32.const 0) "x-status") (data (i32.const 16) "host") (data (i32.const 32) "x-a") (data (i32.const 40) "a\\0d\\0ab")
  (data (i32.const 64) ":path") (data (i32.const 80) "auth") (data (i32.const 96) "key") (data (i32.const 112) "\\02\\00\\00\\00\\ff\\ff\\ff\\ff")`;

/** Writes $a as one decimal, or two, into x-status. */
const TELL = `(func $tell (param $status i32)
    (i32.store8 (i32.const 900) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
    (i32.store8 (i32.const 901) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
    (drop (call $proxy_replace_header_map_value (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 900) (i32.const 2))))`;

async function statusOf(call: CallName, args: readonly number[], allocator?: string): Promise<string | undefined> {
  const calls: CallName[] = ["proxy_replace_header_map_value"];
  if (call !== "proxy_replace_header_map_value") calls.push(call);
  const operands = args.map((arg) => `(i32.const ${arg})`).join(" ");
  const body = onRequestHeaders(`(call $tell (call $${call} ${operands})) (i32.const 0)`);
  const parts = { calls, functions: `${DATA} ${TELL} ${body}` };
  const { filter } = await made(proxyModule(allocator === undefined ? parts : { ...parts, allocator }));
  const exchange = new TestExchange();
  expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
  expect(filter.stats.faults).toBe(0);
  return exchange.request.get("x-status");
}

const OUTSIDE = 65_535;
const OUT = 1024;
const EVERYTHING = -1;
const NO_ALLOCATOR = "";
const NULL_ALLOCATOR = `(func (export "malloc") (param i32) (result i32) (i32.const 0))`;
const WILD_ALLOCATOR = `(func (export "malloc") (param i32) (result i32) (i32.const 65530))`;

describe("answers", () => {
  it.each<[string, string, CallName, readonly number[]]>([
    ["00", "a value", "proxy_get_header_map_value", [0, 64, 5, OUT, OUT + 4]],
    ["01", "a name that is not there", "proxy_get_header_map_value", [0, 32, 3, OUT, OUT + 4]],
    ["02", "a map that there is not", "proxy_get_header_map_value", [8, 16, 4, OUT, OUT + 4]],
    ["02", "a negative map", "proxy_get_header_map_value", [-1, 16, 4, OUT, OUT + 4]],
    ["06", "a name outside the memory", "proxy_get_header_map_value", [0, OUTSIDE, 4, OUT, OUT + 4]],
    ["06", "a name of four gigabytes", "proxy_get_header_map_value", [0, 16, EVERYTHING, OUT, OUT + 4]],
    ["06", "a place for the result outside the memory", "proxy_get_header_map_value", [0, 64, 5, OUTSIDE, OUT]],
    ["01", "an empty name", "proxy_get_header_map_value", [0, 0, 0, OUT, OUT + 4]],
    ["01", "response headers during the request", "proxy_get_header_map_value", [2, 16, 4, OUT, OUT + 4]],
    ["02", "an edit of response headers during the request", "proxy_replace_header_map_value", [2, 32, 3, 32, 3]],
    ["02", "a value with a line break", "proxy_add_header_map_value", [0, 32, 3, 40, 4]],
    ["06", "a value outside the memory", "proxy_add_header_map_value", [0, 32, 3, OUTSIDE, 4]],
    ["02", "a name with a line break", "proxy_add_header_map_value", [0, 40, 4, 32, 3]],
    ["02", "a path that is none", "proxy_replace_header_map_value", [0, 64, 5, 32, 3]],
    ["02", "a map whose sizes lie", "proxy_set_header_map_pairs", [0, 112, 12]],
    ["06", "a map outside the memory", "proxy_set_header_map_pairs", [0, 112, EVERYTHING]],
    ["00", "the size of a map", "proxy_get_header_map_size", [0, OUT]],
    ["06", "the size of a map, to nowhere", "proxy_get_header_map_size", [0, -4]],
    ["01", "a body that is not there", "proxy_get_buffer_bytes", [0, 0, 10, OUT, OUT + 4]],
    ["02", "an unknown buffer", "proxy_get_buffer_bytes", [9, 0, 10, OUT, OUT + 4]],
    ["00", "the configuration, from behind its end", "proxy_get_buffer_bytes", [7, 100, 10, OUT, OUT + 4]],
    ["02", "a range that overflows", "proxy_get_buffer_bytes", [7, -1, 10, OUT, OUT + 4]],
    ["01", "a change of the configuration", "proxy_set_buffer_bytes", [7, 0, 0, 0, 1]],
    ["02", "a stream that there is not", "proxy_continue_stream", [4]],
    ["02", "a TCP stream in an HTTP context", "proxy_continue_stream", [2]],
    ["00", "a request that is not paused", "proxy_continue_stream", [0]],
    ["02", "a context that there is not", "proxy_set_effective_context", [77]],
    ["01", "done, with a context that is not pending", "proxy_done", []],
    ["02", "a reply with status 99", "proxy_send_local_response", [99, 0, 0, 0, 0, 0, 0, -1]],
    ["06", "a reply's body outside the memory", "proxy_send_local_response", [200, 0, 0, 0, EVERYTHING, 0, 0, -1]],
    ["02", "a reply whose headers lie", "proxy_send_local_response", [200, 0, 0, 0, 0, 112, 12, -1]],
    ["02", "an upstream that is not allowed", "proxy_http_call", [80, 4, 0, 0, 0, 0, 0, 0, 100, OUT]],
    ["06", "headers outside the memory", "proxy_http_call", [80, 4, OUTSIDE, 9, 0, 0, 0, 0, 100, OUT]],
    ["12", "a gRPC call", "proxy_grpc_call", [80, 4, 0, 0, 0, 0, 0, 0, 0, 0, 100, OUT]],
    ["12", "a gRPC stream", "proxy_grpc_stream", [80, 4, 0, 0, 0, 0, 0, 0, OUT]],
    ["12", "a message of a gRPC stream that there is not", "proxy_grpc_send", [1, 0, 0, 1]],
    ["12", "the cancellation of a gRPC call that there is not", "proxy_grpc_cancel", [1]],
    ["12", "the end of a gRPC stream that there is not", "proxy_grpc_close", [1]],
    ["01", "shared data that nobody has set", "proxy_get_shared_data", [96, 3, OUT, OUT + 4, OUT + 8]],
    ["08", "shared data against a version that never was", "proxy_set_shared_data", [96, 3, 0, 1, 99]],
    ["06", "shared data from outside the memory", "proxy_set_shared_data", [96, 3, OUTSIDE, 9, 0]],
    ["02", "shared data of a megabyte's key", "proxy_set_shared_data", [0, 60_000, 0, 1, 0]],
    ["01", "a queue that there is not", "proxy_enqueue_shared_queue", [99, 0, 1]],
    ["01", "an unknown foreign function", "proxy_call_foreign_function", [96, 3, 0, 0, OUT, OUT + 4]],
    ["01", "a property that there is not", "proxy_get_property", [96, 3, OUT, OUT + 4]],
    ["02", "a metric of an unknown kind", "proxy_define_metric", [3, 96, 3, OUT]],
    ["02", "a log level that there is not", "proxy_log", [6, 0, 1]],
    ["06", "a log line outside the memory", "proxy_log", [2, OUTSIDE, 2]],
    ["00", "a tick of no milliseconds", "proxy_set_tick_period_milliseconds", [0]],
    ["06", "the time, to nowhere", "proxy_get_current_time_nanoseconds", [-2]],
  ])("%s for %s", async (status, _, call, args) => {
    expect(await statusOf(call, args)).toBe(status);
  });

  it.each([
    ["no allocator", NO_ALLOCATOR],
    ["an allocator that has nothing", NULL_ALLOCATOR],
    ["an allocator that points outside the memory", WILD_ALLOCATOR],
  ])("06 for a value, with %s", async (_, allocator) => {
    expect(await statusOf("proxy_get_header_map_value", [0, 32, 3, OUT, OUT + 4], allocator)).toBe("01");
    expect(await statusOf("proxy_get_header_map_value", [0, 64, 5, OUT, OUT + 4], allocator)).toBe("06");
    expect(await statusOf("proxy_get_header_map_pairs", [0, OUT, OUT + 4], allocator)).toBe("06");
  });

  it("an empty value without a status, for a name that is not there, in 0.1.0", async () => {
    const body = onRequestHeaders(
      `(call $tell (call $proxy_get_header_map_value (i32.const 0) (i32.const 32) (i32.const 3) (i32.const 1024) (i32.const 1028)))
       (i32.const 0)`,
    );
    const calls = ["proxy_replace_header_map_value", "proxy_get_header_map_value"] as const;
    const { filter } = await made(proxyModule({ calls, functions: `${DATA} ${TELL} ${body}`, version: "0_1_0" }));
    const exchange = new TestExchange();
    filter.requestHead(exchange, 0);
    expect(exchange.request.get("x-status")).toBe("00");
  });
});

describe("what a plugin of others wants of its gateway", () => {
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  const CLUSTER = "outbound|80||auth";
  const asked = encodePairs([
    [":method", "GET"],
    [":path", "/check"],
    [":authority", "auth.test"],
  ]);
  const data = `(data (i32.const 200) "${hex(asked)}") (data (i32.const 400) "${CLUSTER}")`;
  const call = `(call $tell (call $proxy_http_call (i32.const 400) (i32.const ${CLUSTER.length}) (i32.const 200) (i32.const ${asked.length})
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 1024))) (i32.const 0)`;
  const calling = proxyModule({
    calls: ["proxy_replace_header_map_value", "proxy_http_call"],
    functions: `${DATA} ${data} ${TELL} ${onRequestHeaders(call)}`,
  });
  const [upstream] = RESOURCES.upstreams;

  it("is an upstream by the name of a cluster, where the route says which", async () => {
    const vm = { rootId: "", id: "", configuration: "", clusters: { [CLUSTER]: upstream?.name ?? "" } };
    const { filter, services } = await made(calling, { vm, allow: { upstreams: [0], maps: [] } });
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect(exchange.request.get("x-status")).toBe("00");
    expect(services.fetches).toMatchObject([{ upstream: 0, method: "GET", path: "/check" }]);
  });

  it("is told in the log where it is not there", async () => {
    const { filter, services } = await made(calling, { allow: { upstreams: [0], maps: [] } });
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect(exchange.request.get("x-status")).toBe("02");
    expect(services.logs).toEqual([
      `warn sample@1 it calls the cluster "${CLUSTER}", and the route allows no such upstream`,
    ]);
    const foreign = `(call $tell (call $proxy_call_foreign_function (i32.const 80) (i32.const 4) (i32.const 0) (i32.const 0)
      (i32.const 1024) (i32.const 1028))) (i32.const 0)`;
    const calls = ["proxy_replace_header_map_value", "proxy_call_foreign_function"] as const;
    const other = await made(proxyModule({ calls, functions: `${DATA} ${TELL} ${onRequestHeaders(foreign)}` }));
    other.filter.requestHead(exchange, 0);
    expect(exchange.request.get("x-status")).toBe("01");
    expect(other.services.logs).toEqual(['warn sample@1 it calls the foreign function "auth", and there is none here']);
  });
});

describe("a guest that misuses the host", () => {
  it("asks for a value while it is asked for memory: it ends", async () => {
    const ask = `(call $proxy_get_header_map_value (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 1024) (i32.const 1028))`;
    const allocator = `(func (export "malloc") (param i32) (result i32) ${ask})`;
    const wasm = proxyModule({
      calls: ["proxy_get_header_map_value"],
      functions: `${DATA} ${onRequestHeaders(ask)}`,
      allocator,
    });
    const { filter } = await made(wasm);
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    expect(exchange.reply?.status).toBe(503);
    expect(filter.stats.lastFault?.detail).toContain("memory was asked for");
  });

  it("loops: its fuel ends, the next request is served by the next guest", async () => {
    const body = `(if (i32.gt_u (local.get $count) (i32.const 5)) (then (loop $l (br $l)))) (i32.const 0)`;
    const { filter } = await made(proxyModule({ functions: onRequestHeaders(body) }));
    const full = new TestExchange("GET / HTTP/1.1\r\nhost: a\r\na: 1\r\nb: 2\r\n\r\n");
    expect(filter.requestHead(full, 0)).toBe(REPLY);
    expect(filter.stats.faultsByCause.fuel).toBe(1);
    expect(filter.requestHead(new TestExchange(), 0)).toBe(CONTINUE);
  });

  it("leaves its process: that is a fault, with its code", async () => {
    const imports = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`;
    const functions = onRequestHeaders("(call $exit (i32.const 3)) (unreachable)");
    const { filter } = await made(proxyModule({ imports, functions }));
    expect(filter.requestHead(new TestExchange(), 0)).toBe(REPLY);
    expect(filter.stats.lastFault).toMatchObject({ cause: "host-call", detail: "it left its process, with code 3" });
  });

  it("changes a head from the plugin's own context, which has none: nothing happens", async () => {
    const body = `(drop (call $proxy_set_effective_context (i32.const 1))) (call $tell (i32.const 0)) (i32.const 0)`;
    const calls = ["proxy_replace_header_map_value", "proxy_set_effective_context"] as const;
    const { filter } = await made(proxyModule({ calls, functions: `${DATA} ${TELL} ${onRequestHeaders(body)}` }));
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
    expect(exchange.request.get("x-status")).toBeUndefined();
  });

  it("is not done, and never says so: its context is bounded in number and dies with the filter", async () => {
    const functions = `${onRequestHeaders("(i32.const 0)")} (func (export "proxy_on_done") (param i32) (result i32) (i32.const 0))
      (func (export "proxy_on_delete") (param i32) unreachable)`;
    const { filter } = await made(proxyModule({ functions }));
    for (let n = 0; n < 1024; n++) {
      const exchange = new TestExchange();
      filter.requestHead(exchange, 0);
      filter.end(exchange, 0);
    }
    expect(filter.stats.faults).toBe(0);
    const exchange = new TestExchange();
    filter.requestHead(exchange, 0);
    filter.end(exchange, 0);
    expect(filter.stats.faults).toBe(1);
  });

  it("is done later: on_log and on_delete come then, once", async () => {
    const functions = `(global $done (mut i32) (i32.const 0)) (global $late (mut i32) (i32.const 0))
      (func (export "proxy_on_request_headers") (param $id i32) (param i32) (param i32) (result i32)
        (if (global.get $late) (then
          (drop (call $proxy_set_effective_context (global.get $late)))
          (drop (call $proxy_done)) (drop (call $proxy_done))
          (drop (call $proxy_set_effective_context (local.get $id)))))
        (i32.const 0))
      (func (export "proxy_on_done") (param $id i32) (result i32)
        (if (global.get $late) (then (return (i32.const 1))))
        (global.set $late (local.get $id)) (i32.const 0))
      (func (export "proxy_on_delete") (param $id i32)
        (if (i32.eq (local.get $id) (global.get $late)) (then
          (global.set $done (i32.add (global.get $done) (i32.const 1)))
          (if (i32.gt_u (global.get $done) (i32.const 1)) (then unreachable)))))`;
    const { filter } = await made(proxyModule({ calls: ["proxy_set_effective_context", "proxy_done"], functions }));
    for (let n = 0; n < 5; n++) {
      const exchange = new TestExchange();
      expect(filter.requestHead(exchange, 0)).toBe(CONTINUE);
      filter.end(exchange, 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(filter.stats.faults).toBe(0);
  });

  it("pauses for ever: the route's answer comes at the deadline, and the guest lives", async () => {
    const { filter } = await made(proxyModule({ functions: onRequestHeaders("(i32.const 1)") }), {
      limits: { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 20 },
    });
    const exchange = new TestExchange();
    const resumed = exchange.nextResume();
    expect(filter.requestHead(exchange, 0)).toBe(SUSPEND);
    expect(await resumed).toBe(REPLY);
    expect(exchange.reply?.status).toBe(503);
    expect(filter.stats.faultsByCause.deadline).toBe(1);
    expect(filter.requestHead(new TestExchange(), 0)).toBe(SUSPEND);
  });

  it("dies with others waiting: they get the route's answer", async () => {
    const body = `(if (i32.gt_u (local.get $count) (i32.const 5)) (then unreachable)) (i32.const 1)`;
    const { filter } = await made(proxyModule({ functions: onRequestHeaders(body) }), { onFault: "allow" });
    const waiting = new TestExchange();
    const resumed = waiting.nextResume();
    expect(filter.requestHead(waiting, 0)).toBe(SUSPEND);
    const full = new TestExchange("GET / HTTP/1.1\r\nhost: a\r\na: 1\r\nb: 2\r\n\r\n");
    expect(filter.requestHead(full, 0)).toBe(CONTINUE);
    expect(await resumed).toBe(CONTINUE);
  });

  it("refuses its configuration: the error has its last line", async () => {
    const functions = `${onRequestHeaders("(i32.const 0)")} (data (i32.const 0) "no such mode")
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_log (i32.const 4) (i32.const 0) (i32.const 12))) (i32.const 0))`;
    await expect(made(proxyModule({ calls: ["proxy_log"], functions }))).rejects.toThrow("no such mode");
  });
});

it("a response's head that has gone on is not read from memory that is somebody else's by then", async () => {
  const value = `(call $tell (call $proxy_get_header_map_value (i32.const 2) (i32.const 32) (i32.const 3) (i32.const 1024) (i32.const 1028)))`;
  const body = `(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
    (func (export "proxy_on_done") (param i32) (result i32) ${value} (i32.const 1))`;
  const log = `(func (export "proxy_on_log") (param i32))`;
  const tell = TELL.replace(
    "(i32.const 0) (i32.const 0) (i32.const 8) (i32.const 900)",
    "(i32.const 0) (i32.const 0) (i32.const 8) (i32.const 900)",
  );
  for (const [functions, status] of [
    [body, "01"],
    [body + log, "00"],
  ] as const) {
    const calls = ["proxy_replace_header_map_value", "proxy_get_header_map_value", "proxy_log"] as const;
    const written = tell.replace(
      /\(drop \(call \$proxy_replace[^]*\)\)\)$/,
      "(drop (call $proxy_log (i32.const 2) (i32.const 900) (i32.const 2))))",
    );
    const wasm = proxyModule({
      calls,
      functions: `${DATA} ${written} ${functions} ${onRequestHeaders("(i32.const 0)")}`,
    });
    const { filter, services } = await made(wasm);
    const exchange = new TestExchange().respondWith("HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n");
    filter.requestHead(exchange, 0);
    filter.responseHead(exchange, 0);
    filter.end(exchange, 0);
    expect(services.logs).toEqual([`info sample@1 ${status}`]);
  }
});
