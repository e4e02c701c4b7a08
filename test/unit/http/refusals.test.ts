import { expect, it } from "vitest";
import * as refusals from "#http/refusals.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";

const { REFUSALS, refusalOf } = refusals;

it("is a closed set with one code each, a status that has a phrase, and words", () => {
  expect(new Set(REFUSALS.map(({ code }) => code)).size).toBe(REFUSALS.length);
  for (const { status, code, detail } of REFUSALS) {
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(reasonPhrase(status)).not.toBe("");
    expect(detail.length).toBeGreaterThan(10);
  }
});

it("numbers them downwards from −1, each constant its own", () => {
  const constants = Object.entries(refusals).filter(([name]) => name.startsWith("REFUSED_"));
  expect(constants.map(([, answer]) => answer)).toHaveLength(REFUSALS.length);
  for (const [, answer] of constants) expect(REFUSALS).toContain(refusalOf(answer as number));
  for (const answer of [0, 1, -REFUSALS.length - 1, -0.5]) expect(() => refusalOf(answer)).toThrow(RangeError);
});
