/** `penstock audit`: who changed what, and whether the log still says what was written. */
import { AuditVerifier, type AuditHead, type AuditRow } from "#control/audit-chain.ts";
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type Verb } from "./verb.ts";

interface Page {
  readonly items: readonly AuditRow[];
  readonly head: AuditHead;
  readonly next?: string;
}

export const audit: Verb = {
  summary: "show who changed what; verify that nobody changed the log",
  usage: ["audit", "audit verify [--head NUMBER:HASH]"],
  examples: ["audit", "audit --json", "audit verify", "audit verify --head 41:9f86d0…"],
  options: { head: { type: "string" } },
  run: async (args, out, context) => {
    const [action] = positionals(args, "verify?");
    if (action !== undefined && action !== "verify") throw new UsageError(`there is no "audit ${action}"`);
    const head = textOption(args, "head");
    if (head !== undefined && action === undefined) throw new UsageError("--head is for `audit verify`");
    const known = head === undefined ? undefined : headOf(head);
    const client = Client.of(args, context);
    try {
      return action === "verify" ? await verify(client, known, out) : await list(client, out);
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

function headOf(text: string): AuditHead {
  const [, number = "", hash = ""] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (hash === "")
    throw new UsageError(`--head ${text}: a row's number, a colon and its hash, as \`audit verify\` prints`);
  return { number: Number(number), hash };
}

async function* pages(client: Client): AsyncGenerator<Page> {
  let cursor: string | undefined;
  do {
    const { body } = await client.get("/v1/audit", { limit: "1000", cursor });
    const page = body as Page;
    yield page;
    cursor = page.next;
  } while (cursor !== undefined);
}

async function list(client: Client, out: Output): Promise<ExitCode> {
  const rows: AuditRow[] = [];
  for await (const { items } of pages(client)) rows.push(...items);
  if (out.json) {
    out.print(JSON.stringify(rows));
    return 0;
  }
  const cells = rows.map((row) => [
    String(row.number),
    new Date(row.atMs).toISOString().slice(0, 19).replace("T", " "),
    row.who,
    row.revision === 0 ? "" : String(row.revision),
    row.outcome,
    row.reason === "" ? row.what : `${row.what}: ${row.reason}`,
  ]);
  out.print(
    rows.length === 0 ? "nothing yet" : table(["ROW", "TIME (UTC)", "WHO", "REV", "OUTCOME", "WHAT"], cells, out),
  );
  return 0;
}

/**
 * Every hash is computed here again. Who can write the database can write all of a chain anew: that is found by `known`,
 * an end of the log that was noted elsewhere.
 */
async function verify(client: Client, known: AuditHead | undefined, out: Output): Promise<ExitCode> {
  const verifier = new AuditVerifier();
  let fault: string | undefined;
  let head = verifier.head;
  let seen = known === undefined || known.number === 0;
  for await (const page of pages(client)) {
    head = page.head;
    for (const row of page.items) {
      fault ??= verifier.next(row);
      if (row.number !== known?.number) continue;
      seen = true;
      if (row.hash !== known.hash) fault ??= `row ${row.number} had another hash: the log was written anew`;
    }
    if (fault !== undefined) break;
  }
  if (fault === undefined && !seen) fault = `row ${known?.number ?? 0} is missing at the end`;
  fault ??= verifier.end(head);
  const { number, hash } = verifier.head;
  if (out.json)
    out.print(
      JSON.stringify({ ok: fault === undefined, rows: number, hash, ...(fault === undefined ? {} : { fault }) }),
    );
  else if (fault === undefined) out.print(`${number} rows, none changed; the end of the log is ${number}:${hash}`);
  if (fault !== undefined) out.note(`penstock: the audit log was tampered with: ${fault}`);
  return fault === undefined ? 0 : 1;
}
