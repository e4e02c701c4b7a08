/**
 * The sample plugins of wasm-plugins/, in the place where the set-up builds them too. Built again only when one of their sources, or of the SDK, is
 * younger than the module.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildToFile } from "#sdk/tooling/build-all.ts";

const ROOT = join(import.meta.dirname, "../..");
const built = new Map<string, Promise<string>>();

/** Path of the module of `wasm-plugins/<name>`. */
export function sampleModule(name: string): Promise<string> {
  let file = built.get(name);
  if (file === undefined) {
    file = current(name);
    built.set(name, file);
  }
  return file;
}

async function current(name: string): Promise<string> {
  const folder = join(ROOT, "wasm-plugins", name);
  const file = join(folder, "build", `${name}.wasm`);
  const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = ["sdk/assembly", "sdk/typescript", "sdk/wit", "sdk/tooling", "sdk/types"].map((path) =>
    join(ROOT, path),
  );
  const own = [join(folder, "assembly"), join(folder, "src")].filter((path) => existsSync(path));
  const youngest = Math.max(...[...own, ...sources].map(youngestOf));
  return made > youngest ? file : buildToFile(folder);
}

function youngestOf(folder: string): number {
  return Math.max(...readdirSync(folder).map((name) => statSync(join(folder, name)).mtimeMs));
}
