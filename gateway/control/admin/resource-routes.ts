/** Lists of named resources: listeners, upstreams, tenants, kernel resources, and a tenant's routes. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { indexOf, keyOf, listOf, withList, type Item, type Kind } from "#control/config/kinds.ts";
import { isRecord } from "#control/config/fields.ts";
import {
  KernelInterface,
  KernelMap,
  KernelSteering,
  Listener,
  Route,
  Tenant,
  Upstream,
} from "#control/config/resources.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { refusal } from "#control/config/check.ts";
import { CHANGE_QUERY, ChangeSchema, changeAnswer, optionsOf, revisionHeader, stillInUse, withinBody } from "./edit.ts";
import { actorOf, type Access } from "./identity.ts";
import { pageOf, PAGE_QUERY } from "./pages.ts";
import { etagOf, requireMatch } from "./preconditions.ts";
import { readJson, RESOURCE_BYTES_MAX } from "./body.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

interface Collection {
  readonly kind: Kind;
  /** Singular, for summaries and operation ids. */
  readonly noun: string;
  readonly path: string;
  /** The path parameter that names an item. */
  readonly param: string;
  readonly schema: v.GenericSchema;
  readonly reads: Access;
  readonly lists: Access;
  readonly writes: Access;
  /** Fields of an item that its path decides. */
  fixed(params: Readonly<Record<string, string>>): Item;
}

const operated = { reads: "read", lists: "read", writes: "operator" } as const;

const COLLECTIONS: readonly Collection[] = [
  {
    kind: "listeners",
    noun: "listener",
    path: "/v1/listeners",
    param: "name",
    schema: Listener,
    ...operated,
    fixed: byName,
  },
  {
    kind: "upstreams",
    noun: "upstream",
    path: "/v1/upstreams",
    param: "name",
    schema: Upstream,
    ...operated,
    fixed: byName,
  },
  {
    kind: "tenants",
    noun: "tenant",
    path: "/v1/tenants",
    param: "tenant",
    schema: Tenant,
    ...operated,
    reads: "tenant-read",
    fixed: ({ tenant = "" }) => ({ name: tenant }),
  },
  {
    kind: "routes",
    noun: "route",
    path: "/v1/tenants/{tenant}/routes",
    param: "name",
    schema: Route,
    reads: "tenant-read",
    lists: "tenant-read",
    writes: "tenant-write",
    fixed: ({ tenant = "", name = "" }) => ({ tenant, name }),
  },
  {
    kind: "kernel/maps",
    noun: "map",
    path: "/v1/kernel/maps",
    param: "name",
    schema: KernelMap,
    ...operated,
    fixed: byName,
  },
  {
    kind: "kernel/interfaces",
    noun: "interface",
    path: "/v1/kernel/interfaces",
    param: "device",
    schema: KernelInterface,
    ...operated,
    fixed: ({ device = "" }) => ({ device }),
  },
  {
    kind: "kernel/steering",
    noun: "steering",
    path: "/v1/kernel/steering",
    param: "name",
    schema: KernelSteering,
    ...operated,
    fixed: byName,
  },
];

function byName({ name = "" }: Readonly<Record<string, string>>): Item {
  return { name };
}

export function resourceRoutes(services: Services): RouteSpec[] {
  return COLLECTIONS.flatMap((collection) => collectionRoutes(collection, services));
}

function collectionRoutes(collection: Collection, services: Services): RouteSpec[] {
  const { noun, path, param, schema } = collection;
  const tag = collection.kind.split("/")[0] ?? collection.kind;
  const itemPath = `${path}/{${param}}`;
  const title = `${noun[0]?.toUpperCase()}${noun.slice(1)}`;
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

function visible({ kind, fixed }: Collection, call: Call, declaration: Declaration): Item[] {
  const own = kind === "routes" ? fixed(call.params)["tenant"] : undefined;
  return listOf(declaration, kind).filter((item) => own === undefined || item["tenant"] === own);
}

function list(collection: Collection, call: Call, services: Services): Answer {
  const { declaration } = services.changes.current().content;
  const { tenant } = call.params;
  if (tenant !== undefined && indexOf(declaration, "tenants", tenant) < 0) {
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no tenant "${tenant}"` });
  }
  return pageOf(visible(collection, call, declaration), (item) => keyOf(collection.kind, item), call);
}

function find(collection: Collection, call: Call, declaration: Declaration): Item | undefined {
  const key = keyOf(collection.kind, collection.fixed(call.params));
  return listOf(declaration, collection.kind).find((item) => keyOf(collection.kind, item) === key);
}

function notFound({ noun, kind, fixed }: Collection, { params }: Call): Error {
  return controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no ${noun} "${keyOf(kind, fixed(params))}"` });
}

function read(collection: Collection, call: Call, services: Services): Answer {
  const item = find(collection, call, services.changes.current().content.declaration);
  if (item === undefined) throw notFound(collection, call);
  return { body: item, etag: etagOf(item) };
}

async function put(collection: Collection, call: Call, services: Services): Promise<Answer> {
  const { kind, noun } = collection;
  const submitted = await readJson(call.request, RESOURCE_BYTES_MAX);
  const item = itemOf(collection, call, submitted);
  const key = keyOf(kind, item);
  const options = optionsOf(call);
  let created = false;
  let place = "";
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      message: `put ${noun} ${key}`,
      actor: actor(collection, call),
      ...options,
      edit: (declaration) => {
        const existing = find(collection, call, declaration);
        if (!options.dryRun) requireMatch(call.request, existing === undefined ? undefined : etagOf(existing));
        const index = indexOf(declaration, kind, key);
        created = index < 0;
        const items = [...listOf(declaration, kind)];
        place = `/${kind}/${created ? items.length : index}`;
        items.splice(created ? items.length : index, 1, item);
        return { declaration: withList(declaration, kind, items) };
      },
    });
    if (options.dryRun || result.state === "pending") return changeAnswer(result);
    return { status: created ? 201 : 200, body: item, etag: etagOf(item), headers: revisionHeader(result) };
  } catch (error) {
    throw withinBody(error, place);
  }
}

async function remove(collection: Collection, call: Call, services: Services): Promise<Answer> {
  const { kind, noun } = collection;
  const key = keyOf(kind, collection.fixed(call.params));
  const options = optionsOf(call);
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      message: `delete ${noun} ${key}`,
      actor: actor(collection, call),
      ...options,
      edit: (declaration) => {
        const existing = find(collection, call, declaration);
        if (existing === undefined) throw notFound(collection, call);
        if (!options.dryRun) requireMatch(call.request, etagOf(existing));
        const rest = listOf(declaration, kind).filter((item) => keyOf(kind, item) !== key);
        return { declaration: withList(declaration, kind, rest) };
      },
    });
    return changeAnswer(result);
  } catch (error) {
    throw stillInUse(error);
  }
}

function actor({ kind }: Collection, { identity, params }: Call): string | undefined {
  return kind === "routes" ? actorOf(identity, params["tenant"] ?? "") : undefined;
}

/** The submitted item with the fields that its path decides; they may be repeated, not contradicted. */
function itemOf(collection: Collection, call: Call, submitted: unknown): Item {
  if (!isRecord(submitted)) {
    throw refusal([{ pointer: "", code: "PENSTOCK_CONFIG_TYPE", detail: `expected a ${collection.noun} with fields` }]);
  }
  const fixed = collection.fixed(call.params);
  const wrong = Object.keys(fixed).filter(
    (field) => submitted[field] !== undefined && submitted[field] !== fixed[field],
  );
  if (wrong.length > 0) {
    const finding = (field: string) => ({
      pointer: `/${field}`,
      code: "PENSTOCK_CONFIG_VALUE",
      detail: `the path says ${field} is "${String(fixed[field])}"`,
    });
    throw refusal(wrong.map(finding));
  }
  return { ...fixed, ...submitted };
}
