/** A declaration on disk: one file, or the .yaml files of a folder, with the modules that its plugins name. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { readSources, type Sources } from "#control/config/sources.ts";
import { cliError } from "#core/errors/cli.ts";
import type { Texts } from "./failure.ts";

export interface DeclarationFiles {
  readonly sources: Sources;
  readonly texts: Texts;
  /** Folders of the files above and of every module that was asked for, absolute. */
  readonly folders: ReadonlySet<string>;
  /** A module's bytes, by its name as written at a pointer; relative to the file that holds it. Undefined: unreadable. */
  moduleAt(pointer: string, file: string): Uint8Array | undefined;
}

/** Throws PENSTOCK_CLI_FILE. What the text says is not judged here. */
export function readDeclarationFiles(path: string, cwd: string): DeclarationFiles {
  const names = namesAt(path, cwd);
  const files = names.map((file) => ({ file, text: readText(resolve(cwd, file)) }));
  const sources = readSources(files);
  const folders = new Set(names.map((name) => dirname(resolve(cwd, name))));
  return {
    sources,
    folders,
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

function namesAt(path: string, cwd: string): string[] {
  const full = resolve(cwd, path);
  const found = statSync(full, { throwIfNoEntry: false });
  if (found === undefined) throw cliError("PENSTOCK_CLI_FILE", { detail: `there is no ${path}` });
  if (!found.isDirectory()) return [path];
  const names = readdirSync(full).filter((name) => /\.ya?ml$/.test(name));
  if (names.length === 0) throw cliError("PENSTOCK_CLI_FILE", { detail: `there is no .yaml file in ${path}` });
  return names.toSorted().map((name) => join(path, name));
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", { detail: error instanceof Error ? error.message : path, cause: error });
  }
}
