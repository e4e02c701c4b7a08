/**
 * The same recorded inputs and host-call results give the same verdict and the same fuel, as often as one likes: guests of the core
 * interface. `replay-foreign.test.ts` has the others.
 */
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY, SUSPEND, type Verdict } from "#pipeline/filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { Recorder, type RecordedEvent, type Recording } from "#test/support/wasm-recording.ts";
import { replay } from "#test/support/wasm-replay.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import type { LoadedModule } from "#wasm/guest/runtime.ts";
import { prepareModule } from "#wasm/prepare.ts";

const TIMES = 100;
const SPEC = filterSpec({ config: { greeting: "hello" }, allow: { maps: [1], upstreams: [0], keyValue: true } });

/** Lets chance, clock, maps, entries and headers decide what it answers, and how long it takes. */
const CURIOUS = wat(`(module
  (import "penstock" "name_id" (func $name_id (param i32 i32) (result i32)))
  (import "penstock" "header_get" (func $header_get (param i32 i32 i32 i32) (result i32)))
  (import "penstock" "header_set" (func $header_set (param i32 i32 i32 i32) (result i32)))
  (import "penstock" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
  (import "penstock" "now_ms" (func $now_ms (result f64)))
  (import "penstock" "random_bytes" (func $random_bytes (param i32 i32)))
  (import "penstock" "map_open" (func $map_open (param i32 i32) (result i32)))
  (import "penstock" "map_increment" (func $map_increment (param i32 i32 i32 i64) (result i64)))
  (import "penstock" "kv_increment" (func $kv_increment (param i32 i32 i64 f64) (result i64)))
  (import "penstock" "log" (func $log (param i32 i32 i32)))
  (import "penstock" "reply" (func $reply (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-user") (data (i32.const 16) "greeting") (data (i32.const 32) "failures") (data (i32.const 48) "hits")
  (data (i32.const 64) "api") (data (i32.const 72) "GET") (data (i32.const 80) "/")
  (global $name (mut i32) (i32.const 0)) (global $map (mut i32) (i32.const 0))
  (func (export "penstock_abi_2"))
  (func (export "on_configure") (result i32)
    (global.set $name (call $name_id (i32.const 0) (i32.const 6)))
    (global.set $map (call $map_open (i32.const 32) (i32.const 8)))
    (drop (call $config_get (i32.const 16) (i32.const 8) (i32.const 1024) (i32.const 64)))
    (i32.const 0))
  (func (export "on_request") (result i32) (local $turns i32)
    (drop (call $header_get (i32.const 0) (global.get $name) (i32.const 2048) (i32.const 64)))
    (call $random_bytes (i32.const 2112) (i32.const 16))
    (f64.store (i32.const 2128) (call $now_ms))
    (i64.store (i32.const 2136) (call $map_increment (global.get $map) (i32.const 2112) (i32.const 16) (i64.const 1)))
    (i64.store (i32.const 2144) (call $kv_increment (i32.const 48) (i32.const 4) (i64.const 1) (f64.const 0)))
    (drop (call $header_set (i32.const 0) (global.get $name) (i32.const 1024) (i32.const 5)))
    (local.set $turns (i32.load8_u (i32.const 2112)))
    (block $done (loop $l (br_if $done (i32.eqz (local.get $turns)))
      (local.set $turns (i32.sub (local.get $turns) (i32.const 1))) (br $l)))
    (call $log (i32.const 1) (i32.const 1024) (i32.const 5))
    (call $reply (i32.add (i32.const 200) (i32.load8_u (i32.const 2112))) (i32.const 2048) (i32.const 128))
    (i32.const 1)))`);

const request = () => new TestExchange("GET /a HTTP/1.1\r\nhost: a\r\nx-user: somebody\r\n\r\n");

interface Life {
  readonly exchange: TestExchange;
  readonly recorder: Recorder;
  readonly filter: WasmFilter;
  readonly loaded: LoadedModule;
  readonly verdict: Verdict;
}

/** A filter around the module that is recorded, and its first request. */
async function recorded(wasm: Uint8Array, spec: PluginFilterSpec = SPEC, services = new TestServices()): Promise<Life> {
  const loaded = await loadModule(prepareModule(wasm).bytes);
  const recorder = new Recorder();
  const filter = await createWasmFilter(spec, PLUGIN, loaded, services, RESOURCES, recorder);
  const exchange = request();
  return { exchange, recorder, filter, loaded, verdict: filter.requestHead(exchange, 0) };
}

function only({ recorder }: Life): Recording {
  const [recording, ...others] = recorder.recordings;
  if (recording === undefined || others.length > 0) throw new Error("more than one guest, or none");
  return recording;
}

/** Changed at one place: another event, or none. */
function changed(recording: Recording, at: number, event?: RecordedEvent): Recording {
  return { ...recording, events: recording.events.toSpliced(at, 1, ...(event === undefined ? [] : [event])) };
}

describe("a recording", () => {
  it("is enough to run a guest again, to the unit of fuel", async () => {
    const fuels = new Set<number>();
    for (let time = 0; time < 3; time++) {
      const life = await recorded(CURIOUS);
      const { verdict, filter, loaded } = life;
      expect([verdict, filter.stats.faults]).toEqual([REPLY, 0]);
      fuels.add(filter.stats.fuel);
      const recording = only(life);
      expect(recording.events.filter(({ kind }) => kind === "call").length).toBeGreaterThan(10);
      expect(recording.events.at(-1)).toMatchObject({ kind: "exit", result: 1 });
      for (let run = 0; run < TIMES; run++) {
        const again = replay(loaded, recording);
        expect(again).toMatchObject({ difference: null, results: [0, 1] });
        expect(Buffer.compare(again.memory, recording.memory())).toBe(0);
      }
    }
    // Chance had its part: without the recording there is nothing to rely on.
    expect(fuels.size).toBeGreaterThan(1);
  });

  it("finds out who is not the one that was recorded", async () => {
    const life = await recorded(CURIOUS);
    const { loaded } = life;
    const recording = only(life);
    const { events } = recording;
    for (const [at, event] of events.slice(0, -1).entries()) {
      // Nobody looks at every byte that is written; chance decides how long the guest runs.
      if (event.kind !== "write") expect(replay(loaded, changed(recording, at)).difference).not.toBeNull();
    }
    const random = events.findIndex((event) => event.kind === "call" && event.name === "penstock.random_bytes");
    const written = events[random + 1] as Extract<RecordedEvent, { kind: "write" }>;
    const bytes = written.bytes.map((byte) => byte ^ 1);
    expect(replay(loaded, changed(recording, random + 1, { ...written, bytes })).difference).toMatch(
      /^event \d+: penstock\.\w+ was called: .*"fuel":\d+.*, recorded was /,
    );
    const asked = { ...(events[random] as Extract<RecordedEvent, { kind: "call" }>), args: [2112, 15] };
    expect(replay(loaded, changed(recording, random, asked)).difference).toContain('recorded was {"kind":"call"');
  });

  it("may end in the middle of something", async () => {
    const life = await recorded(CURIOUS);
    const recording = only(life);
    for (let length = 0; length < recording.events.length; length++) {
      const cut = { ...recording, events: recording.events.slice(0, length) };
      expect(replay(life.loaded, cut).difference).toBeNull();
    }
  });
});

describe("what ends a guest ends it again", () => {
  const ending = (code: string, imports = ""): Uint8Array =>
    wat(`(module ${imports} (memory (export "memory") 1 4000) (func (export "penstock_abi_1"))
      (func (export "on_request") (result i32) ${code} (i32.const 0)))`);

  it.each([
    ["trap", ending("(drop (i32.div_u (i32.const 1) (i32.const 0)))")],
    ["fuel", ending("(loop $l (br $l))")],
    ["memory", ending("(drop (memory.grow (i32.const 3000))) unreachable")],
    [
      "host-call",
      ending(
        "(call $random (i32.const -1) (i32.const 9)) (loop $l (br $l))",
        '(import "penstock" "random_bytes" (func $random (param i32 i32)))',
      ),
    ],
  ])("%s", async (cause, wasm) => {
    const { filter, recorder, loaded } = await recorded(wasm);
    expect(filter.stats.lastFault?.cause).toBe(cause);
    const [recording] = recorder.recordings;
    expect(recording?.events.at(-1)).toMatchObject({ kind: "exit", trap: expect.any(String) });
    for (let run = 0; run < TIMES; run++) expect(replay(loaded, recording as Recording).difference).toBeNull();
  });
});

it("a guest that is put back after each hook is put back in a replay", async () => {
  const counter =
    wat(`(module (memory (export "memory") 1) (global $count (mut i32) (i32.const 0)) (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32) (local $turns i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (global.get $count)))
      (local.set $turns (i32.add (global.get $count) (i32.load (i32.const 8))))
      (loop $l (br_if $l (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
      (i32.const 0)))`);
  const fuels = new Map<string, Set<number>>();
  for (const [isolation, spec] of [
    ["none", filterSpec()],
    ["request", filterSpec({ isolation: "request" })],
  ] as const) {
    const life = await recorded(counter, spec);
    const used = new Set([life.filter.stats.fuel]);
    for (let more = 0; more < 3; more++) {
      const before = life.filter.stats.fuel;
      expect(life.filter.requestHead(request(), 0)).toBe(CONTINUE);
      used.add(life.filter.stats.fuel - before);
    }
    fuels.set(isolation, used);
    const recording = only(life);
    const again = replay(life.loaded, recording);
    expect(again.difference).toBeNull();
    expect(Buffer.compare(again.memory, recording.memory())).toBe(0);
  }
  expect([fuels.get("none")?.size, fuels.get("request")?.size]).toEqual([4, 1]);
});

it("calls that wait are recorded, and played back without waiting for anybody", async () => {
  const wasm = wat(`(module
    (import "penstock" "upstream_open" (func $open (param i32 i32) (result i32)))
    (import "penstock" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "penstock" "fetched_body" (func $body (param i32 i32) (result i32)))
    (import "penstock" "reply" (func $reply (param i32 i32 i32)))
    (memory (export "memory") 1) (data (i32.const 0) "api") (data (i32.const 8) "GET") (data (i32.const 16) "/")
    (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32)
      (call $reply
        (call $fetch (call $open (i32.const 0) (i32.const 3)) (i32.const 8) (i32.const 3) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))
        (i32.const 100) (call $body (i32.const 100) (i32.const 50)))
      (i32.const 1)))`);
  const services = new TestServices();
  let answerFirst = (): void => undefined;
  const first = new Promise<void>((resolve) => (answerFirst = resolve));
  let asked = 0;
  services.answer = async () => {
    if (asked++ === 0) await first;
    return { status: 418, headers: [], body: Buffer.from(String(Math.random())), error: "" };
  };
  const { exchange, filter, loaded, recorder, verdict } = await recorded(wasm, SPEC, services);
  const [one, two] = [exchange, request()];
  const resumed = [one.nextResume(), two.nextResume()] as const;
  expect([verdict, filter.requestHead(two, 0)]).toEqual([SUSPEND, SUSPEND]);
  // The second guest is through while the first one still waits: each has a recording of its own.
  expect(await resumed[1]).toBe(REPLY);
  answerFirst();
  expect(await resumed[0]).toBe(REPLY);
  expect([one.reply?.status, two.reply?.status]).toEqual([418, 418]);
  expect(recorder.recordings.length).toBe(2);
  for (const recording of recorder.recordings) {
    expect(recording.events.some((event) => event.kind === "call" && event.name === "penstock.fetch")).toBe(true);
    for (let run = 0; run < TIMES; run++) {
      expect(replay(loaded, recording)).toMatchObject({ difference: null, results: [1] });
    }
  }
});
