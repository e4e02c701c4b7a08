/**
 * A tenant's plugins. A version is immutable: its bytes are uploaded once, and stay what they are. Uploading declares the
 * version; routes then name it. `/v1/modules` keeps bytes without declaring anything, for declarations that name digests.
 */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { indexOf, listOf, withList, type Item } from "#control/config/kinds.ts";
import { name as nameSchema, version as versionSchema } from "#control/config/primitives.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { refusal } from "#control/config/check.ts";
import { sha256Hex } from "#control/canonical.ts";
import { MODULE_BYTES_CEILING, MODULE_BYTES_MAX } from "#control/uploads.ts";
import { SourceMap, SOURCE_MAP_BYTES_MAX } from "#control/plugins/source-map.ts";
import { readModule, readText } from "./body.ts";
import { CHANGE_QUERY, ChangeSchema, changeAnswer, optionsOf, revisionHeader, stillInUse } from "./edit.ts";
import { actorOf } from "./identity.ts";
import { pageOf, PAGE_QUERY } from "./pages.ts";
import { checkMatch, etagOf, requireMatch } from "./preconditions.ts";
import { flag, parsed, route, type Answer, type Call, type RouteSpec } from "./route.ts";
import { isNamed, missing, moduleBody, ModuleSchema, tenantOf, versions, VersionSchema } from "./plugin-versions.ts";
import type { Services } from "./services.ts";

/** Ed25519, over what `#control/plugins/signature.ts` says, in base64. */
const SIGNATURE_HEADER = "x-penstock-signature";
const WASM_BODY = { types: ["application/wasm"] };
const PLUGINS = "/v1/tenants/{tenant}/plugins";
const VERSION = `${PLUGINS}/{name}/versions/{version}`;

export function pluginRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: PLUGINS,
      operationId: "listPlugins",
      summary: "List the tenant's plugins, each version by itself",
      tag: "plugins",
      access: "tenant-read",
      query: PAGE_QUERY,
      responses: {
        200: {
          description: "A page",
          schema: v.object({ items: v.array(VersionSchema), next: v.optional(v.string()) }),
        },
      },
      handle: (call) => pageOf(versions(call, services), ({ name, version }) => `${name}@${version}`, call),
    }),
    route({
      method: "GET",
      path: `${PLUGINS}/{name}`,
      operationId: "getPlugin",
      summary: "List the versions of one plugin",
      tag: "plugins",
      access: "tenant-read",
      query: PAGE_QUERY,
      responses: {
        200: {
          description: "A page",
          schema: v.object({ items: v.array(VersionSchema), next: v.optional(v.string()) }),
        },
      },
      handle: (call) => {
        const own = versions(call, services).filter(({ name }) => name === call.params["name"]);
        if (own.length === 0) throw missing(call);
        return pageOf(own, ({ version }) => version, call);
      },
    }),
    ...versionRoutes(services),
    sourceMapRoute(services),
    route({
      method: "PUT",
      path: "/v1/modules/{digest}",
      operationId: "putModule",
      summary: "Keep a module under its SHA-256, for a declaration that names it; with dryRun, only validate it",
      tag: "plugins",
      access: "operator",
      query: { dryRun: flag },
      body: WASM_BODY,
      responses: { 200: { description: "Valid, and kept", schema: ModuleSchema } },
      handle: (call) => putModule(call, services),
    }),
    route({
      method: "GET",
      path: "/v1/modules/{digest}",
      operationId: "getModule",
      summary: "What is known of a kept module",
      tag: "plugins",
      access: "read",
      responses: { 200: { description: "Its facts", schema: ModuleSchema } },
      handle: ({ params }) => {
        const module = services.store.module(params["digest"] ?? "");
        if (module === undefined)
          throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: "no such module was uploaded" });
        return { body: moduleBody(module), etag: etagOf(module.digest) };
      },
    }),
  ];
}

function versionRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: VERSION,
      operationId: "getPluginVersion",
      summary: "Inspect one version: digest, size, hooks, imports, memory",
      tag: "plugins",
      access: "tenant-read",
      responses: { 200: { description: "The version", schema: VersionSchema } },
      handle: (call) => {
        const version = versions(call, services).find((one) => isNamed(one, call));
        if (version === undefined) throw missing(call);
        return { body: version, etag: etagOf(version.digest) };
      },
    }),
    route({
      method: "PUT",
      path: VERSION,
      operationId: "putPluginVersion",
      summary: "Upload a version: the raw module as the body",
      tag: "plugins",
      access: "tenant-write",
      query: CHANGE_QUERY,
      body: WASM_BODY,
      responses: {
        200: {
          description: "The same bytes were there; with dryRun, what would change",
          schema: v.union([VersionSchema, ChangeSchema]),
        },
        201: { description: "Valid, kept, and ready for routes", schema: VersionSchema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => putVersion(call, services),
    }),
    route({
      method: "DELETE",
      path: VERSION,
      operationId: "deletePluginVersion",
      summary: "Delete a version that no route uses",
      tag: "plugins",
      access: "tenant-write",
      query: CHANGE_QUERY,
      responses: {
        200: { description: "Gone", schema: ChangeSchema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => deleteVersion(call, services),
    }),
  ];
}

async function putVersion(call: Call, services: Services): Promise<Answer> {
  const { declaration } = services.changes.current().content;
  const tenant = tenantOf(call, declaration);
  const { name, version } = parsed(v.object({ name: nameSchema, version: versionSchema }), {
    name: call.params["name"],
    version: call.params["version"],
  });
  const options = optionsOf(call);
  const bytes = await readModule(call.request, moduleBytesMax(declaration, tenant));
  checkQuota(bytes, tenant, services);
  const module = await services.uploads.accept(bytes, !options.dryRun, call.identity.who);
  const signature = call.request.headers.get(SIGNATURE_HEADER);
  const signed = signature === null ? {} : { signature };
  const key = `${tenant}/${name}@${version}`;
  let created = true;
  const result = await services.changes.change({
    author: call.identity.name,
    who: call.identity.who,
    message: `upload plugin ${key}`,
    actor: actorOf(call.identity, tenant),
    ...options,
    edit: (before) => {
      const index = indexOf(before, "plugins", key);
      const existing: Item | undefined = listOf(before, "plugins")[index];
      checkMatch(call.request, existing === undefined ? undefined : etagOf(existing["digest"]));
      const plugin = { name, tenant, version, digest: module.digest, ...signed };
      if (existing?.["digest"] === module.digest) {
        created = false;
        if (signature === null) return { declaration: before };
        return { declaration: withList(before, "plugins", listOf(before, "plugins").with(index, plugin)) };
      }
      if (existing !== undefined) {
        const detail = `${name}@${version} is ${String(existing["digest"]).slice(0, 12)}…, and a version never changes; upload it as another version`;
        throw controlError("PENSTOCK_CONTROL_EXISTS", { detail });
      }
      return { declaration: withList(before, "plugins", [...listOf(before, "plugins"), plugin]) };
    },
  });
  if (options.dryRun || result.state === "pending") return changeAnswer(result);
  const body = versions(call, services).find((one) => isNamed(one, call));
  return { status: created ? 201 : 200, body, etag: etagOf(module.digest), headers: revisionHeader(result) };
}

/** Four MiB, unless the tenant's quota is greater; never more than the ceiling. */
function moduleBytesMax(declaration: Declaration, tenant: string): number {
  const quota = declaration.tenants?.find((one) => one.name === tenant)?.quotas?.pluginBytes;
  return quota === undefined ? MODULE_BYTES_MAX : Math.min(quota, MODULE_BYTES_CEILING);
}

/** Before the builder spends time on it; the check of the whole declaration asks again. */
function checkQuota(bytes: Uint8Array, tenant: string, services: Services): void {
  const { declaration } = services.changes.current().content;
  const quota = declaration.tenants?.find((one) => one.name === tenant)?.quotas?.pluginBytes;
  if (quota === undefined) return;
  const digests = new Set<string>();
  for (const plugin of declaration.plugins ?? []) {
    if (plugin.tenant === tenant && plugin.digest !== undefined) digests.add(plugin.digest);
  }
  if (digests.has(sha256Hex(bytes))) return;
  let used = bytes.length;
  for (const digest of digests) used += services.store.module(digest)?.bytes ?? 0;
  if (used <= quota) return;
  const detail = `with it, tenant "${tenant}" would have ${used} bytes of plugins, and a quota of ${quota}`;
  throw refusal([{ pointer: "", code: "PENSTOCK_CONFIG_QUOTA", detail }]);
}

function sourceMapRoute(services: Services): RouteSpec {
  return route({
    method: "PUT",
    path: `${VERSION}/source-map`,
    operationId: "putPluginSourceMap",
    summary: "Keep the source map of a version's module: its faults are then told in lines of the source",
    tag: "plugins",
    access: "tenant-write",
    body: { types: ["application/json"] },
    responses: { 204: { description: "Kept" } },
    handle: async (call) => {
      const version = versions(call, services).find((one) => isNamed(one, call));
      if (version === undefined) throw missing(call);
      const text = await readText(call.request, "application/json", SOURCE_MAP_BYTES_MAX);
      try {
        new SourceMap(text);
      } catch (error) {
        const detail = `the source map: ${error instanceof Error ? error.message : String(error)}`;
        throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail, cause: error });
      }
      services.store.addSourceMap(version.digest, text, call.identity.who);
      return { status: 204 };
    },
  });
}

async function deleteVersion(call: Call, services: Services): Promise<Answer> {
  const tenant = call.params["tenant"] ?? "";
  const key = `${tenant}/${call.params["name"] ?? ""}@${call.params["version"] ?? ""}`;
  const options = optionsOf(call);
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: `delete plugin ${key}`,
      actor: actorOf(call.identity, tenant),
      ...options,
      edit: (before) => {
        const index = indexOf(before, "plugins", key);
        const existing = listOf(before, "plugins")[index];
        if (existing === undefined) throw missing(call);
        if (!options.dryRun) requireMatch(call.request, etagOf(existing["digest"]));
        return { declaration: withList(before, "plugins", listOf(before, "plugins").toSpliced(index, 1)) };
      },
    });
    return changeAnswer(result);
  } catch (error) {
    throw stillInUse(error);
  }
}

async function putModule(call: Call, services: Services): Promise<Answer> {
  const bytes = await readModule(call.request, MODULE_BYTES_CEILING);
  const digest = sha256Hex(bytes);
  if (call.params["digest"] !== digest) {
    throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: `the body's SHA-256 is ${digest}` });
  }
  const module = await services.uploads.accept(bytes, call.query.get("dryRun") !== "true", call.identity.who);
  return { body: moduleBody(module), etag: etagOf(module.digest) };
}
