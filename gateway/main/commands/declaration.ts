/** `run -f FILE`: the declaration as text, with the modules it names, for the control process to judge. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import type { DeclareRequest } from "#control/protocol.ts";

/** Throws the errors of reading `file`. What it says is not judged here: modules that are missing are simply not sent along. */
export function readDeclaration(file: string): Omit<DeclareRequest, "type" | "id"> {
  const text = readFileSync(file, "utf8");
  const modules = moduleFiles(text)
    .map((name) => ({ name, path: resolve(dirname(file), name) }))
    .filter(({ path }) => existsSync(path))
    .map(({ name, path }) => ({ file: name, bytes: readFileSync(path) }));
  return { author: "penstock run", sources: [{ file, text }], modules };
}

/** Every `plugins[].file`, as written, each once. Nothing from a text that is not YAML: control says where it is not. */
function moduleFiles(text: string): string[] {
  const files = new Set<string>();
  for (const document of parseAllDocuments(text)) {
    if ("empty" in document || document.errors.length > 0) continue;
    const { plugins } = (document.toJS() ?? {}) as { plugins?: unknown };
    if (!Array.isArray(plugins)) continue;
    for (const plugin of plugins as ({ file?: unknown } | null)[]) {
      if (typeof plugin?.file === "string") files.add(plugin.file);
    }
  }
  return [...files];
}
