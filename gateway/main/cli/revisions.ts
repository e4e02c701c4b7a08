/** `penstock revisions`: the history. `rollback`: an old declaration again, as a new revision. */
import { positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { diffLines, type Submitted } from "./submit.ts";
import { table } from "./table.ts";
import { UsageError, type Verb } from "./verb.ts";

interface Listed {
  readonly number: number;
  readonly state: string;
  readonly current: boolean;
  readonly author: string;
  readonly message: string;
  readonly createdMs: number;
  readonly reason: string;
}

const SHOWN = "20";

export const revisions: Verb = {
  summary: "list revisions, newest first",
  usage: ["revisions [--all]"],
  examples: ["revisions", "revisions --all --json"],
  options: { all: { type: "boolean" } },
  run: async (args, out, context) => {
    positionals(args);
    const client = Client.of(args, context);
    try {
      const all = args.values["all"] === true;
      const items = all
        ? await client.list("/v1/revisions")
        : ((await client.get("/v1/revisions", { limit: SHOWN })).body as { items: unknown[] }).items;
      if (out.json) {
        out.print(JSON.stringify(items));
        return 0;
      }
      const rows = (items as Listed[]).map((one) => [
        `${one.current ? "* " : "  "}${one.number}`,
        one.state,
        new Date(one.createdMs).toISOString().slice(0, 19).replace("T", " "),
        one.author,
        one.reason === "" ? one.message : `${one.message}: ${one.reason}`,
      ]);
      out.print(
        rows.length === 0 ? "no revisions" : table(["  REV", "STATE", "TIME (UTC)", "AUTHOR", "WHAT"], rows, out),
      );
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

export const rollback: Verb = {
  summary: "put an old revision's declaration into force again, as a new revision",
  usage: ["rollback REV [--dry-run]"],
  examples: ["rollback 12 --dry-run", "rollback 12"],
  options: { "dry-run": { type: "boolean" } },
  run: async (args, out, context) => {
    const [number = ""] = positionals(args, "REV");
    if (!/^[1-9]\d{0,14}$/.test(number)) throw new UsageError(`"${number}" is no revision's number`);
    const dryRun = args.values["dry-run"] === true;
    try {
      const query = dryRun ? { dryRun: "true" } : {};
      const { body } = await Client.of(args, context).send("POST", `/v1/revisions/${number}/rollback`, { query });
      const result = body as Submitted;
      if (out.json) out.print(JSON.stringify(result));
      else {
        for (const line of diffLines(result.diff)) out.print(line);
        out.print(dryRun ? "nothing was changed (dry run)" : `revision ${result.revision} is in force`);
      }
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};
