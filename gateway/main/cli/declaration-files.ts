/** A declaration on disk: one file, or the .yaml files of a folder, with the modules that its plugins name. */
import { globSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { inclusionsOf, readSources, type SourceFile, type Sources } from "#control/config/sources.ts";
import { variableKey } from "#control/protocol.ts";
import { cliError } from "#core/errors/cli.ts";
import type { Texts } from "./failure.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface DeclarationFiles {
  readonly sources: Sources;
  readonly texts: Texts;
  /** What references stood for, as `DeclareRequest.variables` has them. */
  readonly variables: ReadonlyMap<string, string>;
  /** Folders of the files above and of every module that was asked for, absolute. */
  readonly folders: ReadonlySet<string>;
  /** A module's bytes, by its name as written at a pointer; relative to the file that holds it. Undefined: unreadable. */
  moduleAt(pointer: string, file: string): Uint8Array | undefined;
}

/** Throws PENSTOCK_CLI_FILE. What the text says is not judged here. `env`: what `${NAME}` in it stands for. */
export function readDeclarationFiles(path: string, cwd: string, env: Environment): DeclarationFiles {
  const names = namesAt(path, cwd);
  const files = withIncluded(names, cwd);
  const folders = new Set(files.map(({ file }) => dirname(resolve(cwd, file))));
  const variables = new Map<string, string>();
  const sources = readSources(files, {
    resolve: (reference, file) => {
      const value = reference.startsWith("file:")
        ? fileText(resolve(cwd, dirname(file), reference.slice("file:".length)), folders)
        : env[reference];
      if (value !== undefined) variables.set(variableKey(file, reference), value);
      return value;
    },
  });
  return {
    sources,
    folders,
    variables,
    texts: new Map(files.map(({ file, text }) => [file, text])),
    moduleAt: (pointer, file) => {
      const declaring = sources.fileOf(pointer) ?? names[0] ?? path;
      const full = isAbsolute(file) ? file : resolve(cwd, dirname(declaring), file);
      folders.add(dirname(full));
      try {
        return readFileSync(full);
      } catch {
        return undefined;
      }
    },
  };
}

/** With the files that they include, and those of these; each once, however often it is named. */
function withIncluded(names: readonly string[], cwd: string): SourceFile[] {
  const files = new Map<string, SourceFile>();
  const left = [...names];
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const full = resolve(cwd, name);
    if (files.has(full)) continue;
    const source = { file: name, text: readText(full) };
    files.set(full, source);
    for (const { pattern, at } of inclusionsOf(source)) left.push(...matching(pattern, dirname(name), cwd, at));
  }
  return [...files.values()];
}

/** A pattern may match nothing: `routes/*.yaml` of a gateway without routes. A plain path must be there. */
function matching(pattern: string, folder: string, cwd: string, at: string): string[] {
  const found = globSync(isAbsolute(pattern) ? pattern : join(folder, pattern), { cwd }).toSorted();
  if (found.length === 0 && !/[*?[{]/.test(pattern))
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${at}: there is no ${pattern} to include` });
  return found;
}

function fileText(path: string, folders: Set<string>): string | undefined {
  folders.add(dirname(path));
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch {
    // Said with its place by who has asked.
    return undefined;
  }
}

function namesAt(path: string, cwd: string): string[] {
  const full = resolve(cwd, path);
  const found = statSync(full, { throwIfNoEntry: false });
  if (found === undefined) throw cliError("PENSTOCK_CLI_FILE", { detail: `there is no ${path}` });
  if (!found.isDirectory()) return [path];
  const names = readdirSync(full).filter((name) => /\.(?:ya?ml|json)$/.test(name));
  if (names.length === 0) throw cliError("PENSTOCK_CLI_FILE", { detail: `there is no .yaml or .json file in ${path}` });
  return names.toSorted().map((name) => join(path, name));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", { detail: error instanceof Error ? error.message : path, cause: error });
  }
}
