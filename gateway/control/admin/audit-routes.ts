/** Who changed what: the audit log, oldest first, so that who has read it goes on from where they stopped. */
import * as v from "valibot";
import { limitOf, PAGE_QUERY } from "./pages.ts";
import { route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const RowSchema = v.object({
  number: v.number(),
  atMs: v.number(),
  who: v.string(),
  what: v.string(),
  subject: v.string(),
  revision: v.number(),
  outcome: v.picklist(["done", "refused"]),
  reason: v.string(),
  hash: v.string(),
});

const cursor = v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, "a row's number")));

export function auditRoutes({ store }: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/audit",
      operationId: "listAudit",
      summary: "List who changed what, oldest first; `head` is the end of the chain of hashes",
      tag: "audit",
      access: "read",
      query: { ...PAGE_QUERY, cursor },
      responses: {
        200: {
          description: "A page",
          schema: v.object({
            items: v.array(RowSchema),
            head: v.object({ number: v.number(), hash: v.string() }),
            next: v.optional(v.string()),
          }),
        },
      },
      handle: (call) => {
        const limit = limitOf(call);
        const found = store.auditRows(Number(call.query.get("cursor") ?? 0), limit + 1);
        const items = found.slice(0, limit);
        const last = items.at(-1);
        const next = found.length > limit && last !== undefined ? { next: String(last.number) } : {};
        return { body: { items, head: store.auditHead(), ...next } };
      },
    }),
  ];
}
