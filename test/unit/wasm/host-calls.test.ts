/** The table of host calls: the SDK's declarations agree with it, a dead guest gets nothing from it, and it can be taken over as a whole. */
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { CONTINUE, type FilterServices, REPLY } from "#pipeline/filter.ts";
import { ABI_FUNCTIONS, type AbiFunction, type AbiFunctionName } from "#sdk/types/abi.ts";
import { filterSpec, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import { createWasmFilter, loadModule } from "#wasm/create-filter.ts";
import { GuestEnvironment } from "#wasm/guest/environment.ts";
import { instantiateGuest } from "#wasm/guest/instantiate.ts";
import { PHASE_REQUEST } from "#wasm/guest/phases.ts";
import type { HostFunction, Interposer } from "#wasm/guest/runtime.ts";
import { CORE_CALLS } from "#wasm/host/table.ts";
import { prepareModule } from "#wasm/prepare.ts";

const functions = Object.entries(ABI_FUNCTIONS) as [AbiFunctionName, AbiFunction][];

const TRIVIAL = wat(`(module (memory (export "memory") 1) (func (export "penstock_abi_1"))
  (func (export "on_request") (result i32) (i32.const 0)))`);

it("the SDK declares every host call with the table's types", async () => {
  const source = await readFile(new URL("../../../sdk/assembly/host.ts", import.meta.url), "utf8");
  const types: Record<string, string> = { usize: "i32", i32: "i32", i64: "i64", f64: "f64" };
  const declared = new Map<string, { params: unknown[]; results: unknown[] }>();
  const pattern = /@external\("penstock", "(\w+)"\)\s+export declare function \w+\(([^)]*)\): (\w+);/g;
  for (const [, name = "", params = "", result = ""] of source.matchAll(pattern)) {
    const list = params.split(",").flatMap((param) => types[param.split(":")[1]?.trim() ?? ""] ?? []);
    declared.set(name, { params: list, results: result === "void" ? [] : [types[result]] });
  }
  expect([...declared.keys()].toSorted()).toEqual(functions.map(([name]) => name).toSorted());
  for (const [name, { params, results }] of functions)
    expect({ name, ...declared.get(name) }).toEqual({ name, params, results });
});

describe("a guest that has been ended", () => {
  const untouched = new Proxy({} as FilterServices, {
    get: (_, property) => {
      if (property === "tenant") return new TestServices().tenant;
      throw new Error(`services.${String(property)} was used`);
    },
  });
  const spec = filterSpec({ config: { "": "x" }, allow: { maps: [0, 1, 2], upstreams: [0, 1] } });
  const environment = new GuestEnvironment(PLUGIN, spec, untouched, RESOURCES);
  const loaded = loadModule(prepareModule(TRIVIAL).bytes);

  for (const [name, { params, results }] of functions) {
    it(`is refused ${name}`, async () => {
      const guest = instantiateGuest(await loaded, environment, null);
      const exchange = new TestExchange();
      guest.begin(exchange, PHASE_REQUEST);
      guest.fail("the first reason");
      const before = exchange.request.entries();
      const call = CORE_CALLS.get(`penstock.${name}`)?.make(guest) as HostFunction;
      const answer = call(...params.map((type) => (type === "i64" ? 0n : 0)));
      expect([undefined, 0, -1, 0n]).toContain(answer);
      expect(typeof answer).toBe(results.length === 0 ? "undefined" : results[0] === "i64" ? "bigint" : "number");
      expect(exchange.request.entries()).toEqual(before);
      expect(guest.failure).toBe("the first reason");
      expect(guest.fuelLeft()).toBe(-1);
    });
  }
});

describe("an interposer", () => {
  const replier = wat(`(module (import "penstock" "reply" (func $reply (param i32 i32 i32)))
    (import "penstock" "status" (func $status (result i32))) (memory (export "memory") 1) (func (export "penstock_abi_1"))
    (func (export "on_request") (result i32) (if (call $status) (then (return (i32.const 0))))
      (call $reply (i32.const 204) (i32.const 0) (i32.const 0)) (i32.const 1)))`);
  const run = async (hostCall: Interposer["hostCall"]) => {
    const module = await loadModule(prepareModule(replier).bytes);
    const filter = await createWasmFilter(filterSpec(), PLUGIN, module, new TestServices(), RESOURCES, { hostCall });
    const exchange = new TestExchange();
    return { verdict: filter.requestHead(exchange, 0), status: exchange.reply?.status };
  };

  it("sees every call with its arguments", async () => {
    const seen: unknown[] = [];
    const outcome = await run(({ name }, call) => (...args) => {
      seen.push([name, ...args]);
      return call(...args);
    });
    expect(outcome).toEqual({ verdict: REPLY, status: 204 });
    expect(seen).toEqual([["status"], ["reply", 204, 0, 0]]);
  });

  it("may answer in the host's place", async () => {
    const outcome = await run(({ name }, call) => (name === "status" ? () => 200 : call));
    expect(outcome).toEqual({ verdict: CONTINUE, status: undefined });
  });
});
