/** The cases of `cases.json` over the fake host; the gateway's own tests run the plugin in the real one. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { testPlugin } from "#sdk/tooling/test-plugin.ts";
import { prepareModule } from "#wasm/prepare.ts";

it("abuse-banner passes its cases", async () => {
  const folder = join(import.meta.dirname, "..");
  const { diagnostics, tables, passed } = await testPlugin(folder, { meter: (wasm) => prepareModule(wasm).bytes });
  expect(diagnostics).toEqual([]);
  const failures = tables.flatMap(({ table, results }) =>
    results.flatMap(({ name, problems }) => problems.map((problem) => `${table}, ${name}: ${problem}`)),
  );
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThan(4);
});
