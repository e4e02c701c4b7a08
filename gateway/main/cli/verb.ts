/**
 * What a verb of the command line is. The dispatcher finds it in `VERBS` (verbs.ts), parses the arguments with
 * `node:util` parseArgs and calls `run`; verbs never touch `process` themselves, so that tests can run them in place.
 */
import type { ParseArgsOptionsConfig } from "node:util";

/** 0: done. 1: refused or failed. 2: wrong use. */
export type ExitCode = 0 | 1 | 2;

export interface ParsedArgs {
  /** What stands behind the verb, in order: `plugin push NAME FILE` gives `["push", NAME, FILE]`. */
  readonly positionals: readonly string[];
  /** As parseArgs makes them; the options of all verbs (`COMMON_OPTIONS`) are among them. */
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
}

/** Where a verb writes. The dispatcher's is stdout and stderr; a test's is two strings. */
export interface Output {
  /** What was asked for: goes to stdout, a line feed is added. */
  print(text: string): void;
  /** What went wrong, and progress: goes to stderr, a line feed is added. */
  note(text: string): void;
  /** What goes on, for who waits at a terminal: each takes the place of the one before, and whatever is said takes its. */
  progress(text: string): void;
  /** `--json`: print data only. */
  readonly json: boolean;
  /** stdout is a terminal. */
  readonly interactive: boolean;
  /** Columns a table may take. */
  readonly width: number;
}

export interface VerbContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** State folder when `--data` is absent: `.penstock` in a checkout, `/var/lib/penstock` installed. */
  readonly dataDir: string;
}

export interface Verb {
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Each form: `apply -f FILE|DIR [--dry-run]`. */
  readonly usage: readonly string[];
  readonly examples: readonly string[];
  /** Own options, besides `COMMON_OPTIONS`. */
  readonly options: ParseArgsOptionsConfig;
  run(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode>;
}

/** Options every verb takes. */
export const COMMON_OPTIONS = {
  json: { type: "boolean" },
  server: { type: "string" },
  data: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const satisfies ParseArgsOptionsConfig;

/** Wrong use: the dispatcher prints the message and the verb's usage, and exits 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
