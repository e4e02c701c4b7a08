/** `penstock apply`: makes the gateway do what a declaration says; all of it or nothing. `penstock diff` only asks. */
import { UsageError, type ExitCode, type Output, type ParsedArgs, type Verb, type VerbContext } from "./verb.ts";
import { flagOption, positionals, requiredOption, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { readDeclarationFiles } from "./declaration-files.ts";
import { printFailure, type Texts } from "./failure.ts";
import { diffLines, submit, type Submitted } from "./submit.ts";

const FILE = { file: { type: "string", short: "f" } } as const;

export const apply: Verb = {
  summary: "make the gateway do what a declaration says, as one revision",
  usage: ["apply -f FILE|DIR [--dry-run] [--wait | --no-wait] [--message TEXT]"],
  examples: ["apply -f penstock.yaml --dry-run", "apply -f conf.d --message 'orders to the new api'"],
  options: {
    ...FILE,
    "dry-run": { type: "boolean" },
    wait: { type: "boolean" },
    "no-wait": { type: "boolean" },
    message: { type: "string", short: "m" },
  },
  run: (args, out, context) => {
    if (flagOption(args, "wait") && flagOption(args, "no-wait")) throw new UsageError("either --wait or --no-wait");
    const dryRun = flagOption(args, "dry-run");
    return send(args, out, context, { dryRun, wait: !flagOption(args, "no-wait") });
  },
};

export const diff: Verb = {
  summary: "what `apply` would change",
  usage: ["diff -f FILE|DIR"],
  examples: ["diff -f penstock.yaml"],
  options: FILE,
  run: (args, out, context) => send(args, out, context, { dryRun: true, wait: true }),
};

async function send(
  args: ParsedArgs,
  out: Output,
  context: VerbContext,
  how: { dryRun: boolean; wait: boolean },
): Promise<ExitCode> {
  positionals(args);
  const path = requiredOption(args, "file", "a file, or a folder of .yaml and .json files");
  let texts: Texts = new Map();
  try {
    const files = readDeclarationFiles(path, context.cwd, context.env);
    texts = files.texts;
    const message = textOption(args, "message") ?? `apply ${path}`;
    report(await submit(files, Client.of(args, context), { ...how, message }, out), out);
    return 0;
  } catch (error) {
    return printFailure(error, out, texts);
  }
}

function report(result: Submitted, out: Output): void {
  if (out.json) {
    out.print(JSON.stringify(result));
    return;
  }
  for (const line of diffLines(result.diff)) out.print(line);
  for (const note of result.notes) out.note(`note: ${note}`);
  const { revision, state } = result;
  if (state === "dry-run")
    out.print(result.diff.length === 0 ? "nothing would change" : "nothing was changed (dry run)");
  else if (state === "unchanged") out.print(`nothing to change; revision ${revision} is in force`);
  else if (state === "pending")
    out.print(`revision ${revision} is on its way; \`penstock revisions\` tells what became of it`);
  else out.print(`revision ${revision} is in force`);
}
