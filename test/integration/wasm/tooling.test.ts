/** What an author has without a gateway: new, build, test. And the fake host against the real one, case by case. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NAME_FIXED, NAME_NO_TRAILER, nameFlags, nameText, newestName } from "#http/names.ts";
import { CONTINUE } from "#pipeline/filter.ts";
import { type CaseTable, runCases } from "#sdk/testing/cases.ts";
import { FakeHeaders, FIXED } from "#sdk/testing/fake-headers.ts";
import { FakeHost } from "#sdk/testing/fake-host.ts";
import { FakeTrailers, NO_TRAILERS } from "#sdk/testing/fake-trailers.ts";
import type { FakeRequest, FakeResponse } from "#sdk/testing/fake-types.ts";
import { addressBytes, addressText, prefixText } from "#sdk/testing/addresses.ts";
import { missedHooks } from "#sdk/tooling/advice.ts";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { buildToFile } from "#sdk/tooling/build-all.ts";
import { formatDiagnostic } from "#sdk/tooling/diagnostic.ts";
import { newPlugin } from "#sdk/tooling/new-plugin.ts";
import { testPlugin } from "#sdk/tooling/test-plugin.ts";
import { TestExchange } from "#test/support/wasm.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { build, fromWasm, sample } from "./plugins.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-tooling-"));
});
afterAll(() => rm(folder, { recursive: true }));

const meter = (wasm: Uint8Array) => prepareModule(wasm).bytes;

describe("a new plugin", () => {
  it("builds and passes its own cases, metered and not", async () => {
    const files = await newPlugin(folder, "first-try");
    expect(files.map((file) => file.slice(folder.length))).toEqual([
      "/first-try/assembly/index.ts",
      "/first-try/assembly/tsconfig.json",
      "/first-try/test/cases.json",
      "/first-try/README.md",
    ]);
    const metered = await testPlugin(join(folder, "first-try"), { meter });
    expect(metered).toMatchObject({ diagnostics: [], passed: 3, failed: 0 });
    expect(metered.tables[0]?.results[0]?.fuel).toBeGreaterThan(100);
    expect(await testPlugin(join(folder, "first-try"))).toMatchObject({ passed: 3, failed: 0 });
    const path = await buildToFile(join(folder, "first-try"));
    expect(prepareModule(await readFile(path)).hooks).toEqual(["on_configure", "on_request", "on_response"]);
    expect(JSON.parse(await readFile(`${path}.map`, "utf8"))).toMatchObject({ version: 3 });
  });

  it("is not made over another one, nor with a bad name", async () => {
    await newPlugin(folder, "second");
    await expect(newPlugin(folder, "second")).rejects.toThrow("exists");
    for (const name of ["", "../x", "Up", "1st", "a b", "a".repeat(64)]) {
      await expect(newPlugin(folder, name)).rejects.toThrow("is no name for a plugin");
    }
  });

  it("that is wrong is told with file, line and column", async () => {
    await newPlugin(folder, "wrong");
    const source = join(folder, "wrong/assembly/index.ts");
    await writeFile(
      source,
      `import { Action, Request } from "penstock/assembly"\nexport function onRequest(r: Request): Action {\n  return "a"\n}\n`,
    );
    const { wasm, diagnostics } = await buildPlugin(join(folder, "wrong"));
    expect(wasm.length).toBe(0);
    expect(diagnostics[0]).toMatchObject({ severity: "error", file: "assembly/index.ts", line: 3, column: 10 });
    await writeFile(source, `export function onRequest(): void {}`);
    expect((await buildPlugin(join(folder, "wrong"))).diagnostics[0]).toMatchObject({
      file: "assembly/index.ts",
      message: expect.stringMatching(/^a hook must be made to be called as `onRequest\(request\)`: /),
    });
    await writeFile(source, `export function onConfigure(): bool { return true }`);
    expect((await buildPlugin(join(folder, "wrong"))).diagnostics[0]?.message).toMatch(/none of onRequest/);
    await writeFile(source, `import { x } from "../../first-try/assembly/index"\nexport function onEnd(): void {}`);
    expect((await buildPlugin(join(folder, "wrong"))).wasm.length, "files of others are out of reach").toBe(0);
    expect(await testPlugin(join(folder, "wrong"))).toMatchObject({ passed: 0, failed: 1 });
  });

  it("in which TypeScript was meant says what to write instead", async () => {
    await newPlugin(folder, "meant");
    const source = [
      'import { Action, Request } from "penstock/assembly"',
      "export function onRequest(req: Request): Action {",
      "  let n = 1",
      '  const some = ["a"].filter((text) => text.length > n)',
      "  try { some.length } catch (error) {}",
      "  const matches = /a/.test(some[0])",
      '  if (req.header("x").length > 1) JSON.parse("{}")',
      "  return Action.Continue",
      "}",
      "export function onRespond(): void {}",
      "function onEnd(req: Request): void {}",
    ];
    const file = join(folder, "meant/assembly/index.ts");
    await writeFile(file, source.join("\n"));
    const told = (await buildPlugin(join(folder, "meant"))).diagnostics.map(formatDiagnostic);
    for (const [line, text] of [
      ["4:", /Closures \(.*write a loop/],
      ["5:", /Exceptions \(/],
      ["6:", /Regular expressions \(use indexOf/],
      ["7:", /'string \| null' is not assignable to type 'string'. \(compare with null first/],
      ["7:", /'JSON'. \(`import \{ json \} from "penstock\/assembly"`/],
      ["10:", /warning: onRespond is no hook/],
      ["11:", /warning: onEnd is not exported: `export function onEnd`/],
    ] as const) {
      const found = told.filter((one) => one.startsWith(`assembly/index.ts:${line}`) && text.test(one));
      expect(found, `${text.source}\n${told.join("\n")}`).toHaveLength(1);
    }
    await writeFile(file, `import { Action } from "penstock/assembly"\nexport function onRequest(): Action {\n`);
    expect((await buildPlugin(join(folder, "meant"))).diagnostics).toMatchObject([
      { line: 2, message: "Unexpected end of text." },
    ]);
  }, 120_000);

  it("may write to `console`", async () => {
    await newPlugin(folder, "console");
    const source = `import { Action } from "penstock/assembly"
      export function onRequest(): Action {\n console.log("hello")\n console.error("no")\n return Action.Continue\n}`;
    await writeFile(
      join(folder, "console/assembly/index.ts"),
      source.replace("onRequest()", "onRequest(req: Request)").replace("Action }", "Action, Request }"),
    );
    const host = new FakeHost(await build(join(folder, "console")), {});
    expect(host.request(host.begin({})).logs).toEqual(["info: hello", "error: no"]);
  }, 120_000);

  it.each([
    ["export async function onRequest(req) {", "onRequest: hooks are not async: what waits, waits without a promise"],
    ["function onRequest(req) {", "onRequest is not exported: `export function onRequest`"],
    ["export const onRequest = (req) => {", "onRequest is a value: `export function onRequest`"],
    ["export function onrequest(req) {", "onrequest is no hook: its name is onRequest"],
  ])("with %s for a hook is told why it is none", (line, message) => {
    expect(missedHooks(`// one\n\n${line}\n}`, "a.ts", ["onConfigure", "onRequest", "onEnd"], [])).toEqual([
      { severity: "error", code: 0, message, file: "a.ts", line: 3, column: 1 },
    ]);
    expect(missedHooks(`${line}\n}`, "a.ts", ["onRequest", "onEnd"], ["onRequest"]), "exported elsewhere").toEqual([]);
    expect(missedHooks("export function onlyAscii() {}", "a.ts", ["onRequest"], [])).toEqual([]);
  });

  it("that fails a case says what was found", async () => {
    const wasm = await build(join(folder, "first-try"));
    const [first] = runCases(wasm, {
      config: { greeting: "hi" },
      cases: [
        {
          name: "wrong",
          expect: { verdict: "reply", request: { "x-greeting": "hello", host: null }, calls: ["log"], fuelMax: 1 },
        },
      ],
    });
    expect(first?.problems).toEqual([
      'verdict: "continue", not "reply"',
      `request's x-greeting: "hi", not "hello"`,
      `request's host: "example.com", not null`,
      "log was not called",
    ]);
    expect(runCases(meter(wasm), { cases: [{ name: "fuel", expect: { fuelMax: 1 } }] })[0]?.problems[0]).toMatch(
      /^fuel: \d+, more than 1$/,
    );
    expect(runCases(wasm, { refuses: "x" })[0]?.problems).toEqual(["it was accepted"]);
  });
});

it("the fake host refuses the names that the gateway refuses", () => {
  const all = Array.from({ length: newestName() }, (_, index) => index + 1);
  // Spellings that are the same after CGI are the gateway's concern.
  const named = (flags: number) =>
    all.flatMap((id) => ((nameFlags(id) & flags) !== 0 && !nameText(id).includes("_") ? [nameText(id)] : []));
  expect([...FIXED].toSorted()).toEqual(named(NAME_FIXED).toSorted());
  expect([...FIXED, ...NO_TRAILERS].toSorted()).toEqual(named(NAME_FIXED | NAME_NO_TRAILER).toSorted());
});

it("the fake host has trailers where the gateway has: that came, of chunks, or announced", () => {
  const trailersOf = (head: Record<string, string>, came: Record<string, string> = {}) =>
    new FakeTrailers(new FakeHeaders(head)).receive(came);
  const plain = trailersOf({ "content-length": "3" });
  expect([plain.add("x-sum", "1"), plain.set("x-sum", "1"), plain.remove("x-sum"), plain.fields]).toEqual([
    false,
    false,
    false,
    [],
  ]);
  for (const open of [
    trailersOf({ "transfer-encoding": "chunked" }),
    trailersOf({ trailer: "x-sum" }),
    trailersOf({}, { "X-Came": "0" }),
  ]) {
    expect([open.add("x-sum", "1"), open.set("set-cookie", "a=b"), open.add("te", "x")]).toEqual([true, false, false]);
    expect(open.get("x-sum")).toBe("1");
  }
});

it("addresses of the fake host", () => {
  for (const text of ["203.0.113.7", "0.0.0.0", "::1", "::", "2001:db8::9", "2001:db8:0:1::", "fe80::1:2:3:4"]) {
    expect(addressText(addressBytes(text))).toBe(text);
  }
  expect(() => addressBytes("1.2.3")).toThrow("not an address");
  expect(() => addressBytes("1.2.3.256")).toThrow("not an address");
  const key = (bits: number, text: string) => Uint8Array.from([bits, 0, 0, 0, ...addressBytes(text)]);
  expect([prefixText(key(120, "10.0.0.0")), prefixText(key(128, "::1")), prefixText(key(32, "2001:db8::"))]).toEqual([
    "10.0.0.0/24",
    "::1",
    "2001:db8::/32",
  ]);
});

describe("the fake host does what the real one does", () => {
  const lines = (fields: readonly (readonly [string, string])[]) =>
    fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");

  function realExchange(request: FakeRequest, fields: readonly (readonly [string, string])[]): TestExchange {
    const target = request.path ?? "/";
    return new TestExchange(`${request.method ?? "GET"} ${target} HTTP/1.1\r\n${lines(fields)}\r\n`);
  }

  async function compare(name: string, table: CaseTable): Promise<number> {
    const wasm = await build(sample(name));
    const fake = new FakeHost(meter(wasm), table);
    const allow = { maps: [0, 1], upstreams: [] };
    const { filter } = await fromWasm(wasm, { config: table.config ?? {}, allow });
    let compared = 0;
    for (const { request = {}, response } of table.cases ?? []) {
      const exchange = fake.begin(request);
      const real = realExchange(request, exchange.request.fields);
      const spent = (run: () => number) => {
        const before = filter.stats.fuel;
        const verdict = run() === CONTINUE ? "continue" : "reply";
        return { verdict, fuel: filter.stats.fuel - before };
      };
      if (fake.has("on_request")) {
        const outcome = fake.request(exchange);
        const { verdict, fuel } = spent(() => filter.requestHead(real, 0));
        expect(verdict).toBe(outcome.verdict);
        // The fake host charges nothing for its own work: copies of text, maps, log lines.
        expect(fuel).toBeGreaterThanOrEqual(outcome.fuel ?? Infinity);
        expect(real.request.entries()).toEqual(outcome.request);
        expect(real.reply).toEqual(outcome.reply);
        compared++;
      }
      if (response !== undefined) {
        const outcome = fake.response(exchange, response);
        real.respondWith(responseText(response));
        expect(spent(() => filter.responseHead(real, 0)).verdict).toBe(outcome.verdict);
        expect(real.response.entries()).toEqual(outcome.response);
        compared++;
      }
    }
    return compared;
  }

  function responseText({ status = 200, headers = {} }: FakeResponse): string {
    const fields = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
    return `HTTP/1.1 ${status} X\r\n${lines(fields)}\r\n`;
  }

  for (const name of ["token-check", "header-rewrite", "abuse-banner"]) {
    it(name, async () => {
      const tables = JSON.parse(await readFile(join(sample(name), "test/cases.json"), "utf8")) as CaseTable[];
      let compared = 0;
      for (const table of tables) if (table.refuses === undefined) compared += await compare(name, table);
      expect(compared).toBeGreaterThan(3);
    });
  }
});
