/**
 * Valid modules with bytes changed, cut and repeated: each is refused with a registered error, or what comes out is again a
 * valid module, and one whose code can't run without paying.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { wat } from "#test/support/wat.ts";
import { DEFAULT_MODULE_LIMITS } from "#wasm/validate/limits.ts";
import { KERNELS } from "./kernels.ts";
import { instantiate, meter } from "./metered.ts";

const SOURCES = KERNELS.map((kernel) => wat(kernel.source));
const FUEL = 20_000;

const mutation = fc.record({
  source: fc.nat({ max: SOURCES.length - 1 }),
  changes: fc.array(fc.record({ at: fc.noBias(fc.nat({ max: 5000 })), to: fc.noBias(fc.nat({ max: 255 })) }), {
    minLength: 1,
    maxLength: 1,
  }),
  cut: fc.option(fc.noBias(fc.nat({ max: 400 })), { freq: 1 }),
});

it("mutated modules are refused properly, or metered properly", () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(mutation, ({ source, changes, cut }) => {
      const original = SOURCES[source] ?? new Uint8Array();
      const bytes = original.slice(0, cut ?? original.length);
      for (const { at, to } of changes) if (bytes.length > 0) bytes[at % bytes.length] = to;
      let metered: Uint8Array;
      try {
        metered = meter(bytes, { ...DEFAULT_MODULE_LIMITS, memoryPagesMax: 4 });
      } catch (error) {
        expect(error).toBeInstanceOf(PenstockError);
        expect((error as PenstockError).message).toMatch(/at byte \d+: /);
        refused++;
        return;
      }
      accepted++;
      expect(WebAssembly.validate(metered)).toBe(true);
      runAll(metered);
    }),
    { numRuns: 5000, seed: 7 },
  );
  expect(refused).toBeGreaterThan(1000);
  expect(accepted).toBeGreaterThan(300);
});

/** Every export with little fuel: all come back. A mutation that makes a loop endless is the point. */
function runAll(metered: Uint8Array): void {
  let exports: ReturnType<typeof instantiate>;
  try {
    exports = instantiate(metered);
  } catch (error) {
    // A data or element segment that does not fit is found at instantiation.
    expect(error).toBeInstanceOf(Error);
    return;
  }
  for (const [name, value] of Object.entries(exports)) {
    if (typeof value !== "function" || name.startsWith("__penstock_f") || name === "__penstock_refuel") continue;
    exports.__penstock_refuel?.(FUEL);
    try {
      value(3);
    } catch (error) {
      expect(
        error instanceof WebAssembly.RuntimeError || error instanceof RangeError || error instanceof TypeError,
      ).toBe(true);
    }
  }
}
