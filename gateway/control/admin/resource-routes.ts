/** Lists of named resources: listeners, upstreams, tenants, kernel resources, and a tenant's routes. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { indexOf, keyOf } from "#control/config/kinds.ts";
import { COLLECTIONS, find, itemsOf, notFound, type Collection } from "./collections.ts";
import { CHANGE_QUERY, ChangeSchema } from "./edit.ts";
import { MERGE_PATCH_BODY } from "./merge-patch.ts";
import { pageOf, PAGE_QUERY } from "./pages.ts";
import { etagOf } from "./preconditions.ts";
import { patch, put, remove } from "./resource-changes.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

export function resourceRoutes(services: Services): RouteSpec[] {
  return COLLECTIONS.flatMap((collection) => collectionRoutes(collection, services));
}

function collectionRoutes(collection: Collection, services: Services): RouteSpec[] {
  const { noun, path, param, schema } = collection;
  const tag = collection.kind.split("/")[0] ?? collection.kind;
  const itemPath = `${path}/{${param}}`;
  const title = noun
    .split(" ")
    .map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`)
    .join("");
  const body = { types: ["application/json"], schema };
  return [
    route({
      method: "GET",
      path,
      operationId: `list${title}s`,
      summary: `List ${noun === "steering" ? "steering" : `${noun}s`}`,
      tag,
      access: collection.lists,
      query: PAGE_QUERY,
      responses: {
        200: { description: "A page", schema: v.object({ items: v.array(schema), next: v.optional(v.string()) }) },
      },
      handle: (call) => list(collection, call, services),
    }),
    route({
      method: "GET",
      path: itemPath,
      operationId: `get${title}`,
      summary: `Read one ${noun}`,
      tag,
      access: collection.reads,
      responses: { 200: { description: "As declared", schema } },
      handle: (call) => read(collection, call, services),
    }),
    route({
      method: "PUT",
      path: itemPath,
      operationId: `put${title}`,
      summary: `Create or replace one ${noun}`,
      tag,
      access: collection.writes,
      query: CHANGE_QUERY,
      body,
      responses: {
        200: {
          description: "Replaced, and every worker runs it; with dryRun, what would change",
          schema: v.union([schema, ChangeSchema]),
        },
        201: { description: "Created, and every worker runs it", schema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => put(collection, call, services),
    }),
    route({
      method: "PATCH",
      path: itemPath,
      operationId: `patch${title}`,
      summary: `Change parts of one ${noun}`,
      tag,
      access: collection.writes,
      query: CHANGE_QUERY,
      body: MERGE_PATCH_BODY,
      responses: {
        200: {
          description: "Changed, and every worker runs it; with dryRun, what would change",
          schema: v.union([schema, ChangeSchema]),
        },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => patch(collection, call, services),
    }),
    route({
      method: "DELETE",
      path: itemPath,
      operationId: `delete${title}`,
      summary: `Delete one ${noun}`,
      tag,
      access: collection.writes,
      query: CHANGE_QUERY,
      responses: {
        200: { description: "Gone from every worker", schema: ChangeSchema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => remove(collection, call, services),
    }),
  ];
}

function list(collection: Collection, call: Call, services: Services): Answer {
  const { declaration } = services.changes.current().content;
  const { tenant } = call.params;
  if (tenant !== undefined && indexOf(declaration, "tenants", tenant) < 0) {
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no tenant "${tenant}"` });
  }
  return pageOf(itemsOf(collection, call.params, declaration), (item) => keyOf(collection.kind, item), call);
}

function read(collection: Collection, call: Call, services: Services): Answer {
  const item = find(collection, call, services.changes.current().content.declaration);
  if (item === undefined) throw notFound(collection, call);
  return { body: item, etag: etagOf(item) };
}
