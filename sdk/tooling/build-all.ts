/**
 * Builds every sample of `wasm-plugins/` into its `build/` folder: run once by the set-up of a checkout.
 *
 *     node sdk/tooling/build-all.ts [FOLDER]
 */
import { access, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { buildPlugin, formatDiagnostic } from "./build.ts";
import { PLUGIN_SOURCE } from "./entry.ts";

const SAMPLES = join(import.meta.dirname, "../../wasm-plugins");

/** Writes `build/NAME.wasm` and its source map. Answers the path; throws the compiler's words. */
export async function buildToFile(directory: string): Promise<string> {
  const { wasm, sourceMap, diagnostics } = await buildPlugin(directory);
  if (wasm.length === 0) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  const folder = join(directory, "build");
  const path = join(folder, `${basename(directory)}.wasm`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, wasm);
  await writeFile(`${path}.map`, sourceMap);
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
  try {
    await access(join(folder, PLUGIN_SOURCE));
    return true;
  } catch {
    return false;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const path of await buildAll(process.argv[2])) process.stdout.write(`${path}\n`);
}
