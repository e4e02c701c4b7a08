/**
 * Builds every sample of `wasm-plugins/` into its `build/` folder: run once by the set-up of a checkout.
 *
 *     node sdk/tooling/build-all.ts [FOLDER]
 */
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildPlugin } from "./build.ts";
import { COMPONENT_SOURCE } from "./component.ts";
import { formatDiagnostic } from "./diagnostic.ts";
import { PLUGIN_SOURCE } from "./entry.ts";

const SAMPLES = join(import.meta.dirname, "../../wasm-plugins");

/** Writes `build/NAME.wasm`, and its source map if there is one. Answers the path; throws the compiler's words. */
export async function buildToFile(directory: string): Promise<string> {
  const { wasm, sourceMap, diagnostics } = await buildPlugin(directory);
  if (wasm.length === 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  const folder = join(directory, "build");
  const path = join(folder, `${basename(directory)}.wasm`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, wasm);
  if (sourceMap !== "") await writeFile(`${path}.map`, sourceMap);
  return path;
}

/** All folders in it that hold a plugin. Answers the paths of the modules. */
export async function buildAll(directory: string = SAMPLES): Promise<string[]> {
  const built: string[] = [];
  for (const entry of (await readdir(directory, { withFileTypes: true })).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const folder = join(directory, entry.name);
    if (entry.isDirectory() && (await isPlugin(folder))) built.push(await buildToFile(folder));
  }
  return built;
}

async function isPlugin(folder: string): Promise<boolean> {
  for (const source of [PLUGIN_SOURCE, COMPONENT_SOURCE]) {
    if ((await stat(join(folder, source)).catch(() => null)) !== null) return true;
  }
  return false;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const path of await buildAll(process.argv[2])) process.stdout.write(`${path}\n`);
}
