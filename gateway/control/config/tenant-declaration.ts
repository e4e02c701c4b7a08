/**
 * What of a declaration is one tenant's: its upstreams, plugins and routes. Reading takes it out, replacing puts another
 * in its place, and the entries of everyone else stay where they are.
 */
import * as v from "valibot";
import type { Finding } from "#core/errors.ts";
import type { Declaration } from "./declaration.ts";
import { fields, isRecord, unexpectedFields } from "./fields.ts";
import { keyOf, listOf, withList, type Item } from "./kinds.ts";
import { list } from "./primitives.ts";
import { Plugin, Route, Upstream } from "./resources.ts";
import { Secret } from "./secret-resources.ts";
import { Certificate } from "./tls-resources.ts";

const KINDS = ["certificates", "secrets", "upstreams", "plugins", "routes"] as const;
type OwnKind = (typeof KINDS)[number];

export const TenantDeclarationSchema = fields("a tenant's declaration", {
  certificates: v.optional(list(Certificate, 10_000), []),
  secrets: v.optional(list(Secret, 100_000), []),
  upstreams: v.optional(list(Upstream, 10_000), []),
  plugins: v.optional(list(Plugin, 10_000), []),
  routes: v.optional(list(Route, 100_000), []),
});

export type TenantDeclaration = Readonly<Partial<Record<OwnKind, readonly Item[]>>>;

/** Kinds of which the tenant has none are left out. */
export function tenantPart(declaration: Declaration, tenant: string): TenantDeclaration {
  const part: Partial<Record<OwnKind, readonly Item[]>> = {};
  for (const kind of KINDS) {
    const own = listOf(declaration, kind).filter((item) => item["tenant"] === tenant);
    if (own.length > 0) part[kind] = own;
  }
  return part;
}

/**
 * What keeps a submission from being one tenant's: the rest is the check's business, which sees it in the whole. Entries
 * may say whose they are, and then it must be this tenant's.
 */
export function tenantFindings(input: unknown, tenant: string): Finding[] {
  if (!isRecord(input)) {
    return [{ pointer: "", code: "PENSTOCK_CONFIG_TYPE", detail: "expected a tenant's declaration with fields" }];
  }
  const findings = unexpectedFields(TenantDeclarationSchema, input).filter(({ pointer }) => !pointer.includes("/", 1));
  for (const kind of KINDS) {
    const given = input[kind];
    if (given === undefined) continue;
    if (!Array.isArray(given)) {
      findings.push({ pointer: `/${kind}`, code: "PENSTOCK_CONFIG_TYPE", detail: "expected a list" });
      continue;
    }
    for (const [index, item] of given.entries()) {
      const pointer = `/${kind}/${index}`;
      if (!isRecord(item)) {
        findings.push({ pointer, code: "PENSTOCK_CONFIG_TYPE", detail: "expected an entry with fields" });
      } else if (item["tenant"] !== undefined && item["tenant"] !== tenant) {
        const detail = `the path says tenant is "${tenant}"`;
        findings.push({ pointer: `${pointer}/tenant`, code: "PENSTOCK_CONFIG_VALUE", detail });
      }
    }
  }
  return findings;
}

export interface Merged {
  readonly declaration: Declaration;
  /** From a place in the whole to the place in what was submitted; what isn't in there is about the submission itself. */
  placeOf(finding: Finding): Finding;
}

/**
 * The declaration with `part` in place of what was the tenant's. An entry that was there keeps its place, so that sending
 * the same again is the same declaration. `part` has no `tenantFindings`.
 */
export function withTenantPart(declaration: Declaration, tenant: string, part: TenantDeclaration): Merged {
  const places = new Map<string, string>();
  let merged = declaration;
  for (const kind of KINDS) {
    const submitted = (part[kind] ?? []).map((item, index) => ({ item: { ...item, tenant }, index }));
    const waiting = Map.groupBy(submitted, ({ item }) => keyOf(kind, item));
    const items: Item[] = [];
    const place = (one: { item: Item; index: number }) => {
      places.set(`/${kind}/${items.length}`, `/${kind}/${one.index}`);
      items.push(one.item);
    };
    for (const item of listOf(declaration, kind)) {
      if (item["tenant"] !== tenant) {
        items.push(item);
        continue;
      }
      const next = waiting.get(keyOf(kind, item))?.shift();
      if (next !== undefined) place(next);
    }
    for (const one of [...waiting.values()].flat().toSorted((a, b) => a.index - b.index)) place(one);
    if (items.length > 0 || declaration[kind] !== undefined) merged = withList(merged, kind, items);
  }
  return { declaration: merged, placeOf: (finding) => placed(finding, places) };
}

function placed(finding: Finding, places: ReadonlyMap<string, string>): Finding {
  const [, kind = "", index = "", ...rest] = finding.pointer.split("/");
  const place = places.get(`/${kind}/${index}`);
  if (place === undefined) return { ...finding, pointer: "" };
  return { ...finding, pointer: [place, ...rest].join("/") };
}

/**
 * Modules that a tenant's token may not name: what others uploaded is theirs, and a version that is there stays what it
 * is.
 */
export function moduleFindings(before: Declaration, tenant: string, part: TenantDeclaration): Finding[] {
  const own = (before.plugins ?? []).filter((one) => one.tenant === tenant);
  const uploaded = new Set<unknown>(own.map(({ digest }) => digest));
  const versions = new Map(own.map((one) => [keyOf("plugins", one), one.digest]));
  const findings: Finding[] = [];
  for (const [index, plugin] of (part.plugins ?? []).entries()) {
    const { digest } = plugin;
    if (digest === undefined) continue;
    const pointer = `/plugins/${index}/digest`;
    const known = versions.get(keyOf("plugins", { ...plugin, tenant }));
    if (!uploaded.has(digest)) {
      const detail = `tenant "${tenant}" has not uploaded this module`;
      findings.push({ pointer, code: "PENSTOCK_CONFIG_MODULE", detail });
    } else if (known !== undefined && known !== digest) {
      const detail = "this version is another module, and a version never changes";
      findings.push({ pointer, code: "PENSTOCK_CONFIG_MODULE", detail });
    }
  }
  return findings;
}
