/** Which modules are taken for Proxy-Wasm ones, in which version, and what is refused in them. */
import { describe, expect, it } from "vitest";
import { wat } from "#test/support/wat.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { onRequestHeaders, proxyModule } from "./guest.ts";

const PASS = onRequestHeaders("(i32.const 0)");

const module = (more: string, version = "0_2_0") =>
  wat(`(module ${more} (memory (export "memory") 1) (func (export "proxy_abi_version_${version}"))
    (func (export "proxy_on_log") (param i32)))`);

describe("versions", () => {
  it.each(["0_1_0", "0_2_0", "0_2_1"])("%s is known", (version) => {
    const { kind, abi, hooks } = prepareModule(proxyModule({ functions: PASS, version }));
    expect({ kind, abi }).toEqual({ kind: "proxy-wasm", abi: `proxy-wasm ${version.replaceAll("_", ".")}` });
    expect(hooks).toEqual(["proxy_on_request_headers"]);
  });

  it("the newest of several counts", () => {
    const both = `(func (export "proxy_abi_version_0_1_0")) (func (export "proxy_abi_version_0_3_0")) ${PASS}`;
    expect(prepareModule(proxyModule({ functions: both })).abi).toBe("proxy-wasm 0.2.1");
  });

  it("an unknown one is refused by name", () => {
    expect(() => prepareModule(proxyModule({ functions: PASS, version: "0_3_0" }))).toThrow(
      "it speaks Proxy-Wasm 0.3.0; 0.1.0, 0.2.0, 0.2.1 run here",
    );
  });
});

describe("imports", () => {
  it.each([
    ["a call that there is not", `(import "env" "proxy_fly" (func))`, "unknown import env.proxy_fly"],
    ["another module", `(import "penstock" "log" (func (param i32 i32 i32)))`, "unknown import penstock.log"],
    ["a wrong type", `(import "env" "proxy_log" (func (param i32 i32) (result i32)))`, "has type (i32, i32) → (i32)"],
    ["a wrong result", `(import "env" "proxy_done" (func))`, "has type () → (), not () → (i32)"],
    [
      "an unknown WASI call",
      `(import "wasi_snapshot_preview1" "fly" (func))`,
      "unknown import wasi_snapshot_preview1.fly",
    ],
    ["memory", `(import "env" "memory" (memory 1))`, "only functions"],
  ])("%s is refused", (_, more, reason) => {
    expect(() => prepareModule(module(more))).toThrow(reason);
  });

  it("calls of 0.1.0 are taken with and without a status", () => {
    for (const result of ["", "(result i32)"]) {
      const imported = `(import "env" "proxy_continue_request" (func ${result}))`;
      expect(prepareModule(module(imported, "0_1_0")).imports).toEqual(["proxy_continue_request"]);
    }
  });

  it("both names of WASI are known", () => {
    for (const name of ["wasi_unstable", "wasi_snapshot_preview1"]) {
      const imported = `(import "${name}" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))`;
      expect(prepareModule(module(imported)).imports).toEqual(["path_open"]);
    }
  });
});

describe("exports", () => {
  it("request headers may come with or without end_of_stream", () => {
    const short = `(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (i32.const 0))`;
    expect(prepareModule(proxyModule({ functions: short, version: "0_1_0" })).hooks).toEqual([
      "proxy_on_request_headers",
    ]);
  });

  it.each([
    [
      "a callback of another type",
      `(func (export "proxy_on_tick") (result i32) (i32.const 0)) ${PASS}`,
      "proxy_on_tick is not a function (i32) → ()",
    ],
    [
      "nothing to do",
      `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))`,
      "none of the callbacks",
    ],
  ])("%s is refused", (_, functions, reason) => {
    expect(() => prepareModule(proxyModule({ functions }))).toThrow(reason);
  });

  it("a module without memory is refused", () => {
    const bare = wat(`(module (func (export "proxy_abi_version_0_2_0")) (func (export "proxy_on_log") (param i32)))`);
    expect(() => prepareModule(bare)).toThrow('no memory is exported as "memory"');
  });
});
