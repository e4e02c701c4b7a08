/** What happens to traced connections, for who follows: asked for again and again, each time from where the last answer ended. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { pageLimit, route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Event = v.object({
  seq: v.number(),
  timeMs: v.number(),
  listener: v.string(),
  kind: v.string(),
  local: v.string(),
  remote: v.string(),
  from: v.optional(v.string()),
  to: v.optional(v.string()),
  us: v.optional(v.number()),
});

const EVENTS_DEFAULT = 500;
const NOW = -1;

export function traceRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/kernel/trace/events",
      operationId: "followTrace",
      summary: "What happened to traced connections after an event; events are made while somebody asks",
      tag: "kernel",
      access: "read",
      query: { limit: pageLimit, after: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, "a number from `next`"))) },
      responses: {
        200: {
          description: "Oldest first; `next` goes into `after` of the next question. Without `after`: from now on",
          schema: v.object({ events: v.array(Event), next: v.number() }),
        },
      },
      handle: async ({ query }) => {
        const limit = Number(query.get("limit") ?? EVENTS_DEFAULT);
        const after = query.get("after");
        const result = await services.link.trace({ after: after === null ? NOW : Number(after), limit });
        if (!result.ok) throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: result.detail });
        return { body: { events: result.events, next: result.next } };
      },
    }),
  ];
}
