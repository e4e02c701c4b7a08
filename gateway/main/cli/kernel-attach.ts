/**
 * `penstock kernel attach`, `detach` and `confirm`: what stands in the kernel, one thing at a time, without a file. Each is a
 * change of the declaration like any other: a revision, in force everywhere or nowhere, and gone by `rollback`.
 */
import { positionals, requiredOption, textOption } from "./arguments.ts";
import type { Client } from "./client.ts";
import { kindOf, pathOf } from "./resource-kinds.ts";
import { diffLines, type Submitted } from "./submit.ts";
import { UsageError, type ExitCode, type Output, type ParsedArgs } from "./verb.ts";

export const ATTACH_OPTIONS = {
  cgroup: { type: "string" },
  listener: { type: "string" },
  ports: { type: "string" },
  devices: { type: "string" },
  programs: { type: "string" },
  mode: { type: "string" },
  prefix: { type: "string" },
  "lease-ms": { type: "string" },
  confirm: { type: "string" },
} as const;

type Fields = Readonly<Record<string, unknown>>;

/** What can be attached, by the resource's kind; fields that were not given are left out. */
const KINDS: Readonly<Record<string, (name: string, args: ParsedArgs) => Fields>> = {
  steering: (name, args) => ({
    name,
    cgroup: requiredOption(args, "cgroup", "whose connections are steered"),
    ports: ports(args),
    listener: listener(args),
    ...leaseOf(args),
    ...given("confirmMs", args, "confirm", (text) => whole("confirm", text) * 1000),
  }),
  interface: (device, args) => ({
    device,
    programs: names(requiredOption(args, "programs", "firewall, packet-counter")),
    ...given("mode", args, "mode", (text) => text),
  }),
  interceptor: (name, args) => ({
    name,
    ports: ports(args),
    listener: listener(args),
    ...given("devices", args, "devices", names),
    ...leaseOf(args),
  }),
  binding: (name, args) => ({
    name,
    listener: listener(args),
    match: [{ ...given("prefix", args, "prefix", (text) => text), ports: ports(args) }],
    ...leaseOf(args),
  }),
};

export async function attach(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, kind = "", name = ""] = positionals(args, "attach", "KIND", "NAME");
  const path = pathOf(kindOf(known(kind)), name);
  const fields = KINDS[kind]?.(name, args) ?? {};
  await client.send("PUT", path, { json: fields, headers: { "if-none-match": "*" } });
  if (out.json) out.print(JSON.stringify(fields));
  else out.print(`${kind} ${name} is in force`);
  if (fields["confirmMs"] !== undefined && !out.json) {
    out.print(`it is undone in ${textOption(args, "confirm")} s, unless: penstock kernel confirm ${name}`);
  }
  return 0;
}

export async function detach(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, kind = "", name = ""] = positionals(args, "detach", "KIND", "NAME");
  const path = pathOf(kindOf(known(kind)), name);
  const { etag } = await client.get(path);
  return changed((await client.send("DELETE", path, { headers: { "if-match": etag } })).body, out);
}

export async function confirm(args: ParsedArgs, client: Client, out: Output): Promise<ExitCode> {
  const [, name = ""] = positionals(args, "confirm", "NAME");
  return changed((await client.send("POST", `/v1/kernel/steering/${encodeURIComponent(name)}/confirm`)).body, out);
}

function changed(body: unknown, out: Output): ExitCode {
  const result = body as Submitted;
  if (out.json) out.print(JSON.stringify(result));
  else for (const line of [...diffLines(result.diff), `revision ${result.revision} is in force`]) out.print(line);
  return 0;
}

function known(kind: string): string {
  if (Object.hasOwn(KINDS, kind)) return kind;
  throw new UsageError(`there is no "${kind}" to attach: ${Object.keys(KINDS).join(", ")}`);
}

function given<T>(
  field: string,
  args: ParsedArgs,
  option: string,
  read: (text: string) => T,
): Readonly<Record<string, T>> {
  const text = textOption(args, option);
  return text === undefined ? {} : { [field]: read(text) };
}

function names(text: string): string[] {
  return text.split(",").map((one) => one.trim());
}

/** `80,8000-8999`: which kinds take ranges the schema knows. */
function ports(args: ParsedArgs): (number | string)[] {
  return names(requiredOption(args, "ports", "80,8080")).map((one) => (/^\d+$/.test(one) ? Number(one) : one));
}

function listener(args: ParsedArgs): string {
  return requiredOption(args, "listener", "who gets them");
}

function leaseOf(args: ParsedArgs): Fields {
  return given("leaseMs", args, "lease-ms", (text) => whole("lease-ms", text));
}

function whole(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${option} ${text} is no whole number`);
  return Number(text);
}
