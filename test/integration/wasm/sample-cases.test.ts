/** The cases of every sample plugin over the fake host, metered; test/e2e/sample-plugins.test.ts runs them in the gateway. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { testPlugin } from "#sdk/tooling/test-plugin.ts";
import { meterModule } from "#worker/meter.ts";

const SAMPLES = join(import.meta.dirname, "../../../wasm-plugins");
const names = readdirSync(SAMPLES, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

it.each(names)("%s passes its cases", async (name) => {
  const { diagnostics, tables, passed } = await testPlugin(join(SAMPLES, name), {
    meter: meterModule,
  });
  expect(diagnostics).toEqual([]);
  const failures = tables.flatMap(({ table, results }) =>
    results.flatMap((result) => result.problems.map((problem) => `${table}, ${result.name}: ${problem}`)),
  );
  expect(failures).toEqual([]);
  expect(passed).toBeGreaterThan(3);
});
