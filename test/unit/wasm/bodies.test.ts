/** Bodies through a guest: what passes uncopied, what waits, what holds the head, and what a fault or a reply does in the middle. */
import { describe, expect, it } from "vitest";
import { TRAILER } from "#http/names.ts";
import type { BodyStage } from "#pipeline/body.ts";
import { CONTINUE, REPLY, SUSPEND } from "#pipeline/filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { Link } from "#test/support/body-link.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";

const POST = "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 6\r\n\r\n";

const IMPORTS = `(import "penstock" "body_size" (func $size (result i32)))
  (import "penstock" "body_get" (func $get (param i32 i32 i32) (result i32)))
  (import "penstock" "body_splice" (func $splice (param i32 i32 i32 i32) (result i32)))
  (import "penstock" "body_skip" (func $skip))
  (import "penstock" "reply" (func $reply (param i32 i32 i32)))
  (import "penstock" "exchange_put" (func $put (param i32 i32)))
  (import "penstock" "exchange_get" (func $take (param i32 i32) (result i32)))`;

/** A module of these hooks; `body` is what `on_request_body` does. */
async function filterOf(body: string, head = "(i32.const 0)", spec: Partial<PluginFilterSpec> = {}) {
  const wasm =
    wat(`(module ${IMPORTS} (memory (export "memory") 1) (data (i32.const 0) "xyz") (func (export "penstock_abi_2"))
    (func (export "on_request") (result i32) ${head})
    (func (export "on_request_body") (param $last i32) (result i32) ${body}))`);
  const loaded = await loadModule(prepareModule(wasm).bytes);
  return createWasmFilter(filterSpec(spec), PLUGIN, loaded, new TestServices(), RESOURCES);
}

function start(filter: WasmFilter, text = POST) {
  const exchange = new TestExchange(text);
  const verdict = filter.requestHead(exchange, 0);
  const link = new Link();
  const stage: BodyStage | undefined = exchange.requestStages[0];
  stage?.attach(link);
  const data = (body: string, at = 0): void => {
    link.memory.set(Buffer.from(body), at);
    stage?.data(7, at, at + body.length);
  };
  return { exchange, verdict, link, stage, data };
}

const PAUSE_UNTIL_LAST = "(select (i32.const 0) (i32.const 2) (local.get $last))";

describe("a body through a guest", () => {
  it("passes as it came, uncopied, where the guest does nothing to it", async () => {
    const { verdict, link, stage, data } = start(await filterOf("(drop (call $size)) (i32.const 0)"));
    expect(verdict).toBe(CONTINUE);
    data("abc");
    data("def", 100);
    stage?.end();
    expect(link.seen).toEqual(["region 7 0-3", "region 7 100-103", "end"]);
  });

  it("is written anew where it was changed", async () => {
    const splice = "(drop (call $splice (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 3)))";
    const { link, data } = start(await filterOf(`${splice} (i32.const 0)`));
    data("abc");
    expect(link.seen).toEqual(["bytes axyzc"]);
  });

  it("waits, and is seen whole", async () => {
    const { link, stage, data } = start(await filterOf(PAUSE_UNTIL_LAST));
    data("abc");
    data("def");
    expect(link.seen).toEqual([]);
    stage?.end();
    expect(link.seen).toEqual(["bytes abcdef", "end"]);
  });

  it("is refused when more waits than may", async () => {
    const { link, data } = start(await filterOf("(i32.const 2)"));
    data("a".repeat(600_000));
    data("a".repeat(600_000));
    expect(link.seen).toEqual(["fail 413 body-too-long"]);
  });

  it("is not asked for where the head hook says so", async () => {
    const { verdict, stage } = start(await filterOf("unreachable", "(call $skip) (i32.const 0)"));
    expect([verdict, stage]).toEqual([CONTINUE, undefined]);
  });

  it("can't be changed beyond its bytes", async () => {
    const filter = await filterOf(
      "(drop (call $splice (i32.const 2) (i32.const 9) (i32.const 0) (i32.const 0))) (i32.const 0)",
    );
    const { link, data } = start(filter);
    data("abc");
    expect(link.seen).toEqual(["fail 503 plugin-failed"]);
    expect(filter.stats.lastFault?.cause).toBe("host-call");
  });
});

describe("a head that waits for its body", () => {
  const HOLDS = "(i32.const 2)";

  it("leaves when the guest lets the body go, and the body behind it", async () => {
    const { exchange, verdict, link, stage, data } = start(await filterOf(PAUSE_UNTIL_LAST, HOLDS));
    expect([verdict, stage?.holds]).toEqual([SUSPEND, true]);
    data("abc");
    data("def");
    expect(exchange.resumed).toEqual([]);
    stage?.end();
    expect(exchange.resumed).toEqual([CONTINUE]);
    expect(link.seen).toEqual([]);
    stage?.drained();
    expect(link.seen).toEqual(["bytes abcdef", "end"]);
    expect(stage?.holds, "what follows is asked from here on").toBe(false);
  });

  it("makes the client wait when much has been let go before it has left", async () => {
    const { link, stage, data } = start(await filterOf("(i32.const 0)", HOLDS));
    data("a".repeat(200_000));
    data("a".repeat(200_000));
    expect(link.seen).toEqual(["pause"]);
    stage?.drained();
    expect(link.seen).toEqual(["pause", "bytes 200000", "bytes 200000", "resume"]);
    data("b", 400_000);
    expect(link.seen.at(-1)).toBe("region 7 400000-400001");
  });

  it("does not leave when the guest replies", async () => {
    const reply = "(call $reply (i32.const 403) (i32.const 0) (i32.const 3)) (i32.const 1)";
    const { exchange, link, stage, data } = start(await filterOf(reply, HOLDS));
    data("abc");
    expect(exchange.reply).toMatchObject({ status: 403, body: "xyz" });
    expect(exchange.resumed).toEqual([REPLY]);
    stage?.end();
    expect(link.seen).toEqual([]);
  });

  it("is decided on at once where there is no body", async () => {
    const filter = await filterOf("(call $reply (i32.const 400) (i32.const 0) (i32.const 3)) (i32.const 1)", HOLDS);
    const { exchange, verdict } = start(filter, "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    expect([verdict, exchange.reply?.status]).toEqual([REPLY, 400]);
  });
});

describe("in the middle of a body", () => {
  it("a reply is told as a refusal", async () => {
    const reply = "(call $reply (i32.const 422) (i32.const 0) (i32.const 3)) (i32.const 1)";
    const { link, data } = start(await filterOf(reply));
    data("abc");
    data("def");
    expect(link.seen).toEqual(["fail 422 refused-by-plugin"]);
  });

  it("a fault ends the exchange, and what the route allows passes on unseen", async () => {
    const denied = start(await filterOf("unreachable"));
    denied.data("abc");
    expect(denied.link.seen).toEqual(["fail 503 plugin-failed"]);
    const filter = await filterOf("unreachable", "(i32.const 0)", { onFault: "allow" });
    const allowed = start(filter);
    allowed.data("abc");
    allowed.data("def", 50);
    allowed.stage?.end();
    expect(allowed.link.seen).toEqual(["region 7 0-3", "region 7 50-53", "end"]);
    expect(filter.stats.faults).toBe(1);
  });

  it("what one exchange keeps, another does not see", async () => {
    // The head hook keeps the last byte of its memory's counter; the body hook replaces the body by what is kept.
    const head = `(i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
      (i32.store8 (i32.const 101) (i32.add (i32.const 48) (i32.load8_u (i32.const 100)))) (call $put (i32.const 101) (i32.const 1)) (i32.const 0)`;
    const body = `(drop (call $splice (i32.const 0) (call $size) (i32.const 200) (call $take (i32.const 200) (i32.const 8)))) (i32.const 0)`;
    const filter = await filterOf(body, head);
    const [one, two] = [start(filter), start(filter)];
    two.data("abc");
    one.data("abc");
    expect([one.link.seen, two.link.seen]).toEqual([["bytes 1"], ["bytes 2"]]);
  });
});

describe("a response's head that waits for its body", () => {
  const HEADS = `(import "penstock" "status" (func $status (result i32)))
    (import "penstock" "set_status" (func $set_status (param i32) (result i32)))
    (import "penstock" "set_target" (func $set_target (param i32 i32) (result i32)))
    (import "penstock" "reply" (func $reply (param i32 i32 i32)))`;

  async function responding(body: string) {
    const wasm = wat(`(module ${HEADS} (memory (export "memory") 1) (func (export "penstock_abi_2"))
      (func (export "on_response") (result i32) (i32.const 2))
      (func (export "on_response_body") (param $last i32) (result i32) ${body}))`);
    const loaded = await loadModule(prepareModule(wasm).bytes);
    const filter = await createWasmFilter(filterSpec(), PLUGIN, loaded, new TestServices(), RESOURCES);
    const exchange = new TestExchange().respondWith("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n");
    const verdict = filter.responseHead(exchange, 0);
    const link = new Link();
    const stage = exchange.responseStages[0];
    stage?.attach(link);
    link.memory.set(Buffer.from("abcdef"));
    return { filter, exchange, verdict, link, stage };
  }

  const CHANGE = "(drop (call $set_status (i32.add (call $status) (i32.const 1))))";

  it("can be changed until it leaves, and leaves before the body", async () => {
    const { exchange, verdict, link, stage } = await responding(
      `(if (local.get $last) (then ${CHANGE})) ${PAUSE_UNTIL_LAST}`,
    );
    expect(verdict).toBe(SUSPEND);
    stage?.data(7, 0, 6);
    expect([exchange.resumed, link.seen]).toEqual([[], []]);
    stage?.end();
    expect([exchange.resumed, exchange.response.status]).toEqual([[CONTINUE], 201]);
    expect(link.seen).toEqual([]);
    stage?.drained();
    expect(link.seen).toEqual(["bytes abcdef", "end"]);
  });

  it("can't be changed afterwards", async () => {
    const { filter, exchange, link, stage } = await responding(`${CHANGE} (i32.const 0)`);
    stage?.data(7, 0, 3);
    expect([exchange.resumed, exchange.response.status]).toEqual([[CONTINUE], 201]);
    stage?.data(7, 3, 6);
    expect(filter.stats.lastFault).toMatchObject({ cause: "host-call" });
    expect(link.seen.at(-1)).toBe("fail 503 plugin-failed");
  });

  it("is replaced by a reply", async () => {
    const { exchange, stage } = await responding(
      "(call $reply (i32.const 451) (i32.const 0) (i32.const 0)) (i32.const 1)",
    );
    stage?.data(7, 0, 6);
    expect([exchange.resumed, exchange.reply?.status]).toEqual([[REPLY], 451]);
  });

  it("is replaced when the guest faults", async () => {
    const { exchange, link, stage } = await responding("unreachable");
    stage?.data(7, 0, 6);
    expect([exchange.resumed, exchange.reply?.status, link.seen]).toEqual([[REPLY], 503, []]);
  });

  it("is decided about without a body, too", async () => {
    const wasm = wat(`(module ${HEADS} (memory (export "memory") 1) (func (export "penstock_abi_2"))
      (func (export "on_response") (result i32) (i32.const 2))
      (func (export "on_response_body") (param $last i32) (result i32) ${CHANGE} (i32.const 0)))`);
    const loaded = await loadModule(prepareModule(wasm).bytes);
    const filter = await createWasmFilter(filterSpec(), PLUGIN, loaded, new TestServices(), RESOURCES);
    const exchange = new TestExchange().respondWith("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
    expect([filter.responseHead(exchange, 0), exchange.response.status]).toEqual([CONTINUE, 203]);
  });
});

describe("trailers of a guest", () => {
  const HEADERS = `(import "penstock" "name_id" (func $name (param i32 i32) (result i32)))
    (import "penstock" "header_add" (func $add (param i32 i32 i32 i32) (result i32)))
    (import "penstock" "header_set" (func $set (param i32 i32 i32 i32) (result i32)))
    (import "penstock" "header_remove" (func $remove (param i32 i32) (result i32)))
    (import "penstock" "header_count" (func $count (param i32) (result i32)))
    (import "penstock" "exchange_put" (func $put (param i32 i32)))
    (import "penstock" "exchange_get" (func $take (param i32 i32) (result i32)))`;
  const X_SUM = "(call $name (i32.const 0) (i32.const 5))";
  const COOKIE = "(call $name (i32.const 8) (i32.const 10))";
  /** `answer` is kept, as a digit. */
  const keep = (answer: string): string =>
    `(i32.store8 (i32.const 64) (i32.add (i32.const 48) ${answer})) (call $put (i32.const 64) (i32.const 1))`;

  /** A module whose `on_request_end` does this, and a body of its own through it. */
  async function ending(hook: string, head = "") {
    const wasm = wat(`(module ${HEADERS} (memory (export "memory") 1) (func (export "penstock_abi_2"))
      (data (i32.const 0) "x-sum   set-cookietrailer")
      (func (export "on_request") (result i32) ${head} (i32.const 0))
      (func (export "on_request_end") ${hook}))`);
    const loaded = await loadModule(prepareModule(wasm).bytes);
    const filter = await createWasmFilter(filterSpec(), PLUGIN, loaded, new TestServices(), RESOURCES);
    const { exchange, link, stage } = start(filter);
    return { filter, exchange, link, stage };
  }

  const value = "(i32.const 0) (i32.const 1)";

  it("are made by the first that is added, and by a removal not", async () => {
    const none = await ending(`${keep(`(call $remove (i32.const 2) ${X_SUM})`)} (drop (call $count (i32.const 2)))`);
    none.stage?.end();
    expect([none.link.seen, none.link.trailers]).toEqual([["end"], null]);
    const added = await ending(keep(`(call $add (i32.const 2) ${X_SUM} ${value})`));
    added.stage?.end();
    expect([added.link.seen, added.link.trailers?.entries()]).toEqual([["end"], [["x-sum", "x"]]]);
  });

  it("are refused, without a fault, where they can't be sent or belong into a head", async () => {
    const { filter, link, stage } = await ending(
      `(if (call $set (i32.const 2) ${COOKIE} ${value}) (then unreachable))
       (if (i32.ne (call $add (i32.const 2) ${X_SUM} ${value}) (i32.const 1)) (then unreachable))`,
    );
    stage?.end();
    expect([filter.stats.faults, link.trailers?.entries()]).toEqual([0, [["x-sum", "x"]]]);
    const closed = await ending(`(if (call $add (i32.const 2) ${X_SUM} ${value}) (then unreachable))`);
    closed.link.sendable = false;
    closed.stage?.end();
    expect([closed.filter.stats.faults, closed.link.seen]).toEqual([0, ["end"]]);
  });

  it("are announced in the head by a Trailer field", async () => {
    const announce = `(drop (call $add (i32.const 0) (call $name (i32.const 18) (i32.const 7)) (i32.const 0) (i32.const 5)))`;
    const { exchange } = await ending("", announce);
    expect([exchange.request.find(TRAILER) >= 0, exchange.request.announcesTrailers]).toEqual([true, true]);
  });

  it("of the other message are out of reach", async () => {
    const { filter, stage } = await ending(`(drop (call $add (i32.const 3) ${X_SUM} ${value}))`);
    stage?.end();
    expect(filter.stats.lastFault?.cause).toBe("host-call");
  });
});
