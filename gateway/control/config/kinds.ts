/**
 * The kinds of resources by the path they have in a declaration, and a resource's name within its kind. Names are what
 * REST addresses and the command line says: `web`, `acme/orders`, `acme/token-check@1`.
 */
import type { Declaration } from "./declaration.ts";

export const KINDS = [
  "listeners",
  "certificates",
  "upstreams",
  "tenants",
  "secrets",
  "plugins",
  "routes",
  "kernel/maps",
  "kernel/interfaces",
  "kernel/steering",
  "kernel/interceptors",
  "kernel/services",
  "kernel/bindings",
  "kernel/traces",
] as const;
export type Kind = (typeof KINDS)[number];

/** A resource as declared; which fields it has is its schema's business. */
export type Item = Readonly<Record<string, unknown>>;

type KernelList = "maps" | "interfaces" | "steering" | "interceptors" | "services" | "bindings" | "traces";

export function listOf(declaration: Declaration, kind: Kind): readonly Item[] {
  const [first, second] = kind.split("/") as [keyof Declaration, KernelList | undefined];
  const list = second === undefined ? declaration[first] : declaration.kernel?.[second];
  return Array.isArray(list) ? list : [];
}

/** The declaration with another list in place of one of its own; checked before it is used. */
export function withList(declaration: Declaration, kind: Kind, list: readonly Item[]): Declaration {
  const [first, second] = kind.split("/") as [keyof Declaration, KernelList | undefined];
  const changed = second === undefined ? { [first]: list } : { kernel: { ...declaration.kernel, [second]: list } };
  return { ...declaration, ...changed };
}

export function keyOf(kind: Kind, item: Item): string {
  const name = text(item["name"]);
  const owned = kind === "upstreams" || kind === "certificates";
  if (owned && text(item["tenant"]) !== "") return `${text(item["tenant"])}/${name}`;
  if (kind === "routes" || kind === "secrets") return `${text(item["tenant"])}/${name}`;
  if (kind === "plugins") return `${text(item["tenant"])}/${name}@${text(item["version"])}`;
  if (kind === "kernel/interfaces") return text(item["device"]);
  if (kind === "kernel/traces") return text(item["listener"]);
  // Steering may have a name; the cgroup's own will do.
  if (kind === "kernel/steering") return name === "" ? lastSegment(text(item["cgroup"])) : name;
  return name;
}

/** As `keyOf` says it, of a route that was checked. */
export function routeKey({ tenant, name }: { readonly tenant: string; readonly name: string }): string {
  return `${tenant}/${name}`;
}

/** Where the resource with this key is in its list; −1: nowhere. */
export function indexOf(declaration: Declaration, kind: Kind, key: string): number {
  // There may be a hundred thousand routes: no key is made for each.
  if (kind === "routes") {
    const [tenant, name] = key.split("/");
    return listOf(declaration, kind).findIndex((item) => item["name"] === name && item["tenant"] === tenant);
  }
  return listOf(declaration, kind).findIndex((item) => keyOf(kind, item) === key);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function lastSegment(path: string): string {
  return path.replace(/\/+$/, "").split("/").at(-1) ?? "";
}
