/** The sample plugins of wasm-plugins/, built once a test file, into the same place as the set-up builds them. */
import { join } from "node:path";
import { buildToFile } from "#sdk/tooling/build-all.ts";

const built = new Map<string, Promise<string>>();

/** Path of the module of `wasm-plugins/<name>`. */
export function sampleModule(name: string): Promise<string> {
  let file = built.get(name);
  if (file === undefined) {
    file = buildToFile(join(import.meta.dirname, "../../wasm-plugins", name));
    built.set(name, file);
  }
  return file;
}
