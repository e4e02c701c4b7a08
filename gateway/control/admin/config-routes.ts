/** The whole declaration at once, its schema, and the gateway's settings. */
import * as v from "valibot";
import { configError } from "#core/errors/config.ts";
import { PenstockError, type Finding } from "#core/errors.ts";
import { refusal } from "#control/config/check.ts";
import { isRecord } from "#control/config/fields.ts";
import { DeclarationSchema, type Declaration } from "#control/config/declaration.ts";
import { declarationJsonSchema } from "#control/config/json-schema.ts";
import { Settings } from "#control/config/resources.ts";
import { readDeclaration, readJson, readMergePatch, RESOURCE_BYTES_MAX } from "./body.ts";
import { CHANGE_QUERY, ChangeSchema, changeAnswer, optionsOf, withinBody } from "./edit.ts";
import { messageOf } from "./message.ts";
import { MERGE_PATCH_BODY, mergePatch } from "./merge-patch.ts";
import { checkMatch, etagOf, requireMatch } from "./preconditions.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const changed = {
  200: { description: "Every worker runs it; with dryRun, what would change", schema: ChangeSchema },
  202: { description: "Not waited for", schema: ChangeSchema },
};

export function configRoutes(services: Services): RouteSpec[] {
  const current = () => services.changes.current().content.declaration;
  return [
    route({
      method: "GET",
      path: "/v1/config",
      operationId: "getConfig",
      summary: "Read the whole declaration",
      tag: "config",
      access: "read",
      responses: { 200: { description: "As declared", schema: DeclarationSchema } },
      handle: () => ({ body: current(), etag: etagOf(current()) }),
    }),
    route({
      method: "PUT",
      path: "/v1/config",
      operationId: "putConfig",
      summary: "Replace the whole declaration as one revision",
      tag: "config",
      access: "operator",
      query: CHANGE_QUERY,
      body: { types: ["application/json", "application/yaml"], schema: DeclarationSchema },
      responses: changed,
      handle: (call) => putConfig(call, services),
    }),
    route({
      method: "GET",
      path: "/v1/settings",
      operationId: "getSettings",
      summary: "Read the settings",
      tag: "config",
      access: "read",
      responses: { 200: { description: "As declared", schema: Settings } },
      handle: () => ({ body: current().settings ?? {}, etag: etagOf(current().settings ?? {}) }),
    }),
    route({
      method: "PUT",
      path: "/v1/settings",
      operationId: "putSettings",
      summary: "Replace the settings",
      tag: "config",
      access: "operator",
      query: CHANGE_QUERY,
      body: { types: ["application/json"], schema: Settings },
      responses: changed,
      handle: async (call) => {
        const submitted = await readJson(call.request, RESOURCE_BYTES_MAX);
        return changeSettings(call, services, "put settings", () => submitted);
      },
    }),
    route({
      method: "PATCH",
      path: "/v1/settings",
      operationId: "patchSettings",
      summary: "Change parts of the settings",
      tag: "config",
      access: "operator",
      query: CHANGE_QUERY,
      body: MERGE_PATCH_BODY,
      responses: changed,
      handle: async (call) => {
        const patch = await readMergePatch(call.request, RESOURCE_BYTES_MAX);
        return changeSettings(call, services, "patch settings", (before) => mergePatch(before, patch));
      },
    }),
    route({
      method: "GET",
      path: "/v1/schema",
      operationId: "getSchema",
      summary: "JSON Schema of a declaration, for editors",
      tag: "config",
      access: "public",
      responses: {
        200: { description: "JSON Schema 2020-12", type: "application/schema+json", schema: v.looseObject({}) },
      },
      handle: () => ({
        body: JSON.stringify(declarationJsonSchema()),
        headers: { "content-type": "application/schema+json" },
      }),
    }),
  ];
}

async function putConfig(call: Call, services: Services): Promise<Answer> {
  const { data, locate } = await readDeclaration(call.request);
  const options = optionsOf(call);
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: messageOf(call, "put config"),
      actor: undefined,
      ...options,
      edit: (before) => {
        // There is always a declaration, at first an empty one: it has an ETag too.
        if (options.dryRun) checkMatch(call.request, etagOf(before));
        else requireMatch(call.request, etagOf(before));
        return { declaration: data as Declaration };
      },
    });
    return changeAnswer(result, etagOf(result.declaration));
  } catch (error) {
    if (!(error instanceof PenstockError)) throw error;
    throw located(error, locate);
  }
}

function located(error: PenstockError, locate: (finding: Finding) => Finding): Error {
  return error.errors.length === 0 || !error.code.startsWith("PENSTOCK_CONFIG_")
    ? error
    : refusal(error.errors.map(locate));
}

async function changeSettings(
  call: Call,
  services: Services,
  what: string,
  settingsFrom: (before: object) => unknown,
): Promise<Answer> {
  const options = optionsOf(call);
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: messageOf(call, what),
      actor: undefined,
      ...options,
      edit: (before) => {
        if (!options.dryRun) requireMatch(call.request, etagOf(before.settings ?? {}));
        const settings = settingsFrom(before.settings ?? {});
        if (!isRecord(settings)) throw configError("PENSTOCK_CONFIG_TYPE", { detail: "expected settings with fields" });
        return { declaration: { ...before, settings } };
      },
    });
    return changeAnswer(result, etagOf(result.declaration.settings ?? {}));
  } catch (error) {
    throw withinBody(error, "/settings");
  }
}
