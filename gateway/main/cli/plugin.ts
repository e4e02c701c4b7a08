/** `penstock plugin`: a tenant's whole path from an empty folder to a version that routes can name. */
import { positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { build, create, test } from "./plugin-author.ts";
import { logs } from "./plugin-logs.ts";
import { message } from "./plugin-message.ts";
import { keygen, push } from "./plugin-push.ts";
import { versionOf, type PluginVersion } from "./plugin-version.ts";
import { diffLines, type Submitted } from "./submit.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type Verb, type VerbContext } from "./verb.ts";

type Action = (args: ParsedArgs, out: Output, context: VerbContext) => Promise<ExitCode>;

const ACTIONS: Readonly<Record<string, Action>> = {
  new: create,
  build,
  test,
  keygen,
  push,
  ls: list,
  inspect,
  logs,
  message,
  rm: remove,
};

export const plugin: Verb = {
  summary: "make, build, test, upload and inspect plugins, and talk to those that run",
  usage: [
    "plugin new NAME [DIR] [--lang ts]",
    "plugin build [DIR]",
    "plugin test [DIR]",
    "plugin keygen FILE",
    "plugin push TENANT/NAME@VERSION FILE|DIR [--key FILE]",
    "plugin ls [TENANT]",
    "plugin inspect TENANT/NAME@VERSION",
    "plugin logs TENANT/NAME[@VERSION] [-f]",
    "plugin message TENANT/NAME [TEXT | --file FILE]",
    "plugin rm TENANT/NAME@VERSION",
  ],
  examples: [
    "plugin new greeter",
    "plugin new greeter --lang ts",
    "plugin test greeter",
    "plugin build greeter",
    "plugin push acme/greeter@1 greeter",
    "plugin ls acme",
    "plugin message acme/greeter 'how many?'",
    "plugin message acme/rules < rules.json",
  ],
  options: {
    key: { type: "string" },
    lang: { type: "string" },
    follow: { type: "boolean", short: "f" },
    file: { type: "string" },
  },
  run: async (args, out, context) => {
    const [name = ""] = args.positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    const known = Object.keys(ACTIONS).join(", ");
    if (action === undefined)
      throw new UsageError(name === "" ? `which of ${known}?` : `there is no "plugin ${name}": ${known}`);
    try {
      return await action(args, out, context);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      return printFailure(error, out);
    }
  },
};

async function list(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, tenant] = positionals(args, "ls", "TENANT?");
  const client = Client.of(args, context);
  const tenants =
    tenant === undefined ? (await client.list("/v1/tenants")).map((one) => String(one["name"])) : [tenant];
  const items: PluginVersion[] = [];
  for (const one of tenants) {
    items.push(
      ...((await client.list(`/v1/tenants/${encodeURIComponent(one)}/plugins`)) as unknown as PluginVersion[]),
    );
  }
  const rows = items.map((one) => [
    `${one.tenant}/${one.name}@${one.version}`,
    String(one.bytes),
    one.facts.hooks.join(" "),
    one.digest.slice(0, 12),
  ]);
  if (out.json) out.print(JSON.stringify(items));
  else out.print(rows.length === 0 ? "no plugins" : table(["PLUGIN", "BYTES", "HOOKS", "DIGEST"], rows, out));
  return 0;
}

async function inspect(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = ""] = positionals(args, "inspect", "TENANT/NAME@VERSION");
  const { body } = await Client.of(args, context).get(versionOf(name).path);
  const version = body as PluginVersion;
  if (out.json) {
    out.print(JSON.stringify(version));
    return 0;
  }
  const { facts } = version;
  const rows: [string, string][] = [
    ["plugin", name],
    ["digest", version.digest],
    ["bytes", String(version.bytes)],
    ["abi", facts.abi],
    ["hooks", facts.hooks.join(" ")],
    ["imports", facts.imports.join(" ")],
    ["asks for", (facts.capabilities ?? []).join(" ") || "nothing that routes have to allow"],
    ["memory", `${facts.memoryBytesMin} bytes at least`],
  ];
  if (version.signedBy !== undefined) rows.push(["signed by", version.signedBy]);
  const { asks } = version;
  for (const more of asks?.more ?? []) rows.push([`since ${asks?.than}`, `+ ${more}`]);
  for (const less of asks?.less ?? []) rows.push([`since ${asks?.than}`, `- ${less}`]);
  for (const [label, text] of rows) out.print(`${label.padEnd(9)} ${text}`);
  return 0;
}

async function remove(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = ""] = positionals(args, "rm", "TENANT/NAME@VERSION");
  const client = Client.of(args, context);
  const { path } = versionOf(name);
  const { etag } = await client.get(path);
  const { body } = await client.send("DELETE", path, { headers: { "if-match": etag } });
  const result = body as Submitted;
  if (out.json) out.print(JSON.stringify(result));
  else for (const line of [...diffLines(result.diff), `revision ${result.revision} is in force`]) out.print(line);
  return 0;
}
