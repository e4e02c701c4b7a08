/**
 * Recording and replay of guests of other gateways' interfaces: every callback of Proxy-Wasm, on HTTP and on TCP, http-wasm, and WASI
 * beside both; by hand-written modules in which chance decides how long each callback takes, and by plugins that compilers have made.
 */
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { CONTINUE, REPLY, SUSPEND, type Verdict } from "#pipeline/filter.ts";
import { CLOSE, type StreamEnd } from "#pipeline/stream-filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import type { BodyStage } from "#pipeline/body.ts";
import { Link, passBody } from "#test/support/body-link.ts";
import { buildCpp, buildRust, missingCpp, missingRust } from "#test/support/foreign/build.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { Recorder } from "#test/support/wasm-recording.ts";
import { replay } from "#test/support/wasm-replay.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule, streamFilterOf, type WasmFilter } from "#wasm/create-filter.ts";
import { DEFAULT_MODULE_LIMITS, prepareModule } from "#wasm/prepare.ts";
import { PROXY_CALLBACKS, type ProxyCallbackName } from "#wasm/proxy-wasm/abi.ts";

const TIMES = 100;
const ALLOW = { maps: [], upstreams: [0, 1], keyValue: true } as const;
const TICK_MS = 20;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** Runs a plugin's whole life while it is recorded, then again from the recordings. Answers the entries that were seen. */
async function alike(wasm: Uint8Array, spec: Partial<PluginFilterSpec>, life: (filter: WasmFilter) => Promise<void>) {
  const loaded = await loadModule(prepareModule(wasm, { ...DEFAULT_MODULE_LIMITS, memoryPagesMax: 256 }).bytes);
  const recorder = new Recorder();
  const services = new TestServices();
  services.answer = async (path) => {
    const user = path.slice(path.indexOf("?") + 1);
    return {
      status: user === "" ? 401 : 200,
      headers: [["x-kind", "k"]],
      body: Buffer.from(`id-of-${user}`),
      error: "",
    };
  };
  const limits = { fuel: 1_000_000, memoryBytes: 16 << 20, deadlineMs: 1000 };
  const full = filterSpec({ allow: ALLOW, limits, ...spec });
  const filter = await createWasmFilter(full, PLUGIN, loaded, services, RESOURCES, recorder);
  await life(filter);
  filter.dispose();
  await turn();
  const entries = new Set<string>();
  for (const recording of recorder.recordings) {
    for (const event of recording.events) if (event.kind === "enter") entries.add(event.name);
    const { memory, difference } = replay(loaded, recording);
    expect(difference).toBeNull();
    expect(Buffer.compare(memory, recording.memory())).toBe(0);
    for (let time = 1; time < TIMES; time++) expect(replay(loaded, recording).difference).toBeNull();
  }
  return { entries, filter, services, recorder, loaded };
}

const REQUEST =
  "POST /a?b=1 HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 11\r\nx-user: ann\r\nx-token: s3cret\r\nx-job: sweep\r\n\r\n";
const RESPONSE = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nx-api: yes\r\n\r\n";
const PIECES = ["hello ", "world"];

/** Whose bodies have somewhere to go, from the moment on when a filter asks for them. */
class Attached extends TestExchange {
  readonly bodies: { readonly stage: BodyStage; readonly link: Link }[] = [];

  override filterRequestBody(stage: BodyStage): void {
    super.filterRequestBody(stage);
    this.#attach(stage);
  }

  override filterResponseBody(stage: BodyStage): void {
    super.filterResponseBody(stage);
    this.#attach(stage);
  }

  #attach(stage: BodyStage): void {
    const link = new Link();
    this.bodies.push({ stage, link });
    stage.attach(link);
  }

  /** The bodies that wait, each with trailers. */
  pass(): void {
    for (const { stage, link } of this.bodies.splice(0)) {
      link.makeTrailers()?.addSpelled("x-sum", Buffer.from("1"), 0, 1);
      passBody(stage, link, PIECES);
    }
  }
}

/** An exchange with bodies and trailers both ways, and what becomes of its request. */
async function serve(filter: WasmFilter, text = REQUEST): Promise<{ verdict: Verdict; exchange: TestExchange }> {
  const exchange = new Attached(text);
  let verdict = filter.requestHead(exchange, 0);
  exchange.pass();
  await turn();
  if (verdict === SUSPEND) verdict = exchange.resumed[0] ?? SUSPEND;
  if (verdict === CONTINUE) {
    exchange.respondWith(RESPONSE);
    filter.responseHead(exchange, 0);
    exchange.pass();
    await turn();
  }
  exchange.ended = true;
  filter.end(exchange, 0);
  await turn();
  return { verdict, exchange };
}

const ENDED: StreamEnd = { outcome: "ok", durationMs: 1, bytesReceived: 6, bytesSent: 6, endpoint: "" };

/** A connection over which the client sends this, and the upstream the same. */
async function connect(filter: WasmFilter, text: string): Promise<string> {
  const streams = streamFilterOf(filter);
  const opening = {
    protocol: "tcp",
    clientIp: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 203, 0, 113, 7]),
    clientPort: 51234,
    serverName: "",
    tls: null,
    originalDestination: "",
    routeName: "lines",
    routeTo: () => true,
  } as const;
  if (!streams.admits(opening)) return "refused";
  const tap = streams.tap?.(opening);
  let out = "";
  const line = {
    send: (_: 0 | 1, bytes: Uint8Array) => void (out += Buffer.from(bytes).toString()),
    end: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    close: () => void (out += "closed"),
  };
  tap?.attached?.(line);
  const bytes = Buffer.from(text);
  for (const direction of [0, 1] as const) {
    const given = tap?.data(direction, bytes, 0, bytes.length, direction === 1);
    if (given instanceof Uint8Array) out += Buffer.from(given).toString();
    if (given === CLOSE) break;
    await turn();
  }
  tap?.closed(ENDED);
  await turn();
  return out;
}

/** Reads chance and clock, writes a line, and takes as long as chance says. */
const CHANCE = `(func $chance (local $turns i32)
    (drop (call $random_get (i32.const 2000) (i32.const 8)))
    (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 2008)))
    (i32.store (i32.const 2016) (i32.const 2000)) (i32.store (i32.const 2020) (i32.const 16))
    (drop (call $fd_write (i32.const 1) (i32.const 2016) (i32.const 1) (i32.const 2024)))
    (local.set $turns (i32.load8_u (i32.const 2000)))
    (block $done (loop $l (br_if $done (i32.eqz (local.get $turns)))
      (local.set $turns (i32.sub (local.get $turns) (i32.const 1))) (br $l))))`;

const WASI = `(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))`;

describe("hand-written Proxy-Wasm", () => {
  /** Of those a module has one or the other. */
  const ALTERNATIVES: readonly ProxyCallbackName[] = ["_start", "__main_void", "malloc"];
  const OWN = new Map<ProxyCallbackName, string>([
    [
      "proxy_on_memory_allocate",
      "(call $chance) (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0)))",
    ],
    [
      "proxy_on_configure",
      `(call $curious) (drop (call $register (i32.const 0) (i32.const 4) (i32.const 900)))
       (drop (call $tick (i32.const ${TICK_MS}))) (i32.const 1)`,
    ],
    [
      "proxy_on_request_headers",
      `(call $curious) (drop (call $enqueue (i32.load (i32.const 900)) (i32.const 2000) (i32.const 8)))
       (drop (call $http (i32.const 16) (i32.const 3) (i32.const 32) (i32.load (i32.const 28)) (i32.const 0) (i32.const 0)
         (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 904))) (i32.const 0)`,
    ],
    ["proxy_on_queue_ready", "(call $curious) (drop (call $dequeue (local.get 1) (i32.const 908) (i32.const 912)))"],
    [
      "proxy_on_http_call_response",
      "(call $curious) (drop (call $buffer (i32.const 4) (i32.const 0) (local.get 3) (i32.const 908) (i32.const 912)))",
    ],
  ]);
  /** Those that say whether they accept, or are done. */
  const ONES = new Set<ProxyCallbackName>(["proxy_on_vm_start", "proxy_on_done"]);

  const module = (): Uint8Array => {
    const callbacks = (Object.keys(PROXY_CALLBACKS) as ProxyCallbackName[])
      .filter((name) => !ALTERNATIVES.includes(name))
      .map((name) => {
        const { params, results } = PROXY_CALLBACKS[name];
        const usual = `(call $curious) ${results.length === 0 ? "" : `(i32.const ${ONES.has(name) ? 1 : 0})`}`;
        const types = (kind: string, list: readonly string[]) =>
          list.length === 0 ? "" : `(${kind} ${list.join(" ")})`;
        return `(func (export "${name}") ${types("param", params)} ${types("result", results)} ${OWN.get(name) ?? usual})`;
      });
    // :method GET, :path /?x, :authority a; as the interface serialises pairs.
    const fields = [":method", "GET", ":path", "/?x", ":authority", "a"];
    const sizes = fields.map((text) => Buffer.from(Uint32Array.of(text.length).buffer));
    const pairs = Buffer.concat([
      Buffer.from(Uint32Array.of(fields.length / 2).buffer),
      ...sizes,
      Buffer.from(fields.map((text) => `${text}\0`).join("")),
    ]);
    const bytes = Buffer.concat([Buffer.from(Uint32Array.of(pairs.length).buffer), pairs]);
    const data = Array.from(bytes, (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
    return wat(`(module ${WASI}
      (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
      (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
      (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
      (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
      (import "env" "proxy_http_call" (func $http (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "jobs") (data (i32.const 16) "api") (data (i32.const 28) "${data}")
      (global $next (mut i32) (i32.const 4096))
      (func (export "proxy_abi_version_0_2_1"))
      ${CHANCE}
      (func $curious (call $chance)
        (drop (call $pairs (i32.const 0) (i32.const 916) (i32.const 920)))
        (drop (call $pairs (i32.const 3) (i32.const 924) (i32.const 928))))
      ${callbacks.join("\n")})`);
  };

  it("is the same again in each of its callbacks", async () => {
    const http = await alike(module(), { configText: "some" }, async (filter) => {
      expect((await serve(filter)).verdict).toBe(CONTINUE);
      vi.advanceTimersByTime(2 * TICK_MS);
      expect((await serve(filter)).verdict).toBe(CONTINUE);
      expect(filter.stats.faults).toBe(0);
    });
    expect(http.services.fetches.length).toBe(2);
    const tcp = await alike(module(), {}, async (filter) => {
      await connect(filter, "hello\n");
      expect(filter.stats.faults).toBe(0);
    });
    const seen = new Set([...http.entries, ...tcp.entries]);
    const all = Object.keys(PROXY_CALLBACKS).filter((name) => !(ALTERNATIVES as readonly string[]).includes(name));
    expect([...seen].toSorted()).toEqual(all.toSorted());
  });

  it("is found out when it is otherwise", async () => {
    const { recorder, loaded } = await alike(module(), {}, async (filter) => void (await serve(filter)));
    const [recording] = recorder.recordings;
    const events = recording?.events ?? [];
    const others = events
      .slice(0, -1)
      .flatMap((event, at) => (event.kind === "write" ? [] : [events.toSpliced(at, 1)]));
    for (const changed of others) {
      const memory = (): Uint8Array => new Uint8Array();
      expect(replay(loaded, { memoryBytes: 1 << 20, memory, events: changed }).difference).not.toBeNull();
    }
  });
});

it("hand-written http-wasm is the same again, from request to response", async () => {
  const module = wat(`(module ${WASI}
    (import "http_handler" "enable_features" (func $features (param i32) (result i32)))
    (import "http_handler" "read_body" (func $read (param i32 i32 i32) (result i64)))
    (import "http_handler" "get_header_values" (func $values (param i32 i32 i32 i32 i32) (result i64)))
    (memory (export "memory") 1) (data (i32.const 0) "x-user")
    ${CHANCE}
    (func (export "_initialize") (call $chance) (drop (call $features (i32.const 3))))
    (func $look (param $kind i32) (call $chance)
      (drop (call $read (local.get $kind) (i32.const 3000) (i32.const 100)))
      (drop (call $values (local.get $kind) (i32.const 0) (i32.const 6) (i32.const 4000) (i32.const 100))))
    (func (export "handle_request") (result i64) (call $look (i32.const 0)) (i64.const 0x700000001))
    (func (export "handle_response") (param i32 i32) (call $look (i32.const 1))))`);
  const { entries } = await alike(module, {}, async (filter) => {
    for (let time = 0; time < 2; time++) expect((await serve(filter)).verdict).toBe(CONTINUE);
    expect(filter.stats.faults).toBe(0);
  });
  expect([...entries].toSorted()).toEqual(["_initialize", "handle_request", "handle_response"]);
});

describe.skipIf(missingCpp !== "")(`plugins in C++${missingCpp && ` (${missingCpp})`}`, () => {
  let http: Uint8Array;
  let handler: Uint8Array;
  beforeAll(() => {
    http = buildCpp("http.cpp");
    handler = buildCpp("handler.cpp");
  });

  it.each<[string, Verdict]>([
    ["headers", CONTINUE],
    ["body", CONTINUE],
    ["wait", CONTINUE],
    ["call", CONTINUE],
    ["count", CONTINUE],
    ["ticks", CONTINUE],
    ["properties", CONTINUE],
    ["refused", CONTINUE],
    ["log", CONTINUE],
    ["trap", REPLY],
  ])("Proxy-Wasm: %s", async (mode, expected) => {
    await alike(http, { configText: mode, vm: { rootId: "", id: mode, configuration: "" } }, async (filter) => {
      const { verdict } = await serve(
        filter,
        REQUEST.replace("x-job", mode === "trap" ? "x-trap: now\r\nx-job" : "x-job"),
      );
      expect(verdict).toBe(expected);
      vi.advanceTimersByTime(2 * TICK_MS);
      await serve(filter);
      expect(filter.stats.faults).toBe(mode === "trap" ? 1 : 0);
    });
  });

  it("Proxy-Wasm: a reply", async () => {
    await alike(http, { configText: "headers" }, async (filter) => {
      const { verdict, exchange } = await serve(filter, REQUEST.replace("s3cret", "wrong"));
      expect([verdict, exchange.reply?.body]).toEqual([REPLY, "no token\n"]);
    });
  });

  it("Proxy-Wasm on TCP", async () => {
    const wasm = buildCpp("tcp.cpp");
    const { entries } = await alike(wasm, { configText: "ask" }, async (filter) => {
      expect(await connect(filter, "ann\n")).toBe("203.0.113.7:51234 says ann\nANN\n");
      expect(await connect(filter, "DENY\n")).toBe("");
    });
    expect([...entries]).toContain("proxy_on_downstream_connection_close");
  });

  it.each(["heads", "bodies", "misuse", "log"])("http-wasm: %s", async (mode) => {
    await alike(handler, { configText: mode }, async (filter) => {
      for (let time = 0; time < 2; time++) await serve(filter);
      expect(filter.stats.faults).toBe(mode === "misuse" ? 2 : 0);
    });
  });
});

it.skipIf(missingRust !== "")(
  `a plugin in Rust, also when it panics${missingRust && ` (${missingRust})`}`,
  async () => {
    await alike(buildRust("filter.rs"), { config: { limit: "2" } }, async (filter) => {
      for (let time = 0; time < 3; time++) await serve(filter);
      await serve(filter, REQUEST.replace("ann", "panic"));
      expect(filter.stats.faults).toBe(1);
    });
  },
);
