/** `penstock get`: what is declared. `delete`: one resource less. `export`: the whole, as YAML. */
import { stringify } from "yaml";
import { positionals } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { kindOf, pathOf, type ResourceKind } from "./resource-kinds.ts";
import { diffLines, type Submitted } from "./submit.ts";
import { table } from "./table.ts";
import { UsageError, type Output, type Verb } from "./verb.ts";

export const get: Verb = {
  summary:
    "show resources: listeners, upstreams, tenants, secrets, routes, plugins, maps, interfaces, steering, interceptors, services, bindings, traces",
  usage: ["get KIND [NAME]"],
  examples: [
    "get listeners",
    "get routes",
    "get routes acme",
    "get route acme/orders",
    "get plugin acme/token-check@1 --json",
  ],
  options: {},
  run: async (args, out, context) => {
    const [kindName = "", name] = positionals(args, "KIND", "NAME?");
    const kind = kindOf(kindName);
    const client = Client.of(args, context);
    try {
      const listed = name === undefined || (kind.ofTenant && !name.includes("/"));
      if (!listed) {
        const { body } = await client.get(pathOf(kind, name));
        out.print(out.json ? JSON.stringify(body) : yamlOf(body));
        return 0;
      }
      printList(kind, await listOf(kind, name, client), out);
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

export const remove: Verb = {
  summary: "delete one resource that nothing refers to",
  usage: ["delete KIND NAME"],
  examples: ["delete route acme/orders", "delete plugin acme/token-check@1"],
  options: {},
  run: async (args, out, context) => {
    const [kindName = "", name = ""] = positionals(args, "KIND", "NAME");
    const kind = kindOf(kindName);
    if (kind.names.includes("plugins") && !name.includes("@"))
      throw new UsageError(`"${name}" lacks its version: TENANT/NAME@VERSION`);
    const client = Client.of(args, context);
    try {
      const path = pathOf(kind, name);
      const { etag } = await client.get(path);
      const { body } = await client.send("DELETE", path, { headers: { "if-match": etag } });
      const result = body as Submitted;
      if (out.json) out.print(JSON.stringify(result));
      else for (const line of [...diffLines(result.diff), `revision ${result.revision} is in force`]) out.print(line);
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

export const exportAll: Verb = {
  summary: "print the whole declaration, as YAML",
  usage: ["export"],
  examples: ["export > penstock.yaml"],
  options: {},
  run: async (args, out, context) => {
    positionals(args);
    try {
      const { body } = await Client.of(args, context).get("/v1/config");
      out.print(out.json ? JSON.stringify(body) : yamlOf(body));
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

/** Fields that a reader looks for first, in this order; the others follow as the gateway keeps them. */
// prettier-ignore
const FIRST = [
  "name", "tenant", "version", "device", "cgroup", "address",
  "listeners", "match", "filters", "plugin",
  "upstreams", "tenants", "secrets", "plugins", "routes", "kernel",
];

function yamlOf(body: unknown): string {
  return stringify(readable(body), { lineWidth: 120 }).trimEnd();
}

function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  const rank = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const fields = Object.entries(value).toSorted(([a], [b]) => rank(a) - rank(b));
  return Object.fromEntries(fields.map(([name, field]) => [name, readable(field)]));
}

async function listOf(
  kind: ResourceKind,
  tenant: string | undefined,
  client: Client,
): Promise<Record<string, unknown>[]> {
  const items = kind.ofTenant ? [] : await client.list(kind.path);
  if (kind.usagePath !== undefined) {
    const usage = new Map((await client.list(kind.usagePath)).map(({ tenant: name, ...used }) => [name, used]));
    return items.map((item) => ({ ...item, usage: usage.get(item["name"]) }));
  }
  const path = kind.ofTenant ? kind.path : kind.tenantPath;
  if (path === undefined) return items;
  const tenants =
    tenant === undefined ? (await client.list("/v1/tenants")).map((one) => String(one["name"])) : [tenant];
  for (const one of tenants) items.push(...(await client.list(path.replace("{tenant}", encodeURIComponent(one)))));
  return items;
}

function printList(kind: ResourceKind, items: readonly Record<string, unknown>[], out: Output): void {
  if (out.json) out.print(JSON.stringify(items));
  else if (items.length === 0) out.print(`no ${kind.names[0] ?? "resources"}`);
  else
    out.print(
      table(
        kind.columns.map((one) => one.toUpperCase()),
        items.map((item) => kind.columns.map((one) => cell(one, item))),
        out,
      ),
    );
}

/** Of a quota. */
interface Figure {
  readonly used: number;
  readonly allowed: number;
}

function cell(column: string, item: Record<string, unknown>): string {
  const figure = (item["usage"] as Readonly<Record<string, Figure>> | undefined)?.[column];
  if (figure !== undefined) return `${figure.used}/${figure.allowed}`;
  const value = item[column];
  if (column === "endpoints" && Array.isArray(value))
    return value.map((one: { address?: unknown }) => String(one.address)).join(" ");
  if (column === "upstream" && value === undefined) return splitText(item["split"]);
  if (column === "digest" || column === "fingerprint") return String(value).slice(0, 12);
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map(element).join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A place of a binding is `192.0.2.0/24:80,8000-8999`; every address `*:53`. */
function element(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const { prefix = "*", ports } = value as { readonly prefix?: string; readonly ports?: unknown };
  return Array.isArray(ports) ? `${prefix}:${ports.join(",")}` : JSON.stringify(value);
}

function splitText(split: unknown): string {
  if (!Array.isArray(split)) return "";
  return split
    .map((part: { upstream?: unknown; weight?: unknown }) => `${String(part.upstream)}:${String(part.weight)}`)
    .join(" ");
}
