/** How the endpoints of an upstream are, as each worker sees them at the moment of asking. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import type { MetricFamily } from "#control/gateway-status.ts";
import { route, type Answer, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Endpoint = v.object({
  endpoint: v.string(),
  /** Healthy and not ejected, in all workers. */
  usable: v.boolean(),
  workers: v.array(
    v.object({
      worker: v.number(),
      usable: v.boolean(),
      healthy: v.boolean(),
      ejected: v.boolean(),
      requestsActive: v.number(),
      connectionsIdle: v.number(),
      requests: v.number(),
      errors: v.number(),
    }),
  ),
});
const Endpoints = v.object({ upstream: v.string(), items: v.array(Endpoint) });

type Item = v.InferOutput<typeof Endpoint>;
type View = Item["workers"][number];

export function endpointRoutes(services: Services): RouteSpec[] {
  const responses = { 200: { description: "The endpoints, by address", schema: Endpoints } };
  return [
    route({
      method: "GET",
      path: "/v1/upstreams/{name}/endpoints",
      operationId: "getEndpoints",
      summary: "Health and load of an upstream's endpoints",
      tag: "upstreams",
      access: "read",
      responses,
      handle: ({ params }) => view(services, params["name"] ?? ""),
    }),
  ];
}

async function view(services: Services, upstream: string): Promise<Answer> {
  const declared = services.changes.current().content.declaration.upstreams ?? [];
  if (!declared.some((one) => (one.tenant === undefined ? one.name : `${one.tenant}/${one.name}`) === upstream)) {
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no upstream "${upstream}"` });
  }
  const { metrics } = await services.link.status();
  const byEndpoint = new Map<string, Map<number, View>>();
  for (const family of metrics) collect(family, upstream, byEndpoint);
  const items = Array.from(byEndpoint, ([endpoint, workers]): Item => {
    const views = [...workers.values()].toSorted((a, b) => a.worker - b.worker);
    return { endpoint, usable: views.every((one) => one.usable), workers: views };
  });
  return { body: { upstream, items: items.toSorted((a, b) => (a.endpoint < b.endpoint ? -1 : 1)) } };
}

const EMPTY = {
  usable: false,
  healthy: false,
  ejected: false,
  requestsActive: 0,
  connectionsIdle: 0,
  requests: 0,
  errors: 0,
};

const FIELDS: Readonly<Record<string, (value: number) => Partial<View>>> = {
  penstock_endpoint_usable: (value) => ({ usable: value === 1 }),
  penstock_endpoint_healthy: (value) => ({ healthy: value === 1 }),
  penstock_endpoint_ejected: (value) => ({ ejected: value === 1 }),
  penstock_endpoint_requests_active: (value) => ({ requestsActive: value }),
  penstock_endpoint_connections_idle: (value) => ({ connectionsIdle: value }),
  penstock_endpoint_requests: (value) => ({ requests: value }),
  penstock_endpoint_errors: (value) => ({ errors: value }),
};

function collect({ name, samples }: MetricFamily, upstream: string, into: Map<string, Map<number, View>>): void {
  const field = FIELDS[name];
  if (field === undefined) return;
  for (const { labels, value } of samples) {
    if (labels["upstream"] !== upstream) continue;
    const endpoint = labels["endpoint"] ?? "";
    const worker = Number(labels["worker"]);
    const workers = into.get(endpoint) ?? new Map<number, View>();
    workers.set(worker, { ...(workers.get(worker) ?? { worker, ...EMPTY }), ...field(value) });
    into.set(endpoint, workers);
  }
}
