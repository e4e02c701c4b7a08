/** A text that is given to a verb: from a file, or from standard input. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { isatty } from "node:tty";
import { cliError } from "#core/errors/cli.ts";
import type { Output, VerbContext } from "./verb.ts";

const STDIN = 0;

/**
 * Without its last line feed, as `${file:…}` reads it. `file`: undefined means standard input; `what` is said to who has to type it.
 * Throws PENSTOCK_CLI_FILE.
 */
export function givenText(file: string | undefined, what: string, out: Output, { cwd }: VerbContext): string {
  if (file === undefined && isatty(STDIN)) out.note(`${what}, then Enter and Ctrl-D; it is seen here as it is typed`);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file === undefined ? STDIN : resolve(cwd, file));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(file);
    throw cliError("PENSTOCK_CLI_FILE", { detail, cause: error });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", { detail: `${file ?? "standard input"} is not UTF-8`, cause: error });
  }
}
