/** Versions of plugins as the API shows them, and where they are. */
import type { ModuleFacts } from "#control/protocol.ts";
import { kindOf, pathOf } from "./resource-kinds.ts";
import { UsageError } from "./verb.ts";

export interface PluginVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly bytes: number;
  readonly facts: ModuleFacts;
  readonly asks?: { readonly than: string; readonly more: readonly string[]; readonly less: readonly string[] };
  readonly signedBy?: string;
  readonly sourceMap: boolean;
}

export interface NamedVersion {
  /** In the API. */
  readonly path: string;
  readonly tenant: string;
  readonly plugin: string;
  readonly version: string;
}

/** Of `TENANT/NAME@VERSION`. */
export function versionOf(text: string): NamedVersion {
  const [, tenant, plugin, version] = /^([^/@]+)\/([^/@]+)@([^/@]+)$/.exec(text) ?? [];
  if (tenant === undefined || plugin === undefined || version === undefined)
    throw new UsageError(`"${text}" is no version of a plugin: TENANT/NAME@VERSION`);
  return { path: pathOf(kindOf("plugins"), text), tenant, plugin, version };
}
