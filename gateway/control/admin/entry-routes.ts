/** A tenant's key/value entries: what its plugins keep there, and how to begin anew. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { route, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const ENTRIES = "/v1/tenants/{tenant}/entries";
const SHOWN_MAX = 1000;

/** Bytes as text where they are text, else in base64. */
const BytesSchema = v.object({ text: v.optional(v.string()), base64: v.optional(v.string()) });
const EntriesSchema = v.object({
  /** Of the quota `keyValueBytes`. */
  usedBytes: v.number(),
  count: v.number(),
  /** The first thousand, in no order. */
  items: v.array(
    v.object({ key: BytesSchema, value: BytesSchema, version: v.number(), leftMs: v.optional(v.number()) }),
  ),
});

export function entryRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: ENTRIES,
      operationId: "listTenantEntries",
      summary: "The key/value entries of the tenant's plugins",
      tag: "tenants",
      access: "tenant-read",
      responses: { 200: { description: "What there is now", schema: EntriesSchema } },
      handle: async (call) => {
        const result = await services.link.entries(tenantOf(call, services), { kind: "list", limit: SHOWN_MAX });
        if (!result.ok) throw controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: result.detail });
        const items = result.entries.map(({ key, value, version, leftMs }) => ({
          key: shown(key),
          value: shown(value),
          version,
          ...(leftMs === 0 ? {} : { leftMs }),
        }));
        return { body: { usedBytes: result.usedBytes, count: result.count, items } };
      },
    }),
    route({
      method: "DELETE",
      path: ENTRIES,
      operationId: "clearTenantEntries",
      summary: "Remove all key/value entries of the tenant's plugins",
      tag: "tenants",
      access: "tenant-write",
      responses: { 204: { description: "Gone" } },
      handle: async (call) => {
        const tenant = tenantOf(call, services);
        const result = await services.link.entries(tenant, { kind: "clear" });
        if (!result.ok) throw controlError("PENSTOCK_CONTROL_UNAVAILABLE", { detail: result.detail });
        const { who } = call.identity;
        services.store.audit({ who, what: "clear entries", subject: tenant, revision: 0, outcome: "done", reason: "" });
        return { status: 204 };
      },
    }),
  ];
}

function tenantOf({ params }: Call, { changes }: Services): string {
  const tenant = params["tenant"] ?? "";
  if (changes.current().content.declaration.tenants?.some(({ name }) => name === tenant) === true) return tenant;
  throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no tenant "${tenant}"` });
}

function shown(bytes: Uint8Array): v.InferOutput<typeof BytesSchema> {
  const text = Buffer.from(bytes).toString("utf8");
  const isText = /^[\x20-\x7e\u00a0-\uffff]*$/.test(text) && !text.includes("\ufffd");
  return isText ? { text } : { base64: Buffer.from(bytes).toString("base64") };
}
