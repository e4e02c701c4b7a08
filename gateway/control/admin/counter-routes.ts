/** What packet counters counted: read from the kernel at the moment of asking. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { pageLimit, route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Traffic = { packets: v.number(), bytes: v.number() };
const Counters = v.object({
  device: v.string(),
  by: v.picklist(["source", "port"]),
  items: v.array(v.object({ of: v.string(), ...Traffic })),
  other: v.record(v.string(), v.object(Traffic)),
});

const ITEMS_DEFAULT = 20;

export function counterRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/kernel/interfaces/{device}/counters",
      operationId: "getPacketCounters",
      summary: "The networks, or ports, of most packets or bytes on a device",
      tag: "kernel",
      access: "read",
      query: { limit: pageLimit, sort: v.optional(v.picklist(["packets", "bytes"])) },
      responses: { 200: { description: "Most first; the whole map is looked at", schema: Counters } },
      handle: async ({ params, query }) => {
        const device = params["device"] ?? "";
        const limit = Number(query.get("limit") ?? ITEMS_DEFAULT);
        const sort = query.get("sort") === "bytes" ? "bytes" : "packets";
        const result = await services.link.counters({ device, limit, sort });
        if (!result.ok) throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: result.detail });
        return { body: { device, by: result.by, items: result.entries, other: result.other } };
      },
    }),
  ];
}
