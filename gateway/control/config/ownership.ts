/** Tenants: whose host it is, what a tenant was granted, and how much of it. */
import { referencesOf } from "./builtin/names.ts";
import type { RouteResource, TenantResource } from "./declaration.ts";
import type { Draft, Entry } from "./draft.ts";
import { ownerOf, type Claim } from "./hosts.ts";
import { isSignature, signerOf } from "#control/plugins/signature.ts";
import { isGranted } from "./endpoint-grants.ts";
import { usedBy } from "./tenant-usage.ts";
import type { Report } from "./references.ts";

/** `moduleBytes` gives the size of a stored module; undefined when it isn't stored. */
export interface OwnershipContext {
  moduleBytes(digest: string): number | undefined;
  /** The tenant whose token makes the change; undefined: an operator does, who may grant what they like. */
  readonly actor: string | undefined;
}

/** A tenant is not told the names of others. */
export function checkHosts(draft: Draft, { actor }: OwnershipContext, report: Report): void {
  const claims: Claim[] = [];
  const holders = new Map<string, string>();
  for (const { pointer, value } of draft.tenants) {
    for (const [index, pattern] of value.hosts.entries()) {
      const holder = holders.get(pattern);
      if (holder === undefined) {
        holders.set(pattern, value.name);
        claims.push({ tenant: value.name, pattern });
      } else if (holder === value.name) {
        report(`${pointer}/hosts/${index}`, "PENSTOCK_CONFIG_DUPLICATE", `"${pattern}" is in the list already`);
      } else {
        report(`${pointer}/hosts/${index}`, "PENSTOCK_CONFIG_HOST_TAKEN", `"${pattern}" belongs to tenant "${holder}"`);
      }
    }
  }
  for (const { pointer, value } of draft.suspects) {
    // An unknown tenant was reported as such.
    if (!draft.names.tenants.has(value.tenant)) continue;
    for (const [index, pattern] of (value.match.hosts ?? []).entries()) {
      const owner = ownerOf(pattern, claims);
      if (owner?.tenant === value.tenant) continue;
      const whose =
        owner === undefined
          ? "no tenant has claimed it"
          : actor === undefined
            ? `it falls under "${owner.pattern}" of tenant "${owner.tenant}"`
            : "another tenant has claimed it";
      const detail = `"${pattern}" does not belong to tenant "${value.tenant}": ${whose}`;
      report(`${pointer}/match/hosts/${index}`, "PENSTOCK_CONFIG_HOST_FOREIGN", detail);
    }
  }
}

export function checkTenants(draft: Draft, context: OwnershipContext, report: Report): void {
  const routesOf = Map.groupBy(draft.routes, (one) => one.value.tenant);
  const suspectsOf = Map.groupBy(draft.suspects, (one) => one.value.tenant);
  for (const { pointer, value: tenant } of draft.tenants) {
    checkQuotas(pointer, tenant, routesOf.get(tenant.name) ?? [], draft, context, report);
    checkSignatures(tenant, draft, report);
    const byTenant = context.actor === tenant.name;
    const own = draft.names.upstreamsOf.get(tenant.name) ?? new Set();
    for (const route of suspectsOf.get(tenant.name) ?? []) checkGrants(route, tenant, own, byTenant, report);
    checkUpstreams(tenant, draft, byTenant, report);
  }
}

function checkQuotas(
  pointer: string,
  tenant: TenantResource,
  routes: readonly Entry<RouteResource>[],
  draft: Draft,
  context: OwnershipContext,
  report: Report,
): void {
  const { quotas } = tenant;
  const bound = (count: number, most: number, what: string) => {
    if (count <= most) return;
    const detail = `tenant "${tenant.name}" has ${count} ${what}, and a quota of ${most}`;
    report(pointer, "PENSTOCK_CONFIG_QUOTA", detail);
  };
  const own = <T extends { readonly tenant?: string | undefined }>(all: readonly Entry<T>[]): readonly T[] =>
    all.map(({ value }) => value).filter((value) => value.tenant === tenant.name);
  const used = usedBy(
    {
      routes: routes.map(({ value }) => value),
      upstreams: own(draft.upstreams),
      secrets: own(draft.secrets),
      plugins: own(draft.plugins),
    },
    (digest) => context.moduleBytes(digest),
  );
  bound(used.routes, quotas.routes, "routes");
  bound(used.upstreams, quotas.upstreams, "upstreams");
  bound(used.secrets, quotas.secrets, "secrets");
  bound(used.plugins, quotas.plugins, "versions of plugins");
  bound(used.pluginBytes, quotas.pluginBytes, "bytes of plugins");
  bound(used.guests, quotas.guests, "plugins in routes, each a guest,");
  for (const route of routes) checkFuel(route, tenant, report);
}

function checkFuel(
  { pointer, value: { filters } }: Entry<RouteResource>,
  tenant: TenantResource,
  report: Report,
): void {
  const most = tenant.quotas.fuelPerCall;
  for (const [index, filter] of filters.entries()) {
    if ("builtin" in filter || filter.limits.fuel <= most) continue;
    const detail = `tenant "${tenant.name}" may give a call ${most} units of fuel (\`quotas.fuelPerCall\`), not ${filter.limits.fuel}`;
    report(`${pointer}/filters/${index}/limits/fuel`, "PENSTOCK_CONFIG_QUOTA", detail);
  }
}

/** A signature that is there must be good, whether one is asked for or not. */
function checkSignatures(
  { name: tenant, publicKeys, requireSignature }: TenantResource,
  draft: Draft,
  report: Report,
): void {
  for (const { pointer, value } of draft.plugins) {
    const { name, version, digest, signature } = value;
    if (value.tenant !== tenant || digest === undefined) continue;
    if (signature === undefined) {
      const detail = `tenant "${tenant}" takes signed plugins only, and ${name}@${version} has no signature`;
      if (requireSignature) report(pointer, "PENSTOCK_CONFIG_SIGNATURE", detail);
    } else if (
      isSignature(signature) &&
      signerOf({ tenant, name, version, digest }, signature, publicKeys) === undefined
    ) {
      const detail = `none of the keys of tenant "${tenant}" has signed ${name}@${version} with this module`;
      report(`${pointer}/signature`, "PENSTOCK_CONFIG_SIGNATURE", detail);
    }
  }
}

/**
 * A list of grants bounds everyone. Where the operator gave none, the operator may still declare routes as they like;
 * a tenant's own token then gets the listeners and upstreams there are, which is what routes are for, but no map and no
 * original destination, which reach beyond the tenant.
 */
function checkGrants(
  { pointer, value: route }: Entry<RouteResource>,
  tenant: TenantResource,
  own: ReadonlySet<string>,
  byTenant: boolean,
  report: Report,
): void {
  const check = (kind: "listeners" | "upstreams" | "maps", name: string, place: string) => {
    // What is the tenant's own needs no grant.
    if (kind === "upstreams" && own.has(name)) return;
    const granted = tenant.allow[kind] ?? (byTenant && kind === "maps" ? [] : undefined);
    if (granted === undefined || granted.includes(name)) return;
    const detail = `tenant "${tenant.name}" was not granted ${kind.slice(0, -1)} "${name}"`;
    report(`${pointer}${place}`, "PENSTOCK_CONFIG_GRANT", detail);
  };
  if (route.listeners === undefined && tenant.allow.listeners !== undefined) {
    const detail = `tenant "${tenant.name}" was granted some listeners only: name them in \`listeners\``;
    report(pointer, "PENSTOCK_CONFIG_GRANT", detail);
  }
  for (const [index, name] of (route.listeners ?? []).entries()) check("listeners", name, `/listeners/${index}`);
  if (route.upstream === "original") {
    const granted = tenant.allow.upstreams?.includes("original") ?? !byTenant;
    if (!granted) {
      report(
        `${pointer}/upstream`,
        "PENSTOCK_CONFIG_GRANT",
        `tenant "${tenant.name}" was not granted the original destination`,
      );
    }
  } else if (route.upstream !== undefined) {
    check("upstreams", route.upstream, "/upstream");
  }
  for (const [index, part] of (route.split ?? []).entries())
    check("upstreams", part.upstream, `/split/${index}/upstream`);
  for (const [index, filter] of route.filters.entries()) {
    if ("builtin" in filter) {
      for (const { kind, name, pointer: below } of referencesOf(filter)) {
        check(kind === "upstream" ? "upstreams" : "maps", name, `/filters/${index}${below}`);
      }
      continue;
    }
    for (const [at, name] of filter.allow.upstreams.entries())
      check("upstreams", name, `/filters/${index}/allow/upstreams/${at}`);
    for (const [at, name] of filter.allow.maps.entries()) check("maps", name, `/filters/${index}/allow/maps/${at}`);
  }
}

/**
 * An upstream leads the gateway's own connections somewhere: to its admin socket, or into a network that the tenant can't
 * reach. So a tenant's own token gets no endpoint that was not granted.
 */
function checkUpstreams(tenant: TenantResource, draft: Draft, byTenant: boolean, report: Report): void {
  const own = draft.upstreams.filter((one) => one.value.tenant === tenant.name);
  const granted = tenant.allow.endpoints ?? (byTenant ? [] : undefined);
  if (granted === undefined) return;
  for (const { pointer, value } of own) {
    for (const [index, { address }] of value.endpoints.entries()) {
      if (isGranted(address, granted)) continue;
      const detail = `tenant "${tenant.name}" was not granted endpoint "${address}"`;
      report(`${pointer}/endpoints/${index}/address`, "PENSTOCK_CONFIG_GRANT", detail);
    }
  }
}
