/**
 * Compiles a plugin's folder with the AssemblyScript compiler, in this process. Loaded only by who builds: the compiler
 * weighs about 60 MB of memory.
 *
 * Options, and why: the `stub` runtime, since the heap is given back after each hook and nothing needs collecting; no
 * bindings, since the host is not JavaScript to the plugin; `abort` is the SDK's, which logs and traps, so that the module
 * imports nothing but host calls.
 */
import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import asc from "assemblyscript/asc";
import { advised, lineOfFunction, missedHooks } from "./advice.ts";
import { buildComponent, COMPONENT_SOURCE } from "./component.ts";
import type { BuildResult, Diagnostic } from "./diagnostic.ts";
import { entrySource, exportedHooks, HOOK_NAMES, PLUGIN_SOURCE } from "./entry.ts";

const ENTRY = "penstock-entry.ts";
const OUTPUT = "plugin.wasm";
const SDK_FOLDER = join(import.meta.dirname, "../assembly");

/** `penstock/assembly/x`, as the compiler asks for it through node_modules. */
const SDK_PATH = /^.*node_modules\/penstock\/assembly\/(.+)$/;

const OPTIONS = [
  ENTRY,
  "--outFile",
  OUTPUT,
  "--sourceMap",
  "--runtime",
  "stub",
  "--bindings",
  "none",
  "--optimizeLevel",
  "3",
  "--shrinkLevel",
  "1",
  "--converge",
  "--initialMemory",
  "1",
  "--use",
  "abort=~lib/penstock/assembly/log/onAbort",
  "--use",
  "console=~lib/penstock/assembly/log/console",
];

/** Never throws for what is wrong with the plugin: that is in the diagnostics. Throws when its source can't be read. */
export async function buildPlugin(directory: string): Promise<BuildResult> {
  const folder = resolve(directory);
  if (await exists(join(folder, COMPONENT_SOURCE))) return buildComponent(folder);
  const source = await readFile(join(folder, PLUGIN_SOURCE), "utf8");
  const hooks = exportedHooks(source);
  const hasNone = hooks.every((hook) => hook === "onConfigure");
  const diagnostics = missedHooks(source, PLUGIN_SOURCE, HOOK_NAMES, hooks);
  const entry = entrySource(hooks);
  const texts = new Map<string, string>([[ENTRY, entry]]);
  const written = new Map<string, string | Uint8Array>();
  const result = await asc.main(OPTIONS, {
    readFile: (name) => (name === ENTRY ? entry : readSource(folder, name, texts)),
    writeFile: (name, contents) => {
      written.set(name, contents);
    },
    listFiles: () => [],
    reportDiagnostic: (message) => {
      const told = toDiagnostic(message, texts, source);
      if (told !== null) diagnostics.push(told);
    },
    stdout: asc.createMemoryStream(),
    stderr: asc.createMemoryStream(),
  });
  // What the compiler finds may be why there is none.
  if (hasNone && !hasErrors(diagnostics)) {
    diagnostics.push(failure(PLUGIN_SOURCE, `no hook is exported: none of ${HOOK_NAMES.slice(1).join(", ")}`));
  }
  const wasm = written.get(OUTPUT);
  if (result.error !== null && !hasErrors(diagnostics)) diagnostics.push(failure("", result.error.message));
  if (hasErrors(diagnostics) || !(wasm instanceof Uint8Array)) {
    return { wasm: new Uint8Array(), sourceMap: "", diagnostics };
  }
  return { wasm, sourceMap: String(written.get(`${OUTPUT}.map`) ?? ""), diagnostics };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((diagnostic) => diagnostic.severity === "error");
}

/** Null where there is no such file: the compiler then tries the next place. */
async function readSource(folder: string, name: string, texts: Map<string, string>): Promise<string | null> {
  const ofSdk = SDK_PATH.exec(name)?.[1];
  const path = ofSdk === undefined ? resolve(folder, name) : resolve(SDK_FOLDER, ofSdk);
  // A plugin is built from its own folder and the SDK: nothing else of this machine is compiled in.
  const within = ofSdk === undefined ? folder : SDK_FOLDER;
  if (!path.startsWith(`${within}/`)) return null;
  try {
    const text = await readFile(path, "utf8");
    texts.set(ofSdk === undefined ? name : `~lib/penstock/assembly/${ofSdk}`, text);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function failure(file: string, message: string): Diagnostic {
  return { severity: "error", code: 0, message, file, line: file === "" ? 0 : 1, column: file === "" ? 0 : 1 };
}

type CompilerMessage = Parameters<NonNullable<asc.APIOptions["reportDiagnostic"]>>[0];

/** `texts`: what was read, by the compiler's names; its own library is not among them. `source`: the plugin's. Null: said already. */
function toDiagnostic(message: CompilerMessage, texts: ReadonlyMap<string, string>, source: string): Diagnostic | null {
  const { range, category, code } = message;
  const file = range?.source?.normalizedPath ?? "";
  const text = texts.get(file);
  const place = range === null || text === undefined ? { line: 0, column: 0 } : positionOf(text, range.start);
  const found = { severity: severityOf(category), code, message: advised(message.message), file, ...place };
  return file === ENTRY ? signatureMismatch(found, text ?? "", source) : found;
}

/** The generated file calls the plugin's hooks: what the compiler says against it is about their signatures. */
function signatureMismatch(found: Diagnostic, entry: string, source: string): Diagnostic | null {
  const [, call, name = ""] = /plugin\.((\w+)\(.*?\))/.exec(entry.split("\n")[found.line - 1] ?? "") ?? [];
  // What follows from a hook that answers nothing.
  if (call === undefined && found.message.includes("'action'")) return null;
  const why = found.message.startsWith("Type 'void'") ? "it must answer an Action" : found.message;
  const message = `a hook must be made to be called as \`${call ?? "the SDK says"}\`: ${why}`;
  return { ...found, message, file: PLUGIN_SOURCE, line: lineOfFunction(source, name), column: 1 };
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { line, column: offset - before.lastIndexOf("\n") };
}

/** The compiler's categories: 0 pedantic, 1 info, 2 warning, 3 error. */
function severityOf(category: number): Diagnostic["severity"] {
  if (category === 3) return "error";
  return category === 2 ? "warning" : "info";
}
