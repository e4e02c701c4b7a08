/** `penstock plugin`: a tenant's whole path from an empty folder to a version that routes can name. */
import { readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { cliError } from "#core/errors/cli.ts";
import type { ModuleFacts } from "#control/protocol.ts";
import { positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { pathOf, kindOf } from "./resource-kinds.ts";
import { build, create, test } from "./plugin-author.ts";
import { diffLines, type Submitted } from "./submit.ts";
import { table } from "./table.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs, type Verb, type VerbContext } from "./verb.ts";

interface Version {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly bytes: number;
  readonly facts: ModuleFacts;
}

type Action = (args: ParsedArgs, out: Output, context: VerbContext) => Promise<ExitCode>;

const ACTIONS: Readonly<Record<string, Action>> = { new: create, build, test, push, ls: list, inspect, rm: remove };

export const plugin: Verb = {
  summary: "make, build, test, upload and inspect plugins",
  usage: [
    "plugin new NAME [DIR]",
    "plugin build [DIR]",
    "plugin test [DIR]",
    "plugin push TENANT/NAME@VERSION FILE|DIR",
    "plugin ls [TENANT]",
    "plugin inspect TENANT/NAME@VERSION",
    "plugin rm TENANT/NAME@VERSION",
  ],
  examples: [
    "plugin new greeter",
    "plugin test greeter",
    "plugin build greeter",
    "plugin push acme/greeter@1 greeter",
    "plugin ls acme",
  ],
  options: {},
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

/** Where the version is in the API. */
function versionPath(name: string): string {
  if (!/^[^/@]+\/[^/@]+@[^/@]+$/.test(name))
    throw new UsageError(`"${name}" is no version of a plugin: TENANT/NAME@VERSION`);
  return pathOf(kindOf("plugins"), name);
}

async function push(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = "", file = ""] = positionals(args, "push", "TENANT/NAME@VERSION", "FILE|DIR");
  const path = versionPath(name);
  const module = readModule(resolve(context.cwd, file));
  const { status, body } = await Client.of(args, context).send("PUT", path, { module });
  const version = body as Version;
  if (out.json) out.print(JSON.stringify(version));
  else {
    const what = status === 201 ? "is uploaded" : "was uploaded before";
    out.print(
      `${name} ${what}: ${version.bytes} bytes, ${version.digest.slice(0, 12)}, hooks ${version.facts.hooks.join(" ")}`,
    );
    out.print(`routes name it as \`plugin: "${version.name}@${version.version}"\``);
  }
  return 0;
}

/** A module, or the one that `plugin build` left in a plugin's folder. */
function readModule(path: string): Uint8Array {
  const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = folder ? join(path, "build", `${basename(path)}.wasm`) : path;
  try {
    return readFileSync(file);
  } catch (error) {
    const detail = folder ? `${file} is missing: \`penstock plugin build ${path}\` makes it` : `there is no ${file}`;
    throw cliError("PENSTOCK_CLI_FILE", { detail, cause: error });
  }
}

async function list(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, tenant] = positionals(args, "ls", "TENANT?");
  const client = Client.of(args, context);
  const tenants =
    tenant === undefined ? (await client.list("/v1/tenants")).map((one) => String(one["name"])) : [tenant];
  const items: Version[] = [];
  for (const one of tenants) {
    items.push(...((await client.list(`/v1/tenants/${encodeURIComponent(one)}/plugins`)) as unknown as Version[]));
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
  const { body } = await Client.of(args, context).get(versionPath(name));
  const version = body as Version;
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
    ["memory", `${facts.memoryBytesMin} bytes at least`],
  ];
  for (const [label, text] of rows) out.print(`${label.padEnd(8)} ${text}`);
  return 0;
}

async function remove(args: ParsedArgs, out: Output, context: VerbContext): Promise<ExitCode> {
  const [, name = ""] = positionals(args, "rm", "TENANT/NAME@VERSION");
  const client = Client.of(args, context);
  const path = versionPath(name);
  const { etag } = await client.get(path);
  const { body } = await client.send("DELETE", path, { headers: { "if-match": etag } });
  const result = body as Submitted;
  if (out.json) out.print(JSON.stringify(result));
  else for (const line of [...diffLines(result.diff), `revision ${result.revision} is in force`]) out.print(line);
  return 0;
}
