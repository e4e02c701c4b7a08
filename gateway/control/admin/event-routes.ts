/** What happens, as it happens: server-sent events. A client that reconnects says what it has seen (`Last-Event-ID`). */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { tokenIsGood } from "./identity.ts";
import { route, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const NUMBER = /^\d{1,15}$/;
const since = v.optional(v.pipe(v.string(), v.regex(NUMBER, "a revision's number")));

export function eventRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/events",
      operationId: "streamEvents",
      summary:
        "Follow revisions (`revision`), tokens, modules and map entries (`change`) and workers (`worker`); " +
        "`since` begins after a revision, Last-Event-ID after an event",
      tag: "audit",
      access: "read",
      query: { since },
      responses: { 200: { description: "Server-sent events", type: "text/event-stream", schema: v.string() } },
      handle: (call) => {
        const after = startOf(call, services);
        const headers = {
          "content-type": "text/event-stream",
          // Kept alive, the connection would outlive the stream, and hold up a shutdown for as long as idle ones may.
          connection: "close",
          "x-accel-buffering": "no",
        };
        if (call.request.method === "HEAD") return { status: 200, headers };
        const stream = services.events.listen(after, () => tokenIsGood(call.identity, services));
        if (stream === undefined) throw controlError("PENSTOCK_CONTROL_STREAMS");
        return { stream, headers };
      },
    }),
  ];
}

/** The number of the last row that the client has, or does not ask for. */
function startOf({ request, query }: Call, { store }: Services): number {
  const last = request.headers.get("last-event-id");
  if (last !== null && last !== "") {
    if (!NUMBER.test(last)) {
      throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: `"${last}" is the id of no event` });
    }
    return Number(last);
  }
  const revision = query.get("since");
  return revision === null ? store.auditHead().number : store.auditBefore(Number(revision));
}
