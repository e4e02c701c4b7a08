/** What a worker may ask the supervisor's kernel part for, when it is in other hands than a script's. */
import { expect, test } from "vitest";
import { ScriptKernel } from "#main/script/kernel.ts";

test("a list has one of four names, and is no other method", () => {
  const kernel = new ScriptKernel(() => {}, null);
  const ask = (kind: string): unknown => kernel.serve({ op: "list", kind: kind as "links" });
  expect(ask("links")).toContainEqual(expect.objectContaining({ name: "lo" }));
  for (const kind of ["close", "setLink", "constructor", "toString"])
    expect(() => ask(kind)).toThrow(`${kind} is no list: links, addresses, routes, neighbours`);
});
