/** The history of changes, and the way back. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { DeclarationSchema } from "#control/config/declaration.ts";
import { diff } from "#control/diff.ts";
import type { Revision, RevisionContent } from "#control/store/store.ts";
import { CHANGE_QUERY, ChangeSchema, changeAnswer, DifferenceSchema, optionsOf } from "./edit.ts";
import { limitOf, PAGE_QUERY } from "./pages.ts";
import { etagOf } from "./preconditions.ts";
import { route, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const RevisionSchema = v.object({
  number: v.number(),
  digest: v.string(),
  state: v.picklist(["pending", "applied", "refused"]),
  current: v.boolean(),
  author: v.string(),
  message: v.string(),
  createdMs: v.number(),
  reason: v.string(),
});

export function revisionRoutes(services: Services): RouteSpec[] {
  const described = (revision: Revision) => ({
    number: revision.number,
    digest: revision.digest,
    state: revision.state,
    current: revision.number === services.changes.current().revision,
    author: revision.author,
    message: revision.message,
    createdMs: revision.createdMs,
    reason: revision.reason,
  });
  return [
    route({
      method: "GET",
      path: "/v1/revisions",
      operationId: "listRevisions",
      summary: "List revisions, newest first",
      tag: "revisions",
      access: "read",
      query: { ...PAGE_QUERY, cursor: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, "a revision's number"))) },
      responses: {
        200: {
          description: "A page",
          schema: v.object({ items: v.array(RevisionSchema), next: v.optional(v.string()) }),
        },
      },
      handle: (call) => {
        const cursor = call.query.get("cursor");
        const limit = limitOf(call);
        const found = services.store.revisions(cursor === null ? undefined : Number(cursor), limit + 1);
        const page = found.slice(0, limit);
        const last = page.at(-1);
        const next = found.length > limit && last !== undefined ? { next: String(last.number) } : {};
        return { body: { items: page.map(described), ...next } };
      },
    }),
    route({
      method: "GET",
      path: "/v1/revisions/{number}",
      operationId: "getRevision",
      summary: "Read one revision: its declaration, and what it would change now",
      tag: "revisions",
      access: "read",
      responses: {
        200: {
          description: "The revision",
          schema: v.object({
            ...RevisionSchema.entries,
            declaration: DeclarationSchema,
            diff: v.array(DifferenceSchema),
          }),
        },
      },
      handle: (call) => {
        const revision = find(call, services);
        const now = services.changes.current().content.declaration;
        const { declaration } = revision.content;
        const body = { ...described(revision), declaration, diff: diff(now, declaration) };
        return { body, etag: etagOf(body) };
      },
    }),
    route({
      method: "POST",
      path: "/v1/revisions/{number}/rollback",
      operationId: "rollback",
      summary: "Make a new revision with the content of this one",
      tag: "revisions",
      access: "operator",
      query: CHANGE_QUERY,
      responses: {
        200: { description: "Every worker runs it; with dryRun, what would change", schema: ChangeSchema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: async (call) => {
        const { number, content, state } = find(call, services);
        if (state !== "applied") {
          throw controlError("PENSTOCK_CONTROL_EXISTS", {
            detail: `revision ${number} was never in force: it is ${state}`,
          });
        }
        const result = await services.changes.change({
          author: call.identity.name,
          who: call.identity.who,
          message: `roll back to ${number}`,
          actor: undefined,
          ...optionsOf(call),
          edit: () => content,
        });
        return changeAnswer(result, etagOf(result.declaration));
      },
    }),
  ];
}

function find({ params }: Call, { store }: Services): Revision & { readonly content: RevisionContent } {
  const text = params["number"] ?? "";
  const revision = /^\d{1,15}$/.test(text) ? store.revision(Number(text)) : undefined;
  if (revision === undefined)
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no revision "${text}"` });
  return revision;
}
