/**
 * References to a tenant's secrets in the configuration of its filters: `${secret:NAME}`, alone or within a text. A snapshot holds
 * references, and beside them what they stand for, sealed; the values are put in where a filter is made.
 */
import type { FilterSpec, PluginFilterSpec, SecretSpec } from "./snapshot.ts";

/** What a sealed secret must be opened with: another tenant's can't be brought up as one's own. */
export function secretContext({ tenant, name }: Pick<SecretSpec, "tenant" | "name">): string {
  return `secret ${tenant}/${name}`;
}

const REFERENCE = /\$\{secret:([a-z0-9-]{1,63})\}/g;

/** Names of the secrets that a value refers to, however deep, in no order. */
export function secretsIn(value: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (typeof value === "string") {
    if (value.includes("${secret:")) for (const [, name = ""] of value.matchAll(REFERENCE)) found.add(name);
  } else if (typeof value === "object" && value !== null) {
    for (const one of Object.values(value)) secretsIn(one, found);
  }
  return found;
}

/** The filter with values in place of references; the very same when it has none. */
export function withSecrets<Spec extends FilterSpec>(spec: Spec, valueOf: (name: string) => string): Spec {
  const configured = spec.kind === "builtin" ? spec.config : [spec.config, spec.configText, spec.vm];
  if (secretsIn(configured).size === 0) return spec;
  if (spec.kind === "builtin") return { ...spec, config: mapped(spec.config, (text) => filled(text, valueOf)) };
  const { config, configText, vm }: PluginFilterSpec = spec;
  const fill = (text: string): string =>
    isJson(text) ? filled(text, (name) => quoted(valueOf(name))) : filled(text, valueOf);
  return {
    ...spec,
    config: mapped(config, fill),
    ...(configText === undefined ? {} : { configText: fill(configText) }),
    ...(vm === undefined ? {} : { vm: { ...vm, configuration: fill(vm.configuration) } }),
  };
}

function filled(text: string, valueOf: (name: string) => string): string {
  return text.replaceAll(REFERENCE, (_, name: string) => valueOf(name));
}

/** Of every text in it. */
function mapped<T>(value: T, change: (text: string) => string): T {
  if (typeof value === "string") return change(value) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => mapped(one, change)) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapped(one, change)])) as T;
}

/** A list or an object, which plugins are given as text: a reference in it stands within a quoted one. */
function isJson(text: string): boolean {
  try {
    return /^\s*[[{]/.test(text) && typeof JSON.parse(text) === "object";
  } catch {
    return false;
  }
}

/** As it stands between the quotes of a JSON text. */
function quoted(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}
