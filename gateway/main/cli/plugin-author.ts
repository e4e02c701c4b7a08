/**
 * The author's half of `penstock plugin`: nothing here talks to a gateway. The compiler weighs 60 MB and is loaded only by
 * the verbs that need it.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { PenstockError } from "#core/errors.ts";
import { cliError } from "#core/errors/cli.ts";
import { formatDiagnostic } from "#sdk/tooling/diagnostic.ts";
import { positionals, textOption } from "./arguments.ts";
import { type ExitCode, type Output, type ParsedArgs, UsageError, type VerbContext } from "./verb.ts";

/** A folder with a plugin that works and a table of cases that passes. */
export async function create(args: ParsedArgs, out: Output, { cwd }: VerbContext): Promise<ExitCode> {
  const [, name = "", parent = "."] = positionals(args, "new", "NAME", "DIR?");
  const { LANGUAGES, newPlugin } = await import("#sdk/tooling/new-plugin.ts");
  const asked = textOption(args, "lang") ?? "assemblyscript";
  const language = LANGUAGES.find((known) => known === asked);
  if (language === undefined) throw new UsageError(`--lang ${asked}: one of ${LANGUAGES.join(", ")}`);
  const made = await fromFolder(parent, () => newPlugin(resolve(cwd, parent), name, language));
  const folder = relative(cwd, join(resolve(cwd, parent), name));
  if (out.json) out.print(JSON.stringify({ folder, files: made }));
  else {
    out.print(`${folder} is made`);
    out.print(`next: penstock plugin test ${folder}`);
  }
  return 0;
}

/** `DIR/build/NAME.wasm`, and its source map beside it. */
export async function build(args: ParsedArgs, out: Output, { cwd }: VerbContext): Promise<ExitCode> {
  const [, folder = "."] = positionals(args, "build", "DIR?");
  const path = resolve(cwd, folder);
  const { buildPlugin } = await import("#sdk/tooling/build.ts");
  out.progress(`compiling ${folder}`);
  const result = await fromFolder(folder, () => buildPlugin(path));
  const failed = result.wasm.length === 0;
  const file = join(path, "build", `${basename(path)}.wasm`);
  if (!failed) {
    mkdirSync(join(path, "build"), { recursive: true });
    writeFileSync(file, result.wasm);
    // Of a plugin in TypeScript there is none: its faults name the source themselves.
    if (result.sourceMap === "") rmSync(`${file}.map`, { force: true });
    else writeFileSync(`${file}.map`, result.sourceMap);
  }
  if (out.json) {
    const built = failed ? {} : { file, bytes: result.wasm.length };
    out.print(JSON.stringify({ ...built, diagnostics: result.diagnostics }));
  } else {
    for (const diagnostic of result.diagnostics) out.note(formatDiagnostic(diagnostic));
    if (!failed) out.print(`${relative(cwd, file)}: ${result.wasm.length} bytes`);
  }
  return failed ? 1 : 0;
}

/** Builds the plugin and runs the cases of its `test/*.json` over a fake host, with the fuel that each took. */
export async function test(args: ParsedArgs, out: Output, { cwd }: VerbContext): Promise<ExitCode> {
  const [, folder = "."] = positionals(args, "test", "DIR?");
  const [{ testPlugin }, { meterModule }] = await Promise.all([
    import("#sdk/tooling/test-plugin.ts"),
    import("#worker/meter.ts"),
  ]);
  out.progress(`compiling ${folder}`);
  // As the gateway would have it: what an upload refuses is refused here, and fuel is counted.
  const result = await fromFolder(folder, () => testPlugin(resolve(cwd, folder), { meter: meterModule }));
  const { diagnostics, tables, passed, failed } = result;
  if (out.json) out.print(JSON.stringify(result));
  else {
    for (const diagnostic of diagnostics) out.note(formatDiagnostic(diagnostic));
    for (const { table, results } of tables) {
      for (const { name, problems, fuel } of results) {
        const used = fuel === null ? "" : `  ${fuel} fuel`;
        out.print(`${problems.length === 0 ? "ok  " : "FAIL"}  ${table}: ${name}${used}`);
        for (const problem of problems) out.print(`        ${problem}`);
      }
    }
    out.print(`${passed} passed, ${failed} failed`);
  }
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** What the tools throw is about the folder: it isn't there, isn't a plugin's, or is there already. */
async function fromFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PenstockError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${folder}: ${why}`, cause: error });
  }
}
