/** plugins/scripts/REFERENCE.md names everything that scripts have, and nothing that they have not. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Layout } from "#pipeline/layout/layout.ts";
import * as penstock from "#plugins/penstock.ts";

const text = readFileSync("plugins/scripts/REFERENCE.md", "utf8");
const named = new Set(Array.from(text.matchAll(/`(?:\w+\.)?(\w+)/g), ([, word = ""]) => word));
/** For whoever adds filters, not for scripts. */
const INTERNAL = new Set(["constructor", "use", "joint", "compile", "done", "fresh"]);

function steps(): string[] {
  const names = new Set<string>();
  for (let one: object = Layout.prototype; one !== Object.prototype; one = Object.getPrototypeOf(one) as object) {
    for (const name of Object.getOwnPropertyNames(one)) names.add(name);
  }
  return [...names].filter((name) => !INTERNAL.has(name));
}

test("every step", () => {
  expect(steps().length).toBeGreaterThan(60);
  expect(steps().filter((name) => !named.has(name))).toEqual([]);
});

test("every export", () => {
  expect(Object.keys(penstock).filter((name) => !named.has(name))).toEqual([]);
});

test("no step that is not there", () => {
  const known = new Set([...steps(), ...Object.keys(penstock)]);
  const section = text.slice(text.indexOf("## Steps"), text.indexOf("## Library"));
  const first = Array.from(section.matchAll(/^\| (`[^|]*) \|/gm), ([, cell = ""]) => cell);
  const words = first.flatMap((cell) => Array.from(cell.matchAll(/(?:^|[ ,▸])`(\w+)/g), ([, word = ""]) => word));
  expect(words.length).toBeGreaterThan(50);
  expect(words.filter((word) => !known.has(word))).toEqual([]);
});
