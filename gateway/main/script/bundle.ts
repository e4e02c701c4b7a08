/**
 * A script, read with everything it needs: the modules it imports by relative paths, theirs, and the files it loads; workers
 * have no files and are sent all of it. Imports are found in the text: one that is not written out is not found, and the
 * worker says so.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { scriptError } from "#core/errors/script.ts";
import type { ScriptBundle, ScriptFile, ScriptModule } from "#worker/script/protocol.ts";

/** A script is written by hand. */
const MODULES_MAX = 1000;
const BYTES_MAX = 64 * 1024 * 1024;

const IMPORTS = [
  /(?:^|[\s;}])(?:import|export)\s*(?:[\w*${}\s,]+?\sfrom\s*|\*\s*from\s*|\{[^}]*\}\s*from\s*)?["']([^"'\n]+)["']/g,
  /\bimport\(\s*["']([^"'\n]+)["']\s*\)/g,
];
const LOADS = /\b(?:load|object|watch)\(\s*["'`]([^"'`\n]+)["'`]/g;
const WATCHES = /\bwatch\(\s*["'`]([^"'`\n]+)["'`]/g;
const TEES = /\btee\(\s*["'`]([^"'`\n]+)["'`]/g;

/** Not a regular expression's method. */
const COMMANDS = /(?<!\/[a-z]{0,8}\.)\bexec\(\s*["'`]([^"'`\n]+)["'`]/g;
const NETWORK = /\bkernel\s*\.\s*(?:add|replace|remove|setLink)\b|\bprotocol:\s*["'`]netlink\b/;

export interface ReadScript {
  readonly bundle: ScriptBundle;
  /** What a change of changes the script, and the folders it lies in; absolute. */
  readonly files: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
}

/** Throws PENSTOCK_SCRIPT_READ. */
export function readScript(path: string): ReadScript {
  const entry = pathToFileURL(path).href;
  const modules = new Map<string, ScriptModule>();
  const files = new Map<string, ScriptFile>();
  const [watched, outputs, commands] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const waiting = [entry];
  let bytes = 0;
  for (let url = waiting.shift(); url !== undefined; url = waiting.shift()) {
    if (modules.has(url)) continue;
    const source = readModule(url, url === entry);
    if (source === null) continue;
    bytes += source.length;
    if (modules.size === MODULES_MAX || bytes > BYTES_MAX)
      throw scriptError("PENSTOCK_SCRIPT_READ", { detail: `more than ${MODULES_MAX} modules, or ${BYTES_MAX} bytes` });
    modules.set(url, { url, source });
    waiting.push(...namedBy(source, IMPORTS, url));
    for (const file of namedBy(source, [LOADS], entry)) {
      const content = readAsset(file);
      if (content !== null) files.set(file, { url: file, bytes: content });
    }
    for (const file of namedBy(source, [WATCHES], entry)) if (files.has(file)) watched.add(file);
    for (const [, command = ""] of source.matchAll(COMMANDS)) commands.add(command);
    for (const file of namedBy(source, [TEES], entry, /^(?:\.\.?)?\//)) outputs.add(file);
  }
  const all = {
    entry,
    modules: [...modules.values()],
    files: [...files.values()],
    watched: [...watched],
    outputs: [...outputs],
    commands: [...commands],
    changesNetwork: Array.from(modules.values()).some(({ source }) => NETWORK.test(source)),
  };
  const fixed = [...modules.keys(), ...files.keys()].filter((url) => !watched.has(url));
  const read = new Set(fixed.map((url) => fileURLToPath(url)));
  const folders = new Set(Array.from(read, (file) => dirname(file)));
  return { bundle: { ...all, digest: digestOf(all) }, files: read, folders };
}

/** Relative paths that the text names, as URLs. */
function namedBy(source: string, patterns: readonly RegExp[], base: string, kind = /^\.\.?\//): string[] {
  return patterns
    .flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1] ?? ""))
    .filter((path) => kind.test(path))
    .map((path) => new URL(path, base).href);
}

/** Null for one that is not there: the worker tells whoever really wanted it. */
function readModule(url: string, needed: boolean): string | null {
  const path = fileURLToPath(url);
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (!needed) return null;
    throw scriptError("PENSTOCK_SCRIPT_READ", { detail: `${path}: ${(cause as Error).message}`, cause });
  }
}

function readAsset(url: string): Uint8Array | null {
  try {
    return readFileSync(fileURLToPath(url));
  } catch {
    return null;
  }
}

function digestOf({ entry, modules, files, watched }: Omit<ScriptBundle, "digest">): string {
  const hash = createHash("sha256").update(entry);
  for (const { url, source } of modules) hash.update(`\0${url}\0${source}`);
  for (const { url, bytes } of files) if (!watched.includes(url)) hash.update(`\0${url}\0`).update(bytes);
  return hash.digest("hex");
}
