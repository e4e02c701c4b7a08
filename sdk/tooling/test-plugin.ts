/**
 * Builds a plugin and runs the tables of its `test/*.json` over the fake host: what `penstock plugin test` does. A file
 * holds one table or a list of them (`CaseTable`).
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CaseResult, type CaseTable, runCases } from "#sdk/testing/cases.ts";
import { buildPlugin } from "./build.ts";
import type { Diagnostic } from "./diagnostic.ts";

export interface PluginTestOptions {
  /** Makes the metered module, so that fuel is counted and the gateway's limits are met; throws its refusal. */
  readonly meter?: (wasm: Uint8Array) => Uint8Array;
}

export interface TestedTable {
  /** Name of the file, and the table's place in it. */
  readonly table: string;
  readonly results: readonly CaseResult[];
}

export interface PluginTestResult {
  readonly diagnostics: readonly Diagnostic[];
  readonly tables: readonly TestedTable[];
  readonly passed: number;
  readonly failed: number;
}

export async function testPlugin(directory: string, options: PluginTestOptions = {}): Promise<PluginTestResult> {
  const { wasm, diagnostics } = await buildPlugin(directory);
  if (wasm.length === 0) return { diagnostics, tables: [], passed: 0, failed: 1 };
  const module = options.meter === undefined ? wasm : options.meter(wasm);
  const tables: TestedTable[] = [];
  for (const { name, table } of await readTables(join(directory, "test"))) {
    tables.push({ table: name, results: runCases(module, table) });
  }
  const all = tables.flatMap(({ results }) => results);
  const passed = all.filter(({ problems }) => problems.length === 0).length;
  return { diagnostics, tables, passed, failed: all.length - passed };
}

async function readTables(folder: string): Promise<{ name: string; table: CaseTable }[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).toSorted();
  const tables: { name: string; table: CaseTable }[] = [];
  for (const file of files) {
    const content = JSON.parse(await readFile(join(folder, file), "utf8")) as CaseTable | CaseTable[];
    for (const [index, table] of [content].flat().entries()) tables.push({ name: `${file} ${index + 1}`, table });
  }
  return tables;
}
