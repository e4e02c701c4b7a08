/** A tenant's quotas where its plugins meet them: what is answered, what is put off, and that nothing is counted twice. */
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY, SUSPEND } from "#pipeline/filter.ts";
import { MAPS, TestExchange, TestServices } from "#test/support/wasm.ts";
import { TURN_FUEL } from "#worker/tenants/account.ts";
import { fromWasm, hook } from "./plugins.ts";

/** Uses about `turns` × 100 of fuel and lets the request pass. */
const busy = (turns: number) =>
  hook(`(local i32) (loop (local.set 0 (i32.add (local.get 0) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get 0) (i32.const ${turns * 10})))) (i32.const 0)`);
const limits = { fuel: 2_000_000, memoryBytes: 1 << 20, deadlineMs: 1000 };

describe("fuel", () => {
  it("of a second that is used up is answered 503 with a time to come back, and no fault", async () => {
    const services = new TestServices(MAPS, { fuelPerSecond: 100_000 });
    const { filter } = await fromWasm(busy(1000), { limits }, services);
    let passed = 0;
    while (filter.requestHead(new TestExchange(), 0) === CONTINUE) passed++;
    expect(passed).toBeGreaterThan(0);
    const exchange = new TestExchange();
    expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    expect(exchange.reply).toMatchObject({ status: 503, body: expect.stringContaining("fuel of this second") });
    expect(exchange.reply?.headers).toContainEqual(["retry-after", "1"]);
    expect(filter.stats).toMatchObject({ faults: 0, throttled: 2, calls: passed });
    services.clockMs += 1000;
    expect(filter.requestHead(new TestExchange(), 0)).toBe(CONTINUE);
  });

  it("lets the request pass where the route says so", async () => {
    const services = new TestServices(MAPS, { fuelPerSecond: 1 });
    const { filter } = await fromWasm(busy(10), { limits, onFault: "skip" }, services);
    filter.requestHead(new TestExchange(), 0);
    expect(filter.requestHead(new TestExchange(), 0)).toBe(CONTINUE);
    expect(filter.stats.throttled).toBe(1);
  });

  it("of a turn puts requests off; one that has ended meanwhile is not run", async () => {
    const services = new TestServices();
    services.turn = 1;
    const { filter } = await fromWasm(busy(16_000), { limits }, services);
    const exchanges = Array.from({ length: 4 }, () => new TestExchange());
    expect(exchanges.map((exchange) => filter.requestHead(exchange, 0))).toEqual([CONTINUE, SUSPEND, SUSPEND, SUSPEND]);
    expect(filter.stats.fuel).toBeGreaterThan(TURN_FUEL);
    (exchanges[1] as TestExchange).ended = true;
    services.nextTurn();
    expect(exchanges.map(({ resumed }) => resumed.length)).toEqual([0, 0, 1, 0]);
    services.nextTurn();
    expect(exchanges.map(({ resumed }) => resumed)).toEqual([[], [], [CONTINUE], [CONTINUE]]);
    expect(filter.stats.calls).toBe(3);
  });
});

describe("guests", () => {
  it("are as many as the quota allows, and come back when they are done with", async () => {
    const services = new TestServices(MAPS, { guests: 1 });
    const { filter } = await fromWasm(hook(`(unreachable)`), {}, services);
    await expect(fromWasm(busy(1), {}, services)).rejects.toMatchObject({ code: "PENSTOCK_WASM_QUOTA" });
    for (let count = 0; count < 3; count++) filter.requestHead(new TestExchange(), 0);
    expect(filter.stats.faults).toBe(3);
    expect(services.tenant.guests.taken).toBeLessThanOrEqual(1);
    filter.dispose();
    expect(services.tenant.guests.taken).toBe(0);
    const second = await fromWasm(busy(1), {}, services);
    expect(second.filter.requestHead(new TestExchange(), 0)).toBe(CONTINUE);
  });

  it("that wait are as many as the quota allows", async () => {
    const services = new TestServices(MAPS, { suspendedCalls: 2 });
    const answers: (() => void)[] = [];
    services.answer = () =>
      new Promise((resolve) =>
        answers.push(() => resolve({ status: 200, headers: [], body: new Uint8Array(), error: "" })),
      );
    const fetching = hook(
      `(drop (call $u (i32.const 0) (i32.const 3)))
       (drop (call $f (i32.const 0) (i32.const 8) (i32.const 3) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
       (i32.const 0)`,
      `(import "penstock" "upstream_open" (func $u (param i32 i32) (result i32)))
       (import "penstock" "fetch" (func $f (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`,
      `(memory (export "memory") 1) (data (i32.const 0) "api") (data (i32.const 8) "GET") (data (i32.const 16) "/")`,
    );
    const { filter } = await fromWasm(fetching, { allow: { upstreams: [0], maps: [] } }, services);
    const exchanges = Array.from({ length: 3 }, () => new TestExchange());
    expect(exchanges.map((exchange) => filter.requestHead(exchange, 0))).toEqual([SUSPEND, SUSPEND, REPLY]);
    expect(services.tenant.suspended.taken).toBe(2);
    const done = Promise.all(exchanges.slice(0, 2).map((exchange) => exchange.nextResume()));
    for (const answer of answers) answer();
    expect(await done).toEqual([CONTINUE, CONTINUE]);
    expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 2]);
    filter.dispose();
    expect(services.tenant.guests.taken).toBe(0);
  });

  it("are not taken by hooks that never wait, of a plugin that can", async () => {
    const services = new TestServices(MAPS, { suspendedCalls: 2 });
    const fetching = hook(
      "(i32.const 0)",
      `(import "penstock" "fetch" (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32))) (func (export "on_end"))`,
    );
    const { filter } = await fromWasm(fetching, {}, services);
    for (let count = 0; count < 5; count++) filter.end(new TestExchange(), 0);
    expect([filter.stats.calls, filter.stats.skipped, services.tenant.suspended.taken]).toEqual([5, 0, 0]);
  });
});
