/**
 * Hooks that wait for a fetch, besides those of heads: what they hold up meanwhile, what comes nevertheless, how they end; and that
 * nothing is different for those that do not wait.
 */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { BodyStage } from "#pipeline/body.ts";
import { CONTINUE, type ExchangeFacts, REPLY, SUSPEND } from "#pipeline/filter.ts";
import { Link } from "#test/support/body-link.ts";
import {
  answered,
  bodyHook as body,
  EACH,
  HOLDS,
  JUDGES,
  NO_ANSWER,
  SlowUpstream,
  waitingFilter as filterOf,
  waitingModule,
  WHOLE,
} from "#test/support/waiting-plugins.ts";
import { TestExchange, TestServices } from "#test/support/wasm.ts";
import { Recorder } from "#test/support/wasm-recording.ts";
import { replay } from "#test/support/wasm-replay.ts";
import type { WasmFilter } from "#wasm/create-filter.ts";

const POST = "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 6\r\n\r\n";

/** A request with a body whose head has had its hook. */
async function start(filter: WasmFilter, direction: "request" | "response" = "request") {
  const exchange = new TestExchange(POST).respondWith("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
  const resumed = exchange.nextResume();
  const verdict = direction === "request" ? filter.requestHead(exchange, 0) : filter.responseHead(exchange, 0);
  // One that holds is not resumed by its head's hook.
  if (verdict === SUSPEND) await Promise.race([resumed, turn()]);
  const link = new Link();
  const stage = (direction === "request" ? exchange.requestStages : exchange.responseStages)[0] as BodyStage;
  stage.attach(link);
  const data = (body: string, at = 0): void => {
    link.memory.set(Buffer.from(body), at);
    stage.data(7, at, at + body.length);
  };
  return { exchange, link, stage, data };
}

describe("a body whose hook waits", () => {
  it("is held up, and goes on with what came meanwhile", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(EACH, services);
    const { link, stage, data } = await start(filter);
    data("abc");
    expect(link.seen).toEqual(["pause"]);
    // What it was given is not there any more: on its way already was this.
    data("def");
    data("ghi");
    expect([link.seen, services.bodies]).toEqual([["pause"], ["abc"]]);
    await services.says(answered(200));
    expect([link.seen, services.bodies]).toEqual([
      ["pause", "bytes abc", "pause"],
      ["abc", "def"],
    ]);
    await services.says(answered(200));
    await services.says(answered(200));
    expect(link.seen.slice(3)).toEqual(["bytes def", "pause", "bytes ghi", "resume"]);
    stage.end();
    expect(services.bodies).toEqual(["abc", "def", "ghi", ""]);
    expect(link.seen.at(-1), "the end waits as well").toBe("resume");
    await services.says(answered(200));
    expect(link.seen.at(-1)).toBe("end");
    expect([services.tenant.suspended.taken, filter.stats.faults]).toEqual([0, 0]);
  });

  it("may end while it waits", async () => {
    const services = new SlowUpstream();
    const { link, stage, data } = await start(await filterOf(EACH, services));
    data("abc");
    data("def");
    stage.end();
    // Nothing more comes that would have to be held up: the client is listened to again.
    expect(link.seen).toEqual(["pause", "resume"]);
    for (let count = 0; count < 3; count++) await services.says(answered(200));
    expect(link.seen.filter((one) => one !== "pause" && one !== "resume")).toEqual(["bytes abc", "bytes def", "end"]);
    expect(services.bodies).toEqual(["abc", "def", ""]);
  });

  it("gathers more behind a hook that has waited and then paused", async () => {
    const services = new SlowUpstream();
    const code = "(drop (call $fetch)) (select (i32.const 0) (i32.const 2) (local.get $last))";
    const { link, stage, data } = await start(await filterOf(body(code), services));
    data("abc");
    await services.says(answered(200));
    data("def", 100);
    await services.says(answered(200));
    stage.end();
    await services.says(answered(200));
    expect(link.seen).toEqual(["pause", "resume", "pause", "resume", "bytes abcdef", "end"]);
    expect(services.bodies).toEqual(["abc", "abcdef", "abcdef"]);
  });

  it("keeps its head until the answer is there", async () => {
    const services = new SlowUpstream();
    const { exchange, link, stage, data } = await start(await filterOf(`${HOLDS} ${WHOLE}`, services));
    data("abc");
    data("def");
    stage.end();
    expect([services.bodies, exchange.resumed]).toEqual([["abcdef"], []]);
    await services.says(answered(200));
    expect(exchange.resumed).toEqual([CONTINUE]);
    stage.drained();
    expect(link.seen).toEqual(["bytes abcdef", "end"]);
  });

  it("is answered in its head's place when the answer is no", async () => {
    const services = new SlowUpstream();
    const { exchange, link, stage, data } = await start(await filterOf(`${HOLDS} ${WHOLE}`, services));
    data("abc");
    stage.end();
    await services.says(NO_ANSWER);
    expect([exchange.resumed, exchange.reply?.status, exchange.reply?.body]).toEqual([[REPLY], 403, "/no"]);
    expect(link.seen).toEqual([]);
  });

  it("is asked about although there is none, where the head waits for it", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(`${HOLDS} ${WHOLE}`, services);
    const exchange = new TestExchange();
    const resumed = exchange.nextResume();
    filter.requestHead(exchange, 0);
    await turn();
    expect([services.waiting, exchange.resumed]).toEqual([1, []]);
    await services.says(answered(404));
    expect([await resumed, exchange.reply?.status]).toEqual([REPLY, 403]);
    const other = new TestExchange();
    filter.requestHead(other, 0);
    await turn();
    filter.end(other, 0);
    await services.says(answered(200));
    expect([other.resumed, filter.stats.abandoned]).toEqual([[], 1]);
  });

  it("of a response is cut off when the answer is no", async () => {
    const services = new SlowUpstream();
    const { link, data } = await start(await filterOf(body(JUDGES, "response"), services), "response");
    data("abc");
    await services.says(answered(500));
    data("def");
    expect(link.seen).toEqual(["pause", "fail 403 refused-by-plugin"]);
  });

  it("waits with its end for the hook of the end", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(`(func (export "on_request_end") (drop (call $ask)))`, services);
    const { link, stage, data } = await start(filter);
    data("abc");
    stage.end();
    expect(link.seen).toEqual(["region 7 0-3"]);
    await services.says(NO_ANSWER);
    expect(link.seen).toEqual(["region 7 0-3", "end"]);
  });
});

describe("a hook that could wait and does not", () => {
  it("ends within the call: nothing is copied, nobody is held up", async () => {
    const services = new SlowUpstream();
    const code = `(if (i32.eq (call $size) (i32.const 1)) (then (drop (call $fetch)))) (i32.const 0)`;
    const filter = await filterOf(body(code), services);
    const { link, stage, data } = await start(filter);
    data("abc");
    data("def", 100);
    expect(link.seen).toEqual(["region 7 0-3", "region 7 100-103"]);
    data("x");
    data("yz");
    await services.says(answered(200));
    data("abc");
    stage.end();
    expect(link.seen.slice(2)).toEqual(["pause", "bytes x", "bytes yz", "resume", "region 7 0-3", "end"]);
    expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 1]);
  });
});

describe("a hook that waits and does not end well", () => {
  it("is answered by onFault at its deadline", async () => {
    for (const [onFault, seen] of [
      ["deny", ["pause", "fail 503 plugin-failed"]],
      ["allow", ["pause", "bytes abc", "bytes def", "resume"]],
    ] as const) {
      const services = new SlowUpstream();
      const limits = { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 5 };
      const filter = await filterOf(EACH, services, { onFault, limits });
      const { link, data } = await start(filter);
      data("abc");
      data("def");
      await expect.poll(() => link.seen).toEqual(seen);
      expect(filter.stats.faultsByCause.deadline).toBe(1);
      await expect.poll(() => services.tenant.suspended.taken).toBe(0);
      await services.says(answered(200));
      expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 0]);
    }
  });

  it("tells what has ended it, behind a wait and before one", async () => {
    for (const [code, cause] of [
      ["(drop (call $fetch)) unreachable", "trap"],
      ["unreachable", "trap"],
      ["(drop (call $fetch)) (loop $l (br $l)) (i32.const 0)", "fuel"],
      ["(loop $l (br $l)) (i32.const 0)", "fuel"],
      ["(drop (call $fetch)) (i32.const 9)", "host-call"],
      [
        "(drop (call $fetch)) (drop (call $property (i32.const 0) (i32.const -1) (i32.const 99))) (i32.const 0)",
        "host-call",
      ],
    ] as const) {
      const services = new SlowUpstream();
      const filter = await filterOf(body(code), services);
      const { link, data } = await start(filter);
      data("abc");
      await services.says(answered(200));
      expect(link.seen.at(-1), code).toBe("fail 503 plugin-failed");
      expect(filter.stats.lastFault?.cause, code).toBe(cause);
      expect([services.tenant.suspended.taken, services.tenant.guests.taken], code).toEqual([0, 0]);
    }
  });

  it("opens the breaker", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(body("(drop (call $fetch)) unreachable"), services, { onFault: "allow" });
    for (let count = 0; count < 5; count++) {
      const { data } = await start(filter);
      data("abc");
      await services.says(answered(200));
    }
    expect(filter.stats).toMatchObject({ faults: 5, rests: 1 });
    const exchange = new TestExchange(POST);
    const verdict = filter.requestHead(exchange, 0);
    expect([verdict, exchange.requestStages, filter.stats.skipped]).toEqual([CONTINUE, [], 1]);
  });

  it("is not begun when as many wait as may", async () => {
    const services = new SlowUpstream({ suspendedCalls: 1 });
    const filter = await filterOf(EACH, services);
    const [first, second] = [await start(filter), await start(filter)];
    first.data("abc");
    second.data("def");
    expect(second.link.seen).toEqual(["fail 503 plugin-failed"]);
    expect([filter.stats.skipped, filter.stats.faults]).toEqual([1, 0]);
    await services.says(answered(200));
    expect(first.link.seen).toEqual(["pause", "bytes abc", "resume"]);
  });
});

describe("an exchange that ends while its body's hook waits", () => {
  it("takes the guest along, and nothing of it is heard again", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(EACH, services);
    const { exchange, link, stage, data } = await start(filter);
    data("abc");
    data("def");
    filter.end(exchange, 0);
    stage.dispose();
    await turn();
    // Its place is free for others before its upstream has answered.
    expect(services.tenant.suspended.taken).toBe(0);
    await services.says(answered(404));
    expect([link.seen, exchange.reply]).toEqual([["pause"], null]);
    expect(filter.stats).toMatchObject({ abandoned: 1, faults: 0 });
    expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 0]);
    // The next one has a guest of its own.
    const next = await start(filter);
    next.data("abc");
    await services.says(answered(200));
    expect(next.link.seen).toEqual(["pause", "bytes abc", "resume"]);
  });

  it("in both directions", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(`${EACH} ${body(JUDGES, "response")}`, services);
    const exchange = new TestExchange(POST).respondWith("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
    filter.requestHead(exchange, 0);
    await turn();
    filter.responseHead(exchange, 0);
    await turn();
    const stages = [exchange.requestStages[0] as BodyStage, exchange.responseStages[0] as BodyStage];
    for (const stage of stages) {
      stage.attach(new Link());
      stage.data(7, 0, 3);
    }
    expect(services.waiting).toBe(2);
    filter.end(exchange, 0);
    for (const stage of stages) stage.dispose();
    expect(filter.stats.abandoned).toBe(2);
    for (const _ of stages) await services.says(answered(200));
    expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 0]);
  });
});

describe("isolation by request", () => {
  it("puts a guest back that has waited", async () => {
    const services = new SlowUpstream();
    const code = `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (drop (call $fetch))
      (if (i32.ne (global.get $calls) (i32.const 1)) (then unreachable)) (i32.const 0)`;
    const filter = await filterOf(body(code), services, { isolation: "request" });
    const { link, data } = await start(filter);
    for (let count = 0; count < 3; count++) {
      data("abc");
      await services.says(answered(200));
    }
    expect(link.seen.filter((one) => one.startsWith("bytes"))).toEqual(["bytes abc", "bytes abc", "bytes abc"]);
    expect([services.tenant.guests.taken, filter.stats.faults]).toEqual([1, 0]);
  });
});

const FACTS: ExchangeFacts = {
  routeName: "orders",
  upstreamName: "",
  upstreamAddress: "",
  originalDestination: "",
  clientSocket: "",
  localSocket: "",
  serverName: "",
  tlsVersion: "",
  outcomeCode: "ok",
  statusSent: 200,
  durationMs: 1,
  requestBytes: 0,
  responseBytes: 0,
};

describe("hooks that belong to no request, or to none any more", () => {
  it("know the exchange that has ended, whatever has become of it", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(
      `(func (export "on_request") (result i32) (call $put (i32.const 8) (i32.const 3)) (i32.const 0))
       (func (export "on_end") (local $length i32)
         (drop (call $ask))
         (local.set $length (call $property (i32.const 0) (i32.const 200) (i32.const 50)))
         (i32.store8 (i32.add (i32.const 200) (local.get $length)) (i32.const 32))
         (local.set $length (i32.add (local.get $length) (i32.const 1)))
         (local.set $length (i32.add (local.get $length)
           (call $part (i32.const 5) (i32.add (i32.const 200) (local.get $length)) (i32.const 50))))
         (local.set $length (i32.add (local.get $length)
           (call $kept (i32.add (i32.const 200) (local.get $length)) (i32.const 50))))
         (call $log (i32.const 1) (i32.const 200) (local.get $length)))`,
      services,
    );
    const facts = { ...FACTS };
    const exchange = Object.assign(new TestExchange(), { facts });
    const resumed = exchange.nextResume();
    filter.requestHead(exchange, 0);
    await resumed;
    filter.end(exchange, 0);
    // The engine has it for another request.
    exchange.state[0] = null;
    exchange.clientAddress = "192.0.2.1";
    facts.routeName = "another";
    filter.dispose();
    await services.says(answered(200));
    expect(services.logs).toEqual(["info sample@1 orders 203.0.113.7GET"]);
    expect([services.tenant.suspended.taken, services.tenant.guests.taken]).toEqual([0, 0]);
  });

  it("tick once at a time", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(
      `(func (export "on_configure") (result i32) (call $every (i32.const 100)) (i32.const 0))
       (func (export "on_tick") (if (call $ask) (then (call $log (i32.const 1) (i32.const 0) (i32.const 3)))))`,
      services,
    );
    services.tick?.();
    services.tick?.();
    expect(services.waiting).toBe(1);
    await services.says(answered(200));
    expect(services.logs).toHaveLength(1);
    services.tick?.();
    expect(services.waiting).toBe(1);
    // One that fails does not stop the clock.
    await services.says(NO_ANSWER);
    services.tick?.();
    expect(services.waiting).toBe(1);
    filter.dispose();
    expect(services.tick).toBeNull();
  });

  it("answer messages when they have waited, each its own", async () => {
    const services = new SlowUpstream();
    const filter = await filterOf(
      `(func (export "on_message") (local $length i32)
         (if (i32.eq (call $message (i32.const 300) (i32.const 50)) (i32.const 1))
           (then (call $answer (i32.const 300) (i32.const 1)) (return)))
         (local.set $length (call $message (i32.const 300) (i32.const 50)))
         (if (i32.eqz (call $ask)) (then unreachable))
         (call $answer (i32.const 300)
           (i32.add (local.get $length) (call $fetched (i32.add (i32.const 300) (local.get $length)) (i32.const 50)))))`,
      services,
    );
    const text = (answer: Uint8Array | null): string | null =>
      answer === null ? null : Buffer.from(answer).toString();
    expect(filter.message(Buffer.from("x"))).toBeInstanceOf(Uint8Array);
    const answers = ["a:", "bb:", "ccc:"].map(async (message) => text(await filter.message(Buffer.from(message))));
    expect(services.waiting).toBe(3);
    await services.says(answered(200, "one"));
    await services.says(NO_ANSWER);
    await services.says(answered(200, "three"));
    expect(await Promise.all(answers)).toEqual(["a:one", null, "ccc:three"]);
  });

  it("can't wait while they are configured", async () => {
    const refused = filterOf(
      `(func (export "on_configure") (result i32) (drop (call $ask)) (i32.const 0)) (func (export "on_end"))`,
      new SlowUpstream(),
    );
    await expect(refused).rejects.toThrow(/host-call: it waits for something while it is configured/);
  });
});

it("is recorded and played back to the unit of fuel", async () => {
  const code = `(local $turns i32)
    (local.set $turns (call $fetch))
    (block $done (loop $l (br_if $done (i32.eqz (local.get $turns)))
      (local.set $turns (i32.sub (local.get $turns) (i32.const 1))) (br $l)))
    (call $reply (i32.add (i32.const 200) (local.get $last)) (i32.const 500) (call $fetched (i32.const 500) (i32.const 50)))
    (select (i32.const 1) (i32.const 2) (local.get $last))`;
  const hooks = `${HOLDS} ${body(code)} (func (export "on_request_end") (drop (call $ask))) (func (export "on_end") (drop (call $ask)))`;
  const fuels = new Set<number>();
  for (let recording = 0; recording < 3; recording++) {
    const recorder = new Recorder();
    const services = new TestServices();
    services.answer = async () => answered(200 + recording * 100, String(Math.random()));
    const filter = await filterOf(hooks, services, {}, recorder);
    const { exchange, stage, data } = await start(filter);
    data("abc");
    data("def");
    stage.end();
    await expect.poll(() => exchange.resumed).toEqual([REPLY]);
    expect(exchange.reply?.body).toMatch(/^0\.\d+/);
    filter.end(exchange, 0);
    await expect.poll(() => services.tenant.suspended.taken).toBe(0);
    fuels.add(filter.stats.fuel);
    const loaded = await waitingModule(hooks);
    for (const one of recorder.recordings) {
      expect(one.events.filter(({ kind }) => kind === "exit").length).toBeGreaterThan(3);
      for (let time = 0; time < 3; time++) {
        const { difference, memory } = replay(loaded, one);
        expect(difference).toBeNull();
        expect(memory).toEqual(one.memory());
      }
    }
  }
  expect(fuels.size).toBe(3);
});
