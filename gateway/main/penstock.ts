/**
 * The command line: finds the verb, reads its arguments, runs it, and turns what comes of it into an exit code: 0 done,
 * 1 refused or failed, 2 wrong use.
 */
import { join } from "node:path";
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { PenstockError } from "#core/errors.ts";
import { ProgressLine } from "#main/cli/progress-line.ts";
import { COMMON_OPTIONS, UsageError } from "#main/cli/verb.ts";
import type { ExitCode, Output, ParsedArgs, Verb, VerbContext } from "#main/cli/verb.ts";
import { penstockVersion } from "#main/commands/version.ts";
import { thisInstallation } from "#main/confine/installation.ts";

/** Loaded only when asked for: a gateway that runs for months has no use for the rest of the command line. */
const OWN: Readonly<Record<string, () => Promise<Verb>>> = {
  run: async () => (await import("#main/commands/run.ts")).run,
  upgrade: async () => (await import("#main/commands/upgrade.ts")).upgrade,
  doctor: async () => (await import("#main/commands/doctor.ts")).doctor,
};
/** Columns of a table where there is no terminal to fit into. */
const WIDTH = 120;

// Who reads no further, as `head` does, wants no more. A gateway goes on without those lines.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  if (process.argv[2] !== "run") process.exit();
});
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") return help(rest[0]);
  if (name === "--version" || name === "version") {
    process.stdout.write(`${penstockVersion(thisInstallation())}\n`);
    return 0;
  }
  const verb = await verbNamed(name);
  return verb === undefined ? noVerb(name) : runVerb(name, verb, rest);
}

async function verbNamed(name: string): Promise<Verb | undefined> {
  if (Object.hasOwn(OWN, name)) return OWN[name]?.();
  const { VERBS } = await import("#main/cli/verbs.ts");
  return Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
}

/** All there are, `run` first. */
async function allVerbs(): Promise<ReadonlyMap<string, Verb>> {
  const { VERBS } = await import("#main/cli/verbs.ts");
  const own = Object.entries(OWN).map(async ([name, load]): Promise<[string, Verb]> => [name, await load()]);
  return new Map([...(await Promise.all(own)), ...Object.entries(VERBS)]);
}

async function noVerb(name: string): Promise<ExitCode> {
  const { suggestion } = await import("#control/config/suggest.ts");
  const meant = suggestion(name, (await allVerbs()).keys());
  const guess = meant === undefined ? "" : `; did you mean ${meant}?`;
  return wrongUse(`there is no verb ${name}${guess}`, "penstock help lists them");
}

async function runVerb(name: string, verb: Verb, rest: readonly string[]): Promise<ExitCode> {
  let args: ParsedArgs;
  try {
    args = parseArgs({ args: [...rest], options: { ...COMMON_OPTIONS, ...verb.options }, allowPositionals: true });
  } catch (error) {
    return wrongUse((error as Error).message, usage(verb));
  }
  if (args.values["help"] === true) return help(name);
  const out = output(args.values["json"] === true);
  try {
    return await verb.run(args, out, context(args));
  } catch (error) {
    if (error instanceof UsageError) return wrongUse(error.message, usage(verb));
    return failed(error, out);
  }
}

function context({ values }: ParsedArgs): VerbContext {
  const { root } = thisInstallation();
  const checkout = existsSync(join(root, ".git"));
  const standard = checkout ? join(root, ".penstock") : installedData();
  const data = values["data"];
  return { env: process.env, cwd: callersFolder(), dataDir: typeof data === "string" ? data : standard };
}

/** The system's place for root; for another user the one of their own (XDG Base Directory Specification). */
function installedData(): string {
  const { HOME: home, XDG_STATE_HOME: state } = process.env;
  if (process.getuid?.() === 0 || home === undefined) return "/var/lib/penstock";
  return join(state ?? join(home, ".local/state"), "penstock");
}

/** `npm run penstock` goes to the package's root first, and tells where its caller was: paths are relative to that. */
function callersFolder(): string {
  const { npm_lifecycle_event: script, INIT_CWD: callers } = process.env;
  return script === "penstock" && callers !== undefined ? callers : process.cwd();
}

function output(json: boolean): Output {
  const interactive = process.stdout.isTTY;
  const progress = new ProgressLine(process.stderr);
  return {
    print: (text) => {
      progress.clear();
      process.stdout.write(`${text}\n`);
    },
    note: (text) => {
      progress.clear();
      process.stderr.write(`${text}\n`);
    },
    progress: (text) => progress.show(text),
    json,
    interactive,
    width: interactive ? process.stdout.columns : WIDTH,
  };
}

/** A registered error is the user's to mend; anything else is ours, and says where. */
function failed(error: unknown, out: Output): ExitCode {
  if (error instanceof PenstockError) {
    const { code, message, hint, pointer, errors } = error;
    if (out.json) out.print(JSON.stringify({ error: { code, message, hint, pointer, errors } }));
    out.note(`penstock: ${message} (${code})`);
    for (const finding of errors) out.note(`  ${finding.at ?? finding.pointer}: ${finding.detail}`);
    out.note(`  ${hint}`);
  } else if (error instanceof Error && "code" in error && typeof error.code === "string") {
    out.note(`penstock: ${error.message}`);
  } else {
    out.note(`penstock: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  return 1;
}

function wrongUse(problem: string, more: string): ExitCode {
  process.stderr.write(`penstock: ${problem}\n${more}\n`);
  return 2;
}

function usage(verb: Verb): string {
  return verb.usage.map((form) => `  penstock ${form}`).join("\n");
}

async function help(name: string | undefined): Promise<ExitCode> {
  if (name === undefined) {
    process.stdout.write(overview(await allVerbs()));
    return 0;
  }
  const verb = await verbNamed(name);
  if (verb === undefined) return noVerb(name);
  process.stdout.write(`${detail(verb)}\n`);
  return 0;
}

function overview(all: ReadonlyMap<string, Verb>): string {
  const width = Math.max(...all.keys().map((name) => name.length));
  const verbs = Array.from(all, ([name, verb]) => `  ${name.padEnd(width)}  ${verb.summary}`);
  return `penstock VERB ...\n\n${verbs.join("\n")}\n\nEvery verb takes --json, --data DIR, --server WHERE and --help. Exit codes: 0 done, 1 refused or failed, 2 wrong use.\n`;
}

function detail(verb: Verb): string {
  const examples = verb.examples.map((one) => `  penstock ${one}`);
  return [verb.summary, "", usage(verb), ...(examples.length > 0 ? ["", "for example", "", ...examples] : [])].join(
    "\n",
  );
}
