/** Components: in C, as wit-component makes them, and in TypeScript, as our builder does; in the worker's filters. */
import { createHmac } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { FakeHost } from "#sdk/testing/fake-host.ts";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { newPlugin } from "#sdk/tooling/new-plugin.ts";
import { testPlugin } from "#sdk/tooling/test-plugin.ts";
import { makeWorldTypes } from "#sdk/tooling/world-types.ts";
import { ComponentBuilder } from "#test/support/components.ts";
import { TestExchange } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { meterModule } from "#worker/meter.ts";
import { fromWasm } from "./plugins.ts";

const asked = (token: string) => new TestExchange(`GET / HTTP/1.1\r\nhost: a.example\r\nx-token: ${token}\r\n\r\n`);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-components-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(join(folder, name, "src"), { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, "src", file), text);
  return join(folder, name);
}

describe("a component in C", () => {
  it("checks tokens, and refuses its configuration in its own words", async () => {
    const wasm = new Uint8Array(await readFile("test/corpus/component/token.wasm"));
    const { filter } = await fromWasm(wasm, { config: { token: "s3cret" } });
    const refused = asked("other");
    expect(filter.requestHead(refused, 0)).toBe(REPLY);
    expect(refused.reply).toEqual({ status: 401, headers: [], body: "no token\n" });
    const passed = asked("s3cret");
    for (let request = 0; request < 2000; request++) expect(filter.requestHead(passed, 0)).toBe(CONTINUE);
    await expect(fromWasm(wasm)).rejects.toThrow("the route does not configure a token");
  });
});

describe("a fault of a component", () => {
  it("is told with the byte of the file that was uploaded", async () => {
    const core = wat(
      `(module (memory (export "memory") 1) (func $deep (nop) (loop (nop) (unreachable)))
      (func (export "on-request") (result i32) (call $deep) (i32.const 0)))`,
    );
    const builder = new ComponentBuilder().module(core).instantiate(0).coreAlias(0, "on-request");
    const wasm = builder.lift(0).exportFunction("on-request", 0).bytes();
    const { filter, services } = await fromWasm(wasm);
    expect(filter.requestHead(new TestExchange(), 0)).toBe(REPLY);
    const offset = filter.stats.lastFault?.offset ?? -1;
    // nop, loop, nop, unreachable
    expect(wasm.subarray(offset - 4, offset + 1)).toEqual(Uint8Array.of(1, 3, 0x40, 1, 0));
    expect(services.logs.at(-1)).toBe(`warn sample@1 trap: unreachable at byte ${offset} of the module`);
  });
});

describe("a component in Rust, with its standard library over an adapter of WASI", () => {
  const made = async (config: Record<string, string>) =>
    fromWasm(new Uint8Array(await readFile("test/corpus/component/rust.wasm")), {
      config,
      limits: { fuel: 200_000, memoryBytes: 4 << 20, deadlineMs: 1000 },
    });

  it("keeps a map, prints, and knows the time", async () => {
    const { filter, services } = await made({ token: "s3cret" });
    const refused = [asked("other"), asked("other")];
    for (const exchange of refused) expect(filter.requestHead(exchange, 0)).toBe(REPLY);
    expect(refused.map(({ reply }) => reply?.body)).toEqual(["no token (1)\n", "no token (2)\n"]);
    const passed = asked("s3cret");
    expect(filter.requestHead(passed, 0)).toBe(CONTINUE);
    expect([passed.request.get("x-count"), passed.request.get("x-seconds")]).toEqual(["1", "1000"]);
    expect(services.logs).toEqual([
      'info sample@1 "other" has asked 1 times',
      'info sample@1 "other" has asked 2 times',
      'info sample@1 "s3cret" has asked 1 times',
    ]);
  });

  it("that panics takes its request along, and the next one begins anew", async () => {
    const { filter, services } = await made({ token: "s3cret" });
    expect(filter.requestHead(asked("s3cret"), 0)).toBe(CONTINUE);
    const panicked = asked("panic");
    expect(filter.requestHead(panicked, 0)).toBe(REPLY);
    expect([panicked.reply?.status, filter.stats.lastFault?.cause]).toEqual([503, "trap"]);
    expect(services.logs.join("\n")).toContain("on purpose");
    const next = asked("s3cret");
    expect(filter.requestHead(next, 0)).toBe(CONTINUE);
    expect(next.request.get("x-count")).toBe("1");
  });

  it("refuses its configuration in its own words", async () => {
    await expect(made({})).rejects.toThrow("no token is configured");
  });
});

const EVERYTHING = `
import * as sdk from "penstock/plugin";
import { helper } from "./helper.ts";
const { Action } = sdk;
let seen = 0;
export function onConfigure() {
  sdk.tickEvery(500);
  return sdk.config().get("refuse") === null;
}
export function onRequest(req: sdk.Request) {
  seen++;
  sdk.kept.put(req.path);
  const ok = [
    req.method, req.path, req.query, req.host, req.scheme, req.clientAddress, req.header("accept"), req.header("no-such"),
    req.hasHeader("accept"), sdk.facts.plugin, sdk.kv.get("k"), sdk.kv.put("k", "v1"), sdk.kv.get("k"), sdk.kv.increment("n", 5),
    sdk.maps.open("nowhere"), sdk.hex(sdk.sha256("abc")).slice(0, 8), sdk.hex(sdk.hmacSha256("k", "d")).slice(0, 8),
    sdk.verify("hs256", "k", "d", sdk.hmacSha256("k", "d")), sdk.randomBytes(7).length, Math.floor(sdk.nowMs() / Date.now()),
    helper<string>("deep"), Math.random(),
  ];
  req.setHeader("x-seen", JSON.stringify(ok));
  req.addHeader("x-more", "é");
  console.log("request", seen);
  if (req.path === "/throw") throw new TypeError("on purpose");
  if (req.path === "/loop") for (;;) seen++;
  return req.path === "/paused" ? Action.Pause : Action.Continue;
}
export function onRequestBody(req: sdk.Request, body: sdk.Body) {
  if (!body.isLast) return Action.Pause;
  body.setText(body.text.toUpperCase() + sdk.kept.get());
}
export function onResponse(_req: sdk.Request, res: sdk.Response) {
  res.setStatus(202);
  res.setHeader("x-status", String(res.status));
  res.removeHeader("server");
}
export function onEnd() {
  sdk.log.warn("end " + sdk.facts.outcome);
}
export function onMessage(message: sdk.Message) {
  message.answer("got " + message.text);
}
export function onTick() {
  sdk.log.info("tick");
}
`;

describe("a plugin in TypeScript", () => {
  let bytes: Uint8Array;
  beforeAll(async () => {
    const path = await write("everything", {
      "index.ts": EVERYTHING,
      "helper.ts": "export const helper = <T>(value: T): T => value;\n",
    });
    const { wasm, diagnostics } = await buildPlugin(path);
    expect(diagnostics).toEqual([]);
    bytes = meterModule(wasm);
  }, 60_000);

  it("has every call and hook of the SDK", () => {
    const host = new FakeHost(bytes, { fuel: 5_000_000, plugin: "everything@7" });
    const exchange = host.begin({
      method: "POST",
      path: "/paused?q=1",
      headers: { accept: "text/*" },
      body: ["ab", "c"],
    });
    const first = host.request(exchange, { body: ["ab", "c"] });
    expect(first).toMatchObject({ verdict: "continue", fault: null });
    const seen = JSON.parse(String(new Map(first.request).get("x-seen"))) as unknown[];
    expect(seen).toEqual([
      ..."POST|/paused|q=1|example.com|http|203.0.113.7|text/*".split("|"),
      null,
      true,
      "everything@7",
      null,
      true,
      "v1",
      5,
      null,
      "ba7816bf",
      createHmac("sha256", "k").update("d").digest("hex").slice(0, 8),
      true,
      7,
      1,
      "deep",
      expect.closeTo(0.5, 0),
    ]);
    expect(new Map(first.request).get("x-more")).toBe("é");
    expect(Buffer.from(first.requestBody ?? "").toString()).toBe("ABC/paused");
    const response = host.response(exchange, { status: 200, headers: { server: "x" } });
    expect(response).toMatchObject({ status: 202, response: [["x-status", "202"]] });
    expect(host.request(host.begin({ path: "/" })).logs).toEqual(["info: request 2"]);
    expect(host.end(host.begin({ properties: { outcome: "ok" } })).logs).toEqual(["warn: end ok"]);
    expect(host.tick().logs).toEqual(["info: tick"]);
    expect(Buffer.from(host.tell("hello ✓").answer).toString()).toBe("got hello ✓");
    expect(() => new FakeHost(bytes, { config: { refuse: "1" } })).toThrow("on_configure refused");
  });

  it("is stopped in an endless loop, and throws with the line of its source", () => {
    const host = new FakeHost(bytes, { fuel: 2_000_000 });
    expect(host.request(host.begin({ path: "/loop" })).verdict).toBe("fault");
    const { verdict, logs } = new FakeHost(bytes, { fuel: 5_000_000 }).request(host.begin({ path: "/throw" }));
    expect(verdict).toBe("fault");
    expect(logs.join("\n")).toMatch(/error: TypeError: on purpose\n +at onRequest \(\/src\/index\.ts:23/s);
  });

  it("that is wrong is told with file and line", async () => {
    const problems: readonly (readonly [string, string, RegExp])[] = [
      ["no-hook", "export const a = 1;\n", /^src\/index.ts:1 no hook is exported: none of onRequest,/],
      ["syntax", "export function onEnd() {}\nlet a: = 1;\n", /^src\/index.ts:2 /],
      ["enum", "enum A { B }\nexport function onEnd() {}\n", /^src\/index.ts:1 .*enum is not supported/],
      ["package", 'import "left-pad";\nexport function onEnd() {}\n', /^src\/index.ts:1 import of "left-pad"/],
      ["type", "export const n: number = 'a';\nexport function onEnd() {}\n", /^src\/index.ts:1 Type 'string' is not/],
      [
        "async",
        "export function onEnd() {}\nexport async function onRequest() {\n}\n",
        /^src\/index.ts:2 onRequest: hooks are not async/,
      ],
      [
        "takes",
        "export function onRequest(a: string) {}\n",
        /^src\/index.ts:1 onRequest: .*'Request' is not assignable to type 'string'/s,
      ],
      ["answers", "export function onRequest() { return 1; }\n", /^src\/index.ts:1 onRequest: Type '\(\) => number'/],
      ["engine", "export function onEnd() {\n  document.title;\n}\n", /^src\/index.ts:2 Cannot find name 'document'/],
      [
        "helper",
        "import { a } from './other.ts';\nexport function onEnd() { a(1); }\n",
        /^src\/index.ts:1 Cannot find module/,
      ],
      ["start", "throw new Error('at start');\nexport function onEnd() {}\n", /at start/],
    ];
    for (const [name, source, expected] of problems) {
      const { wasm, diagnostics } = await buildPlugin(await write(name, { "index.ts": source }));
      const [first] = diagnostics;
      expect(`${first?.file}:${first?.line} ${first?.message}`).toMatch(expected);
      expect(wasm.length).toBe(0);
    }
  }, 240_000);

  it("is made by `new`, passes its own cases, and asks for no more than it uses", async () => {
    await newPlugin(folder, "made", "ts");
    let asked: string[] = [];
    const meter = (wasm: Uint8Array) => {
      const metered = meterModule(wasm);
      asked = WebAssembly.Module.imports(new WebAssembly.Module(new Uint8Array(metered))).map(({ name }) => name);
      return metered;
    };
    const { diagnostics, passed, failed } = await testPlugin(join(folder, "made"), { meter });
    expect({ diagnostics, passed, failed }).toEqual({ diagnostics: [], passed: 3, failed: 0 });
    expect(asked).toContain("config_get");
    expect(asked.filter((name) => /kv|map|fetch|connect|ban|body|metric/.test(name))).toEqual([]);
  }, 240_000);
});

it("the world's types are what is made of plugin.wit", async () => {
  expect(await readFile("sdk/types/world.d.ts", "utf8")).toBe(await makeWorldTypes());
});
