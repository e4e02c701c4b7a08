import { expect, it } from "vitest";
import { timeoutWithin } from "#wasm/host/deadline.ts";

it.each([
  ["none of its own", 0],
  ["one as long as what is left", 300],
  ["a longer one", 5000],
])("a call with %s can't be over before the deadline is", (_, wanted) => {
  expect(timeoutWithin(300, wanted)).toBeGreaterThan(300);
});

it("a call with a shorter time-out has it", () => {
  expect(timeoutWithin(300, 20)).toBe(20);
});
