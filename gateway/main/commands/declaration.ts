/** `run -f FILE|DIR`: the declaration as text, with the modules it names, for the control process to judge. */
import { withTlsFiles } from "#control/config/tls-files.ts";
import { withFilterFiles } from "#control/config/filter-files.ts";
import { withDigests } from "#control/config/module-files.ts";
import { readDeclarationFiles } from "#main/cli/declaration-files.ts";
import type { ReadDeclaration } from "./reload.ts";

/** Throws PENSTOCK_CLI_FILE. What it says is not judged here: modules that can't be read are simply not sent along. */
export async function readDeclaration(
  path: string,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadDeclaration> {
  const { sources, texts, variables, folders, moduleAt } = readDeclarationFiles(path, cwd, env);
  const modules = new Map<string, Uint8Array>();
  // The walk over the plugins is what is wanted; the digests it puts in are of no use here.
  await withDigests(sources.data, (file, pointer) => {
    const bytes = moduleAt(pointer, file);
    if (bytes !== undefined) modules.set(file, bytes);
    return Promise.resolve("");
  });
  const read = (file: string, pointer: string): Uint8Array | undefined => {
    const bytes = moduleAt(pointer, file);
    if (bytes !== undefined) modules.set(file, bytes);
    return bytes;
  };
  withFilterFiles(sources.data, read);
  withTlsFiles(sources.data, read);
  const declaration = {
    author: "penstock run",
    sources: Array.from(texts, ([file, text]) => ({ file, text })),
    variables: Object.fromEntries(variables),
    modules: Array.from(modules, ([file, bytes]) => ({ file, bytes })),
  };
  return { declaration, folders };
}
