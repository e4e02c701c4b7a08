/** Where a tenant's plugins may ban clients, there is a list of them: a map of the tenant's own, behind those that are declared. */
import { banMapName } from "#snapshot/bans.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";
import type { RouteResource } from "./config/declaration.ts";

const ENTRIES_MAX = 16_384;

export function banMaps(routes: readonly RouteResource[]): MapSpec[] {
  const tenants = new Set<string>();
  for (const { tenant, filters } of routes) {
    if (filters.some((filter) => !("builtin" in filter) && filter.allow.ban)) tenants.add(tenant);
  }
  return [...tenants].toSorted().map((tenant) => ({
    name: banMapName(tenant),
    type: "lpm-trie",
    key: "ip-prefix",
    keyBytes: 20,
    value: "expiry",
    valueBytes: 8,
    maxEntries: ENTRIES_MAX,
    tenant,
  }));
}
