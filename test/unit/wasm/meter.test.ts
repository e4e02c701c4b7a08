import { describe, expect, it } from "vitest";
import { wat } from "#test/support/wat.ts";
import { DEFAULT_MODULE_LIMITS } from "#wasm/validate/limits.ts";
import { KERNELS } from "./kernels.ts";
import { instantiate, meter, runMetered, runPlain } from "./metered.ts";

describe("a metered module does what its source does", () => {
  for (const kernel of KERNELS) {
    it(kernel.name, () => {
      const source = wat(kernel.source);
      const metered = meter(source);
      for (const [name, args] of kernel.calls) {
        const plain = runPlain(source, name, args);
        const first = runMetered(metered, name, args);
        expect({ args, result: first.result, state: first.state }).toEqual({ args, ...plain });
        expect(first.fuel, "it costs something").toBeGreaterThan(0);
        expect(runMetered(metered, name, args).fuel, "the same input, the same fuel").toBe(first.fuel);
      }
    });
  }

  it("stops at exactly the fuel that it needs", () => {
    for (const kernel of KERNELS) {
      const source = wat(kernel.source);
      const metered = meter(source);
      for (const [name, args] of kernel.calls) {
        const whole = runMetered(metered, name, args);
        // A trap of its own can come while the fuel is in the local: how much was left is not known then.
        if (String(whole.result).startsWith("RuntimeError")) continue;
        expect(runMetered(metered, name, args, whole.fuel).result).toEqual(whole.result);
        const short = runMetered(metered, name, args, whole.fuel - 1);
        expect({ kernel: kernel.name, args, result: short.result }).toEqual({
          kernel: kernel.name,
          args,
          result: "RuntimeError: unreachable",
        });
        expect(short.fuel, "the fuel is below zero at the trap").toBeGreaterThan(whole.fuel - 1);
      }
    }
  });
});

describe("what costs fuel", () => {
  const cost = (text: string, args: number[] = [], wrap = "") => {
    const metered = meter(wat(`(module (memory 1 10) ${wrap} (func (export "f") (param i32) ${text}))`));
    return runMetered(metered, "f", args).fuel;
  };

  it("bulk memory by its length", () => {
    const fill = "(memory.fill (i32.const 0) (i32.const 0) (local.get 0))";
    expect(cost(fill, [65_536]) - cost(fill, [0])).toBe(4096);
  });

  it("pages by their number", () => {
    const grow = "(drop (memory.grow (local.get 0)))";
    expect(cost(grow, [3]) - cost(grow, [1])).toBe(2 * 4096);
  });

  it("locals by their number", () => {
    expect(cost(`(local ${"i64 ".repeat(1000)})`) - cost("")).toBe(500);
  });

  it("a loop by its turns, whether its fuel is in the local or in the global", () => {
    const loop = (inner: string) => `(loop $l ${inner} (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`;
    const cached = cost(loop(""), [101]) - cost(loop(""), [1]);
    const called = cost(loop("(call $n)"), [101], "(func $n)") - cost(loop("(call $n)"), [1], "(func $n)");
    expect(cached).toBe(100 * 6);
    expect(called).toBe(100 * (6 + 3 + 2));
  });

  it("an arm that is large only where it is taken", () => {
    const arm = `(if (i32.eq (local.get 0) (i32.const 7)) (then ${"nop ".repeat(200)}))`;
    const passed = `(block (br_if 0 (i32.ne (local.get 0) (i32.const 7))) ${"nop ".repeat(200)})`;
    const left = `(block (block (br_if 1 (i32.ne (local.get 0) (i32.const 7)))) ${"nop ".repeat(200)})`;
    for (const code of [arm, passed, left]) expect(cost(code, [7]) - cost(code, [8])).toBe(200);
  });

  it("what is small with what is around it, but not more than so much", () => {
    const arms = (count: number) => "(if (i32.eqz (local.get 0)) (then nop nop nop nop nop nop nop nop))".repeat(count);
    const tests = (count: number) => count * 3;
    expect(cost(arms(8), [1]) - cost("", [1])).toBe(tests(8) + 64);
    expect(cost(arms(100), [1]) - cost("", [1])).toBe(tests(100) + 64);
  });

  it("of a wide br_table only what it leads to, in a loop too", () => {
    const cases = 40;
    const dispatch = (work: string, taken: number) => {
      const blocks = "(block ".repeat(cases);
      const table = `(br_table ${Array.from({ length: cases }, (_, index) => index).join(" ")} (i32.const ${taken}))`;
      const bodies = Array.from(
        { length: cases },
        (_, index) => `) ${index === 20 ? work.repeat(200) : "nop"} (br $out)`,
      );
      return cost(
        `(loop $l (block $out ${blocks} ${table} ${bodies.join(" ")}) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`,
        [10],
      );
    };
    const spared = dispatch("nop ", 20) - dispatch("nop ", 3);
    expect(spared, "a heavy case is paid for when it is taken").toBeGreaterThan(10 * 150);
    expect(dispatch("nop ", 3) - dispatch("", 3), "and not otherwise").toBeLessThanOrEqual(10 * 64);
  });

  it("a host call more than a call", () => {
    const metered = meter(
      wat(`(module (import "h" "c" (func $c)) (func $n) (func (export "a") (call $c)) (func (export "b") (call $n)))`),
    );
    const exports = instantiate(metered, { h: { c: () => undefined } });
    const spend = (name: string) => {
      exports.__penstock_refuel?.(1000);
      exports[name]?.();
      return 1000 - Number(exports.__penstock_fuel?.());
    };
    expect(spend("a") - spend("b")).toBe(100 - 2);
  });
});

describe("the bounds of a metered module", () => {
  it("caps a missing and a larger maximum of memory, and keeps a smaller one", () => {
    const pages = (declared: string) => {
      const text = `(module (memory ${declared}) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))`;
      const metered = meter(wat(text));
      return [1, 2, 15, 16].map((count) => runMetered(metered, "f", [count]).result);
    };
    expect(pages("1")).toEqual([1, 1, 1, -1]);
    expect(pages("1 1000")).toEqual([1, 1, 1, -1]);
    expect(pages("1 3")).toEqual([1, 1, -1, -1]);
  });

  it("lets the host lower the maximum, and says when growth was refused", () => {
    const metered = meter(
      wat(`(module (memory 1) (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))`),
    );
    const exports = instantiate(metered);
    const pagesMax = exports.__penstock_pages_max as unknown as WebAssembly.Global;
    const growthRefused = exports.__penstock_growth_refused as unknown as WebAssembly.Global;
    expect(pagesMax.value).toBe(DEFAULT_MODULE_LIMITS.memoryPagesMax);
    pagesMax.value = 3;
    exports.__penstock_refuel?.(1_000_000);
    expect([exports.f?.(2), growthRefused.value]).toEqual([1, 0]);
    expect([exports.f?.(1), growthRefused.value]).toEqual([-1, 1]);
  });

  it("caps tables", () => {
    const metered = meter(
      wat(
        `(module (table 1 funcref) (func (export "f") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))`,
      ),
    );
    expect(runMetered(metered, "f", [9_999]).result).toBe(1);
    expect(runMetered(metered, "f", [10_000]).result).toBe(-1);
  });

  it("does not run the start function at instantiation", () => {
    const metered = meter(wat(`(module (start $s) (func $s (loop (br 0))))`));
    const exports = instantiate(metered);
    exports.__penstock_refuel?.(1000);
    expect(() => exports.__penstock_start?.()).toThrow(WebAssembly.RuntimeError);
  });

  it("stops a guest whose fuel the host has taken", () => {
    const source = wat(`(module (import "h" "c" (func $c)) (func (export "f") (result i32) (local i32)
      (loop $l (br_if $l (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3))))
      (call $c) (loop $l (br_if $l (i32.lt_s (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9)))) (local.get 0)))`);
    const exports = instantiate(meter(source), { h: { c: () => exports.__penstock_refuel?.(-1) } });
    exports.__penstock_refuel?.(1_000_000);
    expect(() => exports.f?.()).toThrow("unreachable");
  });
});
