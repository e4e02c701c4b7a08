/** The sample plugins of wasm-plugins/, built once a test run: their bytes, and a file of them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPlugin, formatDiagnostic } from "#sdk/tooling/build.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-samples-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const built = new Map<string, Promise<string>>();

/** Path of the module of `wasm-plugins/<name>`. */
export function sampleModule(name: string): Promise<string> {
  let file = built.get(name);
  if (file === undefined) {
    file = build(name);
    built.set(name, file);
  }
  return file;
}

async function build(name: string): Promise<string> {
  const { wasm, diagnostics } = await buildPlugin(join(import.meta.dirname, "../../wasm-plugins", name));
  if (wasm.length === 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  const file = join(folder, `${name}.wasm`);
  writeFileSync(file, wasm);
  return file;
}
