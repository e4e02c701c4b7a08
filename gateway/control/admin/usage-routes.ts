/** What tenants use of their quotas. Rates are not here: what was too much of them is counted in `/metrics`. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { ownedBy, quotasOf, usedBy } from "#control/config/tenant-usage.ts";
import type { MetricFamily } from "#control/gateway-status.ts";
import { pageOf, PAGE_QUERY } from "./pages.ts";
import { route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Figure = v.object({ used: v.number(), allowed: v.number() });
/** Guests, suspended calls and series are of the worker that has most, as their quotas are. */
const UsageSchema = v.object({
  tenant: v.string(),
  routes: Figure,
  upstreams: Figure,
  secrets: Figure,
  plugins: Figure,
  pluginBytes: Figure,
  guests: Figure,
  suspendedCalls: Figure,
  metricSeries: Figure,
  mapEntries: Figure,
  keyValueBytes: Figure,
});
type Usage = v.InferOutput<typeof UsageSchema>;

export function usageRoutes(services: Services): RouteSpec[] {
  const tenants = () => services.changes.current().content.declaration.tenants ?? [];
  return [
    route({
      method: "GET",
      path: "/v1/usage",
      operationId: "listUsage",
      summary: "What each tenant uses of its quotas",
      tag: "tenants",
      access: "read",
      query: PAGE_QUERY,
      responses: {
        200: { description: "A page", schema: v.object({ items: v.array(UsageSchema), next: v.optional(v.string()) }) },
      },
      handle: async (call) => {
        const { body } = pageOf(tenants(), ({ name }) => name, call);
        const page = body as { readonly items: readonly Tenant[] };
        return { body: { ...page, items: await usageOf(page.items, services) } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/tenants/{tenant}/usage",
      operationId: "getTenantUsage",
      summary: "What the tenant uses of its quotas",
      tag: "tenants",
      access: "tenant-read",
      responses: { 200: { description: "Now", schema: UsageSchema } },
      handle: async ({ params }) => {
        const tenant = tenants().find(({ name }) => name === params["tenant"]);
        if (tenant === undefined)
          throw controlError("PENSTOCK_CONTROL_NOT_FOUND", {
            detail: `there is no tenant "${params["tenant"] ?? ""}"`,
          });
        const [usage] = await usageOf([tenant], services);
        return { body: usage };
      },
    }),
  ];
}

type Tenant = NonNullable<Declaration["tenants"]>[number];

async function usageOf(tenants: readonly Tenant[], { changes, store, link }: Services): Promise<Usage[]> {
  const { declaration } = changes.current().content;
  const { metrics } = await link.status();
  return Promise.all(
    tenants.map(async (tenant) => {
      const { name } = tenant;
      const declared = usedBy(ownedBy(name, declaration), (digest) => store.module(digest)?.bytes);
      const running = (family: string, combined: (values: readonly number[]) => number): number =>
        combined(valuesOf(metrics, `penstock_tenant_${family}`, name));
      const entries = await link.entries(name, { kind: "list", limit: 0 });
      const used = {
        ...declared,
        guests: Math.max(declared.guests, running("guests_open", most)),
        suspendedCalls: running("suspended_open", most),
        metricSeries: running("series_open", most),
        mapEntries: running("map_entries", sum),
        // Someone is in the middle of a change: nobody waits for a figure.
        keyValueBytes: entries.ok ? entries.usedBytes : 0,
      };
      const allowed = quotasOf(tenant);
      const figures = Object.entries(used).map(([quota, value]) => [
        quota,
        { used: value, allowed: allowed[quota as keyof typeof used] },
      ]);
      return { tenant: name, ...Object.fromEntries(figures) } as Usage;
    }),
  );
}

/** By worker. */
function valuesOf(families: readonly MetricFamily[], family: string, tenant: string): number[] {
  const samples = families.find(({ name }) => name === family)?.samples ?? [];
  return samples.filter(({ labels }) => labels["tenant"] === tenant).map(({ value }) => value);
}

/** A quota of each worker. */
function most(values: readonly number[]): number {
  return Math.max(0, ...values);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
