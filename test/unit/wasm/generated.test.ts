/** Random programs: metering changes nothing but the time, and its count is exact and repeatable. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { wat } from "#test/support/wat.ts";
import { ModuleGenerator } from "./generated.ts";
import { meter, runMetered, runPlain } from "./metered.ts";

const ARGUMENTS = [0, 1, -1, 7, 1_000_003];

it("random modules behave the same before and after", () => {
  let calls = 0;
  let traps = 0;
  fc.assert(
    fc.property(fc.gen(), (generate) => {
      const text = new ModuleGenerator({ upTo: (max) => generate(fc.nat, { max }) }).module();
      const source = wat(text);
      const metered = meter(source);
      for (const argument of ARGUMENTS) {
        const plain = runPlain(source, "f", [argument]);
        const first = runMetered(metered, "f", [argument]);
        expect({ result: first.result, state: first.state }).toEqual(plain);
        expect(runMetered(metered, "f", [argument]).fuel).toBe(first.fuel);
        calls++;
        if (typeof plain.result === "string") {
          traps++;
          continue;
        }
        expect(runMetered(metered, "f", [argument], first.fuel).result, "just enough").toBe(plain.result);
        expect(runMetered(metered, "f", [argument], first.fuel - 1).result).toBe("RuntimeError: unreachable");
      }
    }),
    { numRuns: 150, seed: 20_261_122 },
  );
  // The generator must not have gone soft: programs that end, and programs that trap.
  expect(calls).toBeGreaterThan(700);
  expect(traps).toBeGreaterThan(20);
  expect(calls - traps).toBeGreaterThan(300);
});
