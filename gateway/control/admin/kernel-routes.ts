/** Entries of shared maps, and what the kernel part does. Maps themselves are resources like others. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { compileMap } from "#control/config/kernel-maps.ts";
import { draftOf } from "#control/config/draft.ts";
import { formatKey, parseKey } from "#core/map-codec.ts";
import { decodeValue, encodeValue } from "#control/map-codec.ts";
import type { MapReply } from "#control/protocol.ts";
import { confirmed } from "#control/trials.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";
import { changeAnswer, ChangeSchema } from "./edit.ts";
import { readJson, RESOURCE_BYTES_MAX } from "./body.ts";
import { limitOf, PAGE_QUERY } from "./pages.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Value = v.union([
  v.strictObject({ ttlSeconds: v.nullable(v.number()) }),
  v.strictObject({ value: v.number() }),
  v.strictObject({ hex: v.string() }),
]);
const Entry = v.looseObject({ key: v.string() });

const ENTRIES = "/v1/kernel/maps/{name}/entries";
const ENTRY = `${ENTRIES}/{key}`;

export function kernelRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "POST",
      path: "/v1/kernel/steering/{name}/confirm",
      operationId: "confirmSteering",
      summary: "Let steering that is on trial stay",
      tag: "kernel",
      access: "operator",
      responses: { 200: { description: "It stays; unchanged when it was on no trial", schema: ChangeSchema } },
      handle: (call) => confirm(call, services),
    }),
    route({
      method: "GET",
      path: ENTRIES,
      operationId: "listMapEntries",
      summary: "List entries, in the map's own order",
      tag: "kernel",
      access: "read",
      query: PAGE_QUERY,
      responses: {
        200: { description: "A page", schema: v.object({ items: v.array(Entry), next: v.optional(v.string()) }) },
      },
      handle: (call) => list(call, services),
    }),
    route({
      method: "GET",
      path: ENTRY,
      operationId: "getMapEntry",
      summary: "Read one entry",
      tag: "kernel",
      access: "read",
      responses: { 200: { description: "The entry", schema: Entry } },
      handle: async (call) => {
        const map = mapOf(call, services);
        const key = parseKey(map, call.params["key"] ?? "");
        const [entry] = entriesOf(await services.link.map(map.name, { kind: "get", key }));
        if (entry === undefined) throw noEntry(call);
        return { body: { key: formatKey(map, entry.key), ...decodeValue(map, entry.value) } };
      },
    }),
    route({
      method: "PUT",
      path: ENTRY,
      operationId: "putMapEntry",
      summary: "Write one entry; it is state, not declaration, and makes no revision",
      tag: "kernel",
      access: "operator",
      body: { types: ["application/json"], schema: Value },
      responses: { 200: { description: "Written", schema: Entry } },
      handle: async (call) => {
        const map = mapOf(call, services);
        const key = parseKey(map, call.params["key"] ?? "");
        const value = encodeValue(map, await readJson(call.request, RESOURCE_BYTES_MAX));
        entriesOf(await services.link.map(map.name, { kind: "put", key, value }));
        audit(call, services, "put entry", `${map.name}/${formatKey(map, key)}`);
        return { body: { key: formatKey(map, key), ...decodeValue(map, value) } };
      },
    }),
    route({
      method: "DELETE",
      path: ENTRY,
      operationId: "deleteMapEntry",
      summary: "Delete one entry",
      tag: "kernel",
      access: "operator",
      responses: { 204: { description: "Deleted" } },
      handle: async (call) => {
        const map = mapOf(call, services);
        const key = parseKey(map, call.params["key"] ?? "");
        const result = await services.link.map(map.name, { kind: "delete", key });
        entriesOf(result);
        if (result.ok && result.deleted === false) throw noEntry(call);
        audit(call, services, "delete entry", `${map.name}/${formatKey(map, key)}`);
        return { status: 204 };
      },
    }),
  ];
}

async function confirm({ identity, params }: Call, { changes }: Services): Promise<Answer> {
  const name = params["name"] ?? "";
  const result = await changes.change({
    author: identity.name,
    who: identity.who,
    message: `confirm steering ${name}`,
    actor: undefined,
    edit: (current) => {
      const declaration = confirmed(current, name);
      if (declaration !== undefined) return { declaration };
      const detail = `there is no steering "${name}": it was not confirmed in time, or never declared`;
      throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail });
    },
  });
  return changeAnswer(result);
}

/** After the fact: the map is not in the store, so there is no transaction to share. */
function audit({ identity }: Call, { store }: Services, verb: string, subject: string): void {
  const what = `${verb} of a kernel map`;
  store.audit({ who: identity.who, what, subject, revision: 0, outcome: "done", reason: "" });
}

async function list(call: Call, services: Services): Promise<Answer> {
  const map = mapOf(call, services);
  const cursor = call.query.get("cursor");
  const limit = limitOf(call);
  const after = cursor === null ? {} : { after: parseKey(map, cursor) };
  const result = await services.link.map(map.name, { kind: "list", limit, ...after });
  const items = entriesOf(result).map(({ key, value }) => ({ key: formatKey(map, key), ...decodeValue(map, value) }));
  const last = items.at(-1);
  const next = result.ok && result.more === true && last !== undefined ? { next: last.key } : {};
  return { body: { items, ...next } };
}

/** As declared and in force. */
function mapOf({ params }: Call, { changes }: Services): MapSpec {
  const name = params["name"] ?? "";
  const map = draftOf(changes.current().content.declaration).maps.find((one) => one.value.name === name);
  if (map === undefined) throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no map "${name}"` });
  return compileMap(map.value);
}

function entriesOf(result: MapReply["result"]): readonly { readonly key: Uint8Array; readonly value: Uint8Array }[] {
  if (result.ok) return result.entries ?? [];
  if (result.code === "no-map") throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: result.detail });
  if (result.code === "full") throw controlError("PENSTOCK_CONTROL_MAP_FULL", { detail: result.detail });
  throw controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: result.detail });
}

function noEntry({ params }: Call): Error {
  return controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `the map has no entry "${params["key"] ?? ""}"` });
}
