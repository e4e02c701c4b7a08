/** The AssemblyScript SDK against the real host: every part of it, in plugins written for the purpose. */
import { describe, expect, it } from "vitest";
import { CONTINUE, HOOK_END, type FetchResponse, REPLY, SUSPEND } from "#pipeline/filter.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { TestExchange, TestServices } from "#test/support/wasm.ts";
import { fromSource, fromWasm } from "./plugins.ts";

const ALL = { maps: [0, 1, 2], upstreams: [0, 1] };

type Evaluate = (spec?: Partial<PluginFilterSpec>, exchange?: TestExchange) => Promise<string>;

const bodies: string[] = [];
let together: Promise<Uint8Array> | null = null;

/** One plugin of all bodies, of which its configuration chooses: compiling takes far longer than running them. */
function built(): Promise<Uint8Array> {
  const functions = bodies.map((body, n) => `function text${n}(req: Request): string { ${body} }`);
  const choices = bodies.map((_, n) => `if (n == ${n}) return respond(200, text${n}(req))`);
  together ??=
    fromSource(`import { Request, Action, respond, config, log, maps, ban, banClient, headerName, Bytes, sameSecret, nowMs, randomU64 } from "penstock/assembly"
    ${functions.join("\n")}
    export function onRequest(req: Request): Action {
      const n = config().integer("text", -1)
      ${choices.join("\n")}
      return Action.Continue
    }`);
  return together;
}

/** The body of a function that makes a text of a request; called inside onRequest, its text comes back as a reply. */
function text(body: string): Evaluate {
  const n = bodies.push(body) - 1;
  return async (spec = {}, exchange = new TestExchange()) => {
    const config = { ...spec.config, text: String(n) };
    const { filter, services } = await fromWasm(await built(), { allow: ALL, ...spec, config });
    const verdict = filter.requestHead(exchange, 0);
    expect({ verdict, fault: filter.stats.lastFault, logs: services.logs }).toEqual({
      verdict: REPLY,
      fault: null,
      logs: services.logs,
    });
    return exchange.reply?.body ?? "";
  };
}

describe("the request", () => {
  const parts = text(`return [req.method, req.path, req.query, req.host, req.scheme, req.clientAddress].join(" ")`);
  it("its parts", async () => {
    const exchange = new TestExchange("POST /a/./b?c=d HTTP/1.1\r\nHost: Shop.Example:81\r\ncontent-length: 0\r\n\r\n");
    expect(await parts({}, exchange)).toBe("POST /a/b c=d shop.example http 203.0.113.7");
  });

  const headers = text(
    `req.addHeader("X-A", "2"); req.setHeader("x-utf", "grün")
       let s = req.hasHeader("x-none").toString() + " " + req.hasHeader("x-a").toString()
       for (let i = 0; i < req.headerCount; i++) s += " " + req.headerNameAt(i) + "=" + req.headerValueAt(i)
       req.removeHeader("x-a")
       return s + " " + (req.header("x-a") === null).toString() + " " + req.header("x-utf")!`,
  );
  it("its headers, one by one and all", async () => {
    const exchange = new TestExchange("GET / HTTP/1.1\r\nhost: h\r\nX-Ä: 1\r\n\r\n".replace("Ä", "A"));
    expect(await headers({}, exchange)).toBe("false true host=h x-a=1 x-a=2 x-utf=grün true grün");
  });

  const madeNames = text(
    `let s = ""; for (let i = 0; i < 3; i++) s += req.setHeader("x-n" + i.toString(), "v").toString() + " "
       s += req.setHeader("bad name", "v").toString() + " " + req.setHeader("x-a", "a\\r\\nb: c").toString() + " " + req.setHeader("content-length", "1").toString()
       return s + " " + (req.header("bad name") === null).toString()`,
  );
  it("names made at run time, and bad ones", async () => {
    const exchange = new TestExchange("GET / HTTP/1.1\r\nhost: h\r\nx-never-interned: 1\r\n\r\n");
    expect(await madeNames({}, exchange)).toBe("true true true false false false true");
  });

  const long = text(`return req.header("x-long")!.length.toString()`);
  it("a value longer than the buffer", async () => {
    const exchange = new TestExchange(`GET / HTTP/1.1\r\nhost: h\r\nx-long: ${"y".repeat(9000)}\r\n\r\n`);
    expect(await long({}, exchange)).toBe("9000");
  });

  const target = text(`return req.setTarget("/x?y=1").toString() + req.setTarget("no slash").toString()`);
  it("another target", async () => {
    const exchange = new TestExchange();
    expect(await target({}, exchange)).toBe("truefalse");
    expect(exchange.request.pathText()).toBe("/x");
  });
});

describe("configuration, log, time", () => {
  const values = text(
    `const c = config(); const k = "a" + ""
       return [c.get("a")!, c.get(k)!, (c.get("none") === null).toString(), c.integer("n", 1).toString(), c.integer("m", 1).toString(), c.integer("bad", 1).toString(), c.integer("huge", 2).toString(), c.integer("none", 3).toString()].join(" ")`,
  );
  it("values and numbers", async () => {
    const config = { a: "b", n: "42", m: "-7", bad: "4x", huge: "99999999999" };
    expect(await values({ config })).toBe("b b true 42 -7 1 2 3");
  });

  const clock = text(`return nowMs().toString() + " " + (randomU64() != randomU64()).toString()`);
  it("clock and chance", async () => {
    expect(await clock()).toBe("1000000 true");
  });

  it("an assertion that fails is told with file and line", async () => {
    const wasm = await fromSource(`import { Request, Action } from "penstock/assembly"
export function onRequest(req: Request): Action {
  assert(req.host == "nobody", "not for nobody")
  return Action.Continue
}`);
    const { filter, services } = await fromWasm(wasm);
    expect(filter.requestHead(new TestExchange(), 0)).toBe(REPLY);
    expect(services.logs[0]).toBe("error sample@1 not for nobody (assembly/index.ts:3:3)");
    expect(filter.stats.lastFault?.cause).toBe("trap");
  });
});

describe("maps", () => {
  const entries = text(
    `const f = maps.open("failures")!, b = maps.open("blocklist")!, n = maps.open("notes")!
       let s = f.increment("203.0.113.7").toString() + f.incrementClient(2).toString() + f.count("203.0.113.7").toString() + f.count("::1").toString()
       s += " " + f.increment("not an address").toString() + " " + b.increment("203.0.113.7").toString()
       s += " " + b.putFor("2001:db8::/32", 10).toString() + b.has("2001:db8::/32").toString() + b.has("2001:db9::/32").toString()
       s += " " + ban("198.51.100.0/24", 0).toString() + banClient(1).toString() + ban("1.2.3.4/8", 1).toString()
       s += " " + n.put("key", "value").toString() + n.get("key")! + (n.get("none") === null).toString() + n.put("k".repeat(17), "v").toString()
       return s + " " + f.deleteClient().toString() + f.delete("203.0.113.7").toString() + (maps.open("nothing") === null).toString()`,
  );
  it("counters by address, expiries by prefix, text by text", async () => {
    expect(await entries()).toBe("1330 -1 -1 truetruefalse truetruefalse truevaluetruefalse truefalsetrue");
  });

  it("addresses as the kernel wants them", async () => {
    const services = new TestServices();
    const PREFIXES = [
      ["203.0.113.7", "80000000" + "00000000000000000000ffffcb007107"],
      ["203.0.113.0/24", "78000000" + "00000000000000000000ffffcb007100"],
      ["0.0.0.0/0", "60000000" + "00000000000000000000ffff00000000"],
      ["::/0", "00000000" + "00000000000000000000000000000000"],
      ["2001:db8::/32", "20000000" + "20010db8000000000000000000000000"],
      ["2001:DB8:0:0:1:2:3:4", "80000000" + "20010db8000000000001000200030004"],
      ["1::8", "80000000" + "00010000000000000000000000000008"],
      ["::1", "80000000" + "00000000000000000000000000000001"],
      ["1::", "80000000" + "00010000000000000000000000000000"],
      ["::ffff:1.2.3.4", "80000000" + "00000000000000000000ffff01020304"],
    ];
    const BAD = [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.4/33",
      "1.2.3.4/",
      "1.2.3.4/-1",
      "1.2.3.4/24",
      ":",
      ":::",
      "1:::2",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "g::",
      "::/129",
      "1:2:3:4:5:6:7:8::",
      "::1/64",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1:",
    ];
    const list = JSON.stringify([...PREFIXES.map(([prefix]) => prefix), ...BAD]);
    const wasm = await fromSource(`import { Request, Action, ban, respond } from "penstock/assembly"
      export function onRequest(req: Request): Action {
        const all: string[] = ${list}; let s = ""
        for (let i = 0; i < all.length; i++) s += ban(all[i], 0) ? "1" : "0"
        return respond(200, s)
      }`);
    const { filter } = await fromWasm(wasm, { allow: ALL }, services);
    const exchange = new TestExchange();
    filter.requestHead(exchange, 0);
    expect(exchange.reply?.body).toBe("1".repeat(PREFIXES.length) + "0".repeat(BAD.length));
    expect([...(services.maps[0]?.entries.keys() ?? [])]).toEqual(PREFIXES.map(([, key]) => key));
  });
});

describe("the response", () => {
  it("status and headers, and a reply in its place", async () => {
    const wasm = await fromSource(`import { Request, Response, Action, respond, replyHeader } from "penstock/assembly"
      export function onResponse(req: Request, res: Response): Action {
        res.setHeader("x-was", res.status.toString() + " " + req.path)
        if (res.status == 500) { replyHeader("retry-after", "5"); replyHeader("content-length", "5"); return respond(503, "later") }
        return res.setStatus(418) ? Action.Continue : Action.Reply
      }`);
    const { filter } = await fromWasm(wasm);
    const first = new TestExchange().respondWith();
    expect(filter.responseHead(first, 0)).toBe(CONTINUE);
    expect([first.response.status, first.response.get("x-was")]).toEqual([418, "200 /orders"]);
    const second = new TestExchange().respondWith("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    expect(filter.responseHead(second, 0)).toBe(REPLY);
    expect(second.reply).toEqual({ status: 503, headers: [["retry-after", "5"]], body: "later" });
    // What one request asked for is not in the next one's reply.
    const third = new TestExchange().respondWith("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    filter.responseHead(third, 0);
    expect(third.reply?.headers).toEqual([["retry-after", "5"]]);
  });

  it("the end of the exchange", async () => {
    const wasm = await fromSource(`import { Request, log } from "penstock/assembly"
      export function onEnd(req: Request): void { log.info("bye " + req.clientAddress) }`);
    const { filter, services } = await fromWasm(wasm);
    expect(filter.hooks).toBe(HOOK_END);
    filter.end(new TestExchange(), 0);
    expect(services.logs).toEqual(["info sample@1 bye 203.0.113.7"]);
  });
});

it("gives the heap back after each hook, keeps what was made before, and keeps caches", async () => {
  const wasm = await fromSource(`import { Request, Action, config, respond } from "penstock/assembly"
    const kept: string[] = []
    export function onConfigure(): bool { for (let i = 0; i < 100; i++) kept.push("entry " + i.toString()); return true }
    export function onRequest(req: Request): Action {
      let garbage = ""
      for (let i = 0; i < 40; i++) garbage += "0123456789"
      return respond(200, kept.join(",").length.toString() + " " + config().get("late")! + " " + garbage.length.toString() + " " + memory.size().toString())
    }`);
  const { filter } = await fromWasm(wasm, { config: { late: "value" } });
  const bodies = new Set<string | undefined>();
  for (let count = 0; count < 2000; count++) {
    const exchange = new TestExchange();
    filter.requestHead(exchange, 0);
    if (count > 1) bodies.add(exchange.reply?.body); // the first hook's heap is kept, for its cache
  }
  expect([...bodies], "no page more, however many hooks").toEqual(["889 value 400 8"]);
  expect(filter.stats.faults).toBe(0);
});

describe("fetch", () => {
  const SOURCE = `import { Request, Action, fetch, FetchOptions, respond, log } from "penstock/assembly"
    let running = 0
    export function onRequest(req: Request): Action {
      if (req.path == "/free") return Action.Continue
      if (req.path == "/forbidden") { const r = fetch("nowhere", "/"); return respond(502, r.error) }
      running++
      const answer = fetch("auth", "/check?u=" + req.host, new FetchOptions().header("x-from", req.clientAddress))
      running--
      if (req.path == "/spin") while (true) {}
      if (answer.status == 0) return respond(502, answer.error)
      req.setHeader("x-user", answer.body + (running == 0 ? "" : " while others ran"))
      const role = answer.header("x-role")
      if (role !== null) req.setHeader("x-role", role)
      return Action.Continue
    }`;
  const at = (path: string) => new TestExchange(`GET ${path} HTTP/1.1\r\nhost: h${path.length}\r\n\r\n`);
  const ok = (body: string): FetchResponse => ({
    status: 200,
    headers: [["X-Role", "admin"]],
    body: Buffer.from(body),
    error: "",
  });
  const wasm = fromSource(SOURCE);
  const make = async (services = new TestServices(), spec: Partial<PluginFilterSpec> = {}) =>
    fromWasm(await wasm, { allow: { maps: [], upstreams: [1] }, ...spec }, services);

  it("suspends the request and resumes it with the answer", async () => {
    const services = new TestServices();
    services.answer = async () => ok("kim");
    const { filter } = await make(services);
    expect(filter.hooks & HOOK_END).toBe(HOOK_END);
    const exchange = at("/a");
    expect(filter.requestHead(exchange, 1)).toBe(SUSPEND);
    expect(await exchange.nextResume()).toBe(CONTINUE);
    expect([exchange.request.get("x-user"), exchange.request.get("x-role")]).toEqual(["kim", "admin"]);
    expect(services.fetches).toEqual([
      { upstream: 1, method: "GET", path: "/check?u=h2", headers: [["x-from", "203.0.113.7"]] },
    ]);
    expect(exchange.state[1]).toEqual({ kept: null, waiting: null });
    expect(exchange.resumed).toEqual([CONTINUE]);
  });

  it("resumes at once when nothing was fetched", async () => {
    const { filter, services } = await make();
    const exchange = at("/free");
    filter.requestHead(exchange, 0);
    expect(await exchange.nextResume()).toBe(CONTINUE);
    expect(services.fetches).toEqual([]);
  });

  it("gives each waiting request a guest of its own", async () => {
    const services = new TestServices();
    const waiting = new Map<string, (answer: FetchResponse) => void>();
    services.answer = (path) => new Promise((resolve) => waiting.set(path, resolve));
    const { filter } = await make(services);
    const exchanges = ["/1", "/22", "/333"].map(at);
    for (const exchange of exchanges) expect(filter.requestHead(exchange, 0)).toBe(SUSPEND);
    const resumes = exchanges.map((exchange) => exchange.nextResume());
    for (const [path, resolve] of [...waiting].toReversed()) resolve(ok(path));
    expect(await Promise.all(resumes)).toEqual([CONTINUE, CONTINUE, CONTINUE]);
    expect(exchanges.map((exchange) => exchange.request.get("x-user"))).toEqual([
      "/check?u=h2",
      "/check?u=h3",
      "/check?u=h4",
    ]);
  });

  it("tells why there is no answer", async () => {
    const services = new TestServices();
    services.answer = async () => ({ status: 0, headers: [], body: new Uint8Array(), error: "connection refused" });
    const { filter } = await make(services);
    const exchange = at("/a");
    filter.requestHead(exchange, 0);
    expect(await exchange.nextResume()).toBe(REPLY);
    expect(exchange.reply).toMatchObject({ status: 502, body: "connection refused" });
  });

  it("answers a fetch that throws as one without an answer", async () => {
    const services = new TestServices();
    services.answer = () => Promise.reject(new Error("no such upstream"));
    const { filter } = await make(services);
    const exchange = at("/a");
    filter.requestHead(exchange, 0);
    await exchange.nextResume();
    expect(exchange.reply?.body).toBe("no such upstream");
  });

  it("does not reach an upstream that the route does not allow", async () => {
    const { filter, services } = await make();
    const exchange = at("/forbidden");
    filter.requestHead(exchange, 0);
    expect(await exchange.nextResume()).toBe(REPLY);
    expect(exchange.reply?.body).toBe("the route does not allow the upstream nowhere");
    expect(services.fetches).toEqual([]);
  });

  it("is ended at its deadline, and answered by onFault", async () => {
    const services = new TestServices();
    services.answer = () => new Promise(() => undefined);
    const { filter } = await make(services, { limits: { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 20 } });
    const exchange = at("/a");
    filter.requestHead(exchange, 0);
    expect(await exchange.nextResume()).toBe(REPLY);
    expect(exchange.reply?.status).toBe(503);
    expect(filter.stats.faultsByCause.deadline).toBe(1);
  });

  it("runs out of fuel after a fetch as before one", async () => {
    const services = new TestServices();
    services.answer = async () => ok("x");
    const { filter } = await make(services);
    const exchange = at("/spin");
    filter.requestHead(exchange, 0);
    expect(await exchange.nextResume()).toBe(REPLY);
    expect(filter.stats.faultsByCause.fuel).toBe(1);
    expect(exchange.resumed).toEqual([REPLY]);
  });

  it("says nothing to an exchange that has ended meanwhile", async () => {
    const services = new TestServices();
    let answer: (response: FetchResponse) => void = () => undefined;
    services.answer = () => new Promise((resolve) => (answer = resolve));
    const { filter } = await make(services);
    const exchange = at("/a");
    filter.requestHead(exchange, 0);
    filter.end(exchange, 0);
    answer(ok("late"));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(exchange.resumed).toEqual([]);
    expect(exchange.request.get("x-user")).toBeUndefined();
    expect(filter.stats).toMatchObject({ faults: 0, abandoned: 1 });
  });
});
