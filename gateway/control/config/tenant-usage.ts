/** What tenants have of what they may have: counted in a declaration. */
import * as v from "valibot";
import type { Declaration, Resolved } from "./declaration.ts";
import { Quotas } from "./tenant-quotas.ts";

export type TenantQuota = v.InferOutput<typeof Quotas>;

/** Resources of one tenant, declared or resolved. */
export interface Owned {
  readonly routes: readonly (Resolved["routes"][number] | NonNullable<Declaration["routes"]>[number])[];
  readonly upstreams: readonly unknown[];
  readonly secrets: readonly unknown[];
  readonly plugins: readonly { readonly digest?: string | undefined }[];
}

export type Declared = Pick<TenantQuota, "routes" | "upstreams" | "secrets" | "plugins" | "pluginBytes" | "guests">;

/** `moduleBytes`: undefined where a module isn't stored. */
export function usedBy(owned: Owned, moduleBytes: (digest: string) => number | undefined): Declared {
  const digests = new Set(owned.plugins.flatMap(({ digest }) => digest ?? []));
  let pluginBytes = 0;
  for (const digest of digests) pluginBytes += moduleBytes(digest) ?? 0;
  let guests = 0;
  for (const { filters = [] } of owned.routes) for (const filter of filters) if ("plugin" in filter) guests++;
  return {
    routes: owned.routes.length,
    upstreams: owned.upstreams.length,
    secrets: owned.secrets.length,
    plugins: owned.plugins.length,
    pluginBytes,
    guests,
  };
}

export function ownedBy(tenant: string, declaration: Declaration): Owned {
  const own = <T extends { readonly tenant?: string | undefined }>(list: readonly T[] | undefined): readonly T[] =>
    (list ?? []).filter((one) => one.tenant === tenant);
  const { routes, upstreams, secrets, plugins } = declaration;
  return { routes: own(routes), upstreams: own(upstreams), secrets: own(secrets), plugins: own(plugins) };
}

/** With its defaults. */
export function quotasOf({ quotas = {} }: NonNullable<Declaration["tenants"]>[number]): TenantQuota {
  return v.parse(Quotas, quotas);
}
