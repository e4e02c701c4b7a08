/** `penstock backup FILE` and `penstock restore FILE`: everything a gateway knows, in one file and out of it. */
import { isAbsolute, resolve } from "node:path";
import { positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { download } from "./download.ts";
import { printFailure } from "./failure.ts";
import type { Output, Verb, VerbContext } from "./verb.ts";

export const backup: Verb = {
  summary: "write all revisions, modules, tokens and the audit log into one file",
  usage: ["backup FILE"],
  examples: ["backup penstock.backup"],
  options: {},
  run: async (args, out, context) => {
    const [file = ""] = positionals(args, "FILE");
    try {
      out.progress("collecting what the gateway knows");
      const bytes = await download(Client.of(args, context), "/v1/backup", within(file, context), out);
      out.print(out.json ? JSON.stringify({ file, bytes }) : `${file}: ${bytes} bytes`);
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

export const restore: Verb = {
  summary: "make a data folder of a backup; no gateway may run on it",
  usage: ["restore FILE [--data DIR]"],
  examples: ["restore penstock.backup --data /var/lib/penstock"],
  options: {},
  run: async (args, out, context) => {
    const [file = ""] = positionals(args, "FILE");
    // Loaded here, as no other verb opens a database.
    const { restoreBackup } = await import("#control/store/backup.ts");
    try {
      const dataDir = within(context.dataDir, context);
      report(restoreBackup(within(file, context), dataDir), dataDir, out);
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

function report(
  facts: { readonly revision: number; readonly modules: number; readonly auditRows: number; readonly madeMs: number },
  dataDir: string,
  out: Output,
): void {
  if (out.json) {
    out.print(JSON.stringify({ dataDir, ...facts }));
    return;
  }
  const { revision, modules, auditRows, madeMs } = facts;
  const made = new Date(madeMs).toISOString().slice(0, 19).replace("T", " ");
  out.print(
    `${dataDir}: revision ${revision}, ${modules} modules, ${auditRows} rows of the audit log, as of ${made} UTC`,
  );
  out.print("`penstock run` starts from it");
}

function within(path: string, { cwd }: VerbContext): string {
  return isAbsolute(path) ? path : resolve(cwd, path);
}
