/** What a plugin says, as it says it. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { version as versionSchema } from "#control/config/primitives.ts";
import { tokenIsGood } from "./identity.ts";
import { missing, versions } from "./plugin-versions.ts";
import { flag, route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

export function pluginLogRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/tenants/{tenant}/plugins/{name}/logs",
      operationId: "streamPluginLogs",
      summary:
        "What the plugin's guests log, and their faults (`line`): the last lines, then what follows; `follow=false` ends after the last",
      tag: "plugins",
      access: "tenant-read",
      query: { version: v.optional(versionSchema), follow: flag },
      responses: { 200: { description: "Server-sent events", type: "text/event-stream", schema: v.string() } },
      handle: (call) => {
        const { params, query, request, identity } = call;
        const own = versions(call, services).filter(({ name }) => name === params["name"]);
        if (own.length === 0) throw missing(call);
        const headers = { "content-type": "text/event-stream", connection: "close", "x-accel-buffering": "no" };
        if (request.method === "HEAD") return { status: 200, headers };
        const filter = {
          tenant: params["tenant"] ?? "",
          plugin: params["name"] ?? "",
          version: query.get("version") ?? undefined,
          follow: query.get("follow") !== "false",
        };
        const stream = services.pluginLogs.listen(filter, () => tokenIsGood(identity, services));
        if (stream === undefined) throw controlError("PENSTOCK_CONTROL_STREAMS");
        return { stream, headers };
      },
    }),
  ];
}
