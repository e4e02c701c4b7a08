/** `penstock token`: who may use the admin API. */
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { cliError } from "#core/errors/cli.ts";
import { positionals, requiredOption, textOption, textOptions } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type Verb, type VerbContext } from "./verb.ts";

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

export const token: Verb = {
  summary: "make, list and revoke tokens of the admin API",
  usage: ["token create --name NAME --scope SCOPE... [--ttl 30d] [--certificate FILE]", "token ls", "token revoke ID"],
  examples: ["token create --name ci --scope tenant:acme:write --ttl 90d", "token ls", "token revoke 1f2e3d4c5b6a"],
  options: {
    name: { type: "string" },
    scope: { type: "string", multiple: true },
    ttl: { type: "string" },
    certificate: { type: "string" },
  },
  run: async (args, out, context) => {
    const client = Client.of(args, context);
    const [action = ""] = args.positionals;
    try {
      if (action === "create") return await create(args, client, out, context);
      if (action === "ls") return await list(args, client, out);
      if (action === "revoke") return await revoke(args, client, out);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      return printFailure(error, out);
    }
    throw new UsageError(action === "" ? "create, ls or revoke?" : `there is no "token ${action}"`);
  },
};

async function create(args: ParsedArgs, client: Client, out: Output, context: VerbContext): Promise<ExitCode> {
  positionals(args, "create");
  const name = requiredOption(args, "name", "what the token is for; it stands in revisions as their author");
  const scopes = textOptions(args, "scope");
  if (scopes.length === 0)
    throw new UsageError("--scope is missing: admin, operator, read, metrics, tenant:NAME:write or tenant:NAME:read");
  const ttl = textOption(args, "ttl");
  const file = textOption(args, "certificate");
  const certificate = file === undefined ? {} : { certificate: fingerprint(resolve(context.cwd, file)) };
  const { body } = await client.send("POST", "/v1/tokens", {
    json: { name, scopes, ...certificate, ...(ttl === undefined ? {} : { ttlSeconds: seconds(ttl) }) },
  });
  const made = body as { token?: string; id: string };
  if (out.json) out.print(JSON.stringify(made));
  else if (made.token === undefined) out.print(`token ${made.id} stands for the certificate`);
  else {
    out.print(made.token);
    out.note(`token ${made.id}; it is shown this once. Use it as PENSTOCK_TOKEN`);
  }
  return 0;
}

/** SHA-256 of the first certificate of a PEM file, as hex. */
function fingerprint(path: string): string {
  try {
    return createHash("sha256")
      .update(new X509Certificate(readFileSync(path)).raw)
      .digest("hex");
  } catch (error) {
    throw cliError("PENSTOCK_CLI_FILE", {
      detail: `${path}: ${error instanceof Error ? error.message : ""}`,
      cause: error,
    });
  }
}

function seconds(ttl: string): number {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(ttl);
  if (match === null) throw new UsageError(`--ttl ${ttl} is no duration such as 90s, 30m, 12h or 90d`);
  return Number(match[1]) * (UNITS[match[2] ?? ""] ?? 1);
}

async function list(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  positionals(args, "ls");
  const items = await client.list("/v1/tokens");
  if (out.json) {
    out.print(JSON.stringify(items));
    return 0;
  }
  const day = (ms: unknown) => new Date(Number(ms)).toISOString().slice(0, 10);
  const rows = items.map((one) => [
    String(one["id"]),
    String(one["name"]),
    (one["scopes"] as string[]).join(" "),
    day(one["createdMs"]),
    one["expiresMs"] === 0 ? "never" : day(one["expiresMs"]),
  ]);
  out.print(table(["ID", "NAME", "SCOPES", "MADE", "EXPIRES"], rows, out));
  return 0;
}

async function revoke(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, id = ""] = positionals(args, "revoke", "ID");
  await client.send("DELETE", `/v1/tokens/${encodeURIComponent(id)}`);
  out.print(out.json ? JSON.stringify({ revoked: id }) : `token ${id} is revoked`);
  return 0;
}
