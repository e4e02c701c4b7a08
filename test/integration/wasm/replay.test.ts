/** The same recorded inputs and host-call results give the same verdict and the same fuel, as often as one likes. */
import { describe, expect, it } from "vitest";
import { REPLY, SUSPEND, type FilterServices } from "#pipeline/filter.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { Recorder, Replayer } from "#test/support/wasm-recording.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule } from "#wasm/create-filter.ts";
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

/** Whatever is asked of it is more than the recording. */
const NOTHING = (() => {
  const { tenant } = new TestServices();
  return new Proxy({} as FilterServices, {
    get: (_, property) => {
      if (property === "tenant") return tenant;
      // Time as the filter's own book-keeping needs it, which no guest sees.
      if (property === "nowMs") return () => 0;
      if (property === "every") return undefined;
      // The filter's own line about a fault: what the guest logs is played back.
      if (property === "log") return () => undefined;
      // Opened anew, and never asked: that would throw.
      if (property === "map") return () => ({});
      throw new Error(`a replay has asked the gateway for ${String(property)}`);
    },
  });
})();

async function outcome(services: FilterServices, interpose: Recorder["interpose"]) {
  const loaded = await loadModule(prepareModule(CURIOUS).bytes);
  const filter = await createWasmFilter(SPEC, PLUGIN, loaded, services, RESOURCES, interpose);
  const exchange = request();
  const verdict = filter.requestHead(exchange, 0);
  const { fuel, faults, lastFault } = filter.stats;
  return { verdict, reply: exchange.reply, fuel, faults, lastFault };
}

describe("a recording", () => {
  it("is enough to run a guest again, to the unit of fuel", async () => {
    const fuels = new Set<number>();
    for (let recording = 0; recording < 3; recording++) {
      const recorder = new Recorder();
      const original = await outcome(new TestServices(), recorder.interpose);
      expect(original).toMatchObject({ verdict: REPLY, faults: 0 });
      expect(recorder.calls.length).toBeGreaterThan(10);
      fuels.add(original.fuel);
      for (let time = 0; time < TIMES; time++) {
        const replayer = new Replayer(recorder.calls);
        expect(await outcome(NOTHING, replayer.interpose)).toEqual(original);
        expect([replayer.difference, replayer.done]).toEqual([null, true]);
      }
    }
    // Chance had its part: without the recording there is nothing to rely on.
    expect(fuels.size).toBeGreaterThan(1);
  });

  it("finds out who is not the one that was recorded", async () => {
    const recorder = new Recorder();
    await outcome(new TestServices(), recorder.interpose);
    const cut = new Replayer(recorder.calls.slice(0, -3));
    expect(await outcome(NOTHING, cut.interpose)).toMatchObject({ faults: 1 });
    expect(cut.difference).toMatch(/^call \d+: penstock\./);
    const other = recorder.calls.map((call) =>
      call.name === "penstock.random_bytes" ? { ...call, args: [2112, 15] } : call,
    );
    const replayer = new Replayer(other);
    expect(await outcome(NOTHING, replayer.interpose)).toMatchObject({ faults: 1 });
    expect(replayer.difference).toContain("recorded was penstock.random_bytes(2112,15)");
  });
});

it("records calls that wait, and plays them back without waiting for anybody", async () => {
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
  const loaded = await loadModule(prepareModule(wasm).bytes);
  const run = async (services: FilterServices, interpose: Recorder["interpose"]) => {
    const filter = await createWasmFilter(SPEC, PLUGIN, loaded, services, RESOURCES, interpose);
    const exchange = request();
    const resumed = exchange.nextResume();
    expect(filter.requestHead(exchange, 0)).toBe(SUSPEND);
    return { verdict: await resumed, reply: exchange.reply, fuel: filter.stats.fuel };
  };
  const services = new TestServices();
  services.answer = async () => ({ status: 418, headers: [], body: Buffer.from(String(Math.random())), error: "" });
  const recorder = new Recorder();
  const original = await run(services, recorder.interpose);
  expect(original).toMatchObject({ verdict: REPLY, reply: { status: 418 } });
  for (let time = 0; time < 10; time++) {
    expect(await run(NOTHING, new Replayer(recorder.calls).interpose)).toEqual(original);
  }
});
