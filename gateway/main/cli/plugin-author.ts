/**
 * The author's half of `penstock plugin`: nothing here talks to a gateway. The compiler weighs 60 MB and is loaded only by
 * the verb that needs it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { cliError } from "#core/errors/cli.ts";
import { positionals } from "./arguments.ts";
import type { ExitCode, Output, ParsedArgs, VerbContext } from "./verb.ts";

/** `DIR/build/NAME.wasm`, and its source map beside it. */
export async function build(args: ParsedArgs, out: Output, { cwd }: VerbContext): Promise<ExitCode> {
  const [, folder = "."] = positionals(args, "build", "DIR?");
  const path = resolve(cwd, folder);
  // oxlint-disable-next-line no-restricted-imports -- an author's tool inside the gateway's command line, loaded on demand
  const { buildPlugin, formatDiagnostic } = await import("#sdk/tooling/build.ts");
  let result: Awaited<ReturnType<typeof buildPlugin>>;
  try {
    result = await buildPlugin(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${folder} is no plugin's folder: ${why}`, cause: error });
  }
  const failed = result.wasm.length === 0;
  const file = join(path, "build", `${basename(path)}.wasm`);
  if (!failed) {
    mkdirSync(join(path, "build"), { recursive: true });
    writeFileSync(file, result.wasm);
    writeFileSync(`${file}.map`, result.sourceMap);
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
