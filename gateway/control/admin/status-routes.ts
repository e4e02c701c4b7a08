/** How the gateway is: for people, for orchestrators, for a scraper; and what it would do with a request. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { openMetrics, OPENMETRICS_TYPE } from "#control/openmetrics.ts";
import type { MetricFamily } from "#control/gateway-status.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const PlainText = { type: "text/plain", schema: v.string() };
const TEXT = { "content-type": "text/plain; charset=utf-8" };

const Explained = v.object({
  revision: v.number(),
  listener: v.string(),
  route: v.nullable(v.object({ tenant: v.string(), name: v.string() })),
  filters: v.array(v.object({ name: v.string(), runs: v.picklist(["built-in", "wasm"]) })),
  kernel: v.array(v.string()),
  action: v.string(),
  reasons: v.array(v.string()),
});

const Readings = v.object({
  atMs: v.number(),
  families: v.array(
    v.object({
      name: v.string(),
      type: v.picklist(["counter", "gauge", "histogram"]),
      help: v.string(),
      samples: v.array(
        v.object({
          suffix: v.optional(v.string()),
          labels: v.record(v.string(), v.string()),
          // What no number can say, JSON says as null.
          value: v.nullable(v.number()),
        }),
      ),
    }),
  ),
});

export function statusRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/livez",
      operationId: "livez",
      summary: "The control process answers",
      tag: "status",
      access: "public",
      responses: { 200: { description: "It does", ...PlainText } },
      handle: () => ({ body: "ok\n", headers: TEXT }),
    }),
    route({
      method: "GET",
      path: "/readyz",
      operationId: "readyz",
      summary: "At least one worker serves",
      tag: "status",
      access: "public",
      responses: { 200: { description: "Ready", ...PlainText } },
      handle: async () => {
        const { workers } = await services.link.status();
        const ready = workers.filter((worker) => worker.state === "ready").length;
        if (ready === 0)
          throw controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: `none of ${workers.length} workers is ready` });
        return { body: "ok\n", headers: TEXT };
      },
    }),
    route({
      method: "GET",
      path: "/v1/status",
      operationId: "getStatus",
      summary: "Workers, listeners, kernel programs and maps",
      tag: "status",
      access: "read",
      responses: { 200: { description: "As the supervisor sees it", schema: v.looseObject({ revision: v.number() }) } },
      handle: async () => {
        const { metrics: _metrics, ...status } = await services.link.status();
        return { body: { ...status, declaredRevision: services.changes.current().revision } };
      },
    }),
    route({
      method: "GET",
      path: "/metrics",
      operationId: "getMetrics",
      summary: "Counters and gauges, OpenMetrics",
      tag: "status",
      access: "metrics",
      responses: { 200: { description: "OpenMetrics text", type: "application/openmetrics-text", schema: v.string() } },
      handle: async () => {
        const { metrics } = await services.link.status();
        return {
          body: openMetrics([...metrics, ...ownMetrics(services)]),
          headers: { "content-type": OPENMETRICS_TYPE },
        };
      },
    }),
    route({
      method: "GET",
      path: "/v1/metrics",
      operationId: "readMetrics",
      summary: "The same counters and gauges as JSON, with the time they were read",
      tag: "status",
      access: "metrics",
      responses: { 200: { description: "Families of samples", schema: Readings } },
      handle: async () => {
        const { metrics } = await services.link.status();
        return { body: { atMs: services.now(), families: [...metrics, ...ownMetrics(services)] } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/explain",
      operationId: "explain",
      summary: "What a worker would do with a request, without doing it",
      tag: "status",
      access: "read",
      query: {
        method: v.optional(v.pipe(v.string(), v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/, "a method"))),
        url: v.optional(v.pipe(v.string(), v.url("an absolute URL"))),
        header: v.optional(v.pipe(v.string(), v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/, "`name: value`"))),
        listener: v.optional(v.string()),
      },
      responses: { 200: { description: "The decision, and why", schema: Explained } },
      handle: (call) => explain(call, services),
    }),
  ];
}

function ownMetrics({ changes }: Services): MetricFamily[] {
  return [
    {
      name: "penstock_control_revision",
      type: "gauge",
      help: "Revision in force",
      samples: [{ labels: {}, value: changes.current().revision }],
    },
    {
      name: "penstock_control_resident_memory_bytes",
      type: "gauge",
      help: "Resident memory of the control process",
      samples: [{ labels: {}, value: process.memoryUsage.rss() }],
    },
  ];
}

async function explain({ query }: Call, services: Services): Promise<Answer> {
  const url = query.get("url");
  if (url === null) throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: "`url` is missing: an absolute URL" });
  const headers = query.getAll("header").map((field): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  const listener = query.get("listener");
  const request = { method: query.get("method") ?? "GET", url, headers, ...(listener === null ? {} : { listener }) };
  const result = await services.link.explain(request);
  if (!result.ok) throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: result.detail });
  return { body: result.explanation };
}
