import { expect, it } from "vitest";
import { ERRORS } from "#core/errors/registry.ts";

it("every code names the product and its area, and helps", () => {
  for (const [code, spec] of Object.entries(ERRORS)) {
    expect(code).toMatch(/^PENSTOCK_[A-Z0-9]+(_[A-Z0-9]+)+$/);
    expect(spec.message.length).toBeGreaterThan(0);
    expect(spec.hint.length).toBeGreaterThan(0);
    expect(spec.status).toBeGreaterThanOrEqual(400);
  }
});
