/** Versions of a tenant's plugins as the API shows them: what is declared, with what is known of the module. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { name as nameSchema, sha256, version as versionSchema } from "#control/config/primitives.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { capabilityDiff } from "#control/plugins/capabilities.ts";
import { signerOf } from "#control/plugins/signature.ts";
import type { StoredModule } from "#control/store/store.ts";
import type { Call } from "./route.ts";
import type { Services } from "./services.ts";

const FactsSchema = v.object({
  abi: v.string(),
  hooks: v.array(v.string()),
  imports: v.array(v.string()),
  capabilities: v.optional(v.array(v.string())),
  memoryBytesMin: v.number(),
  builder: v.string(),
});
export const ModuleSchema = v.object({ digest: sha256, bytes: v.number(), facts: FactsSchema });
export const VersionSchema = v.object({
  tenant: nameSchema,
  name: nameSchema,
  version: versionSchema,
  digest: sha256,
  bytes: v.number(),
  facts: FactsSchema,
  /** What it asks for otherwise than the version declared before it. */
  asks: v.optional(v.object({ than: versionSchema, more: v.array(v.string()), less: v.array(v.string()) })),
  /** The key that has signed it. */
  signedBy: v.optional(v.string()),
  /** Places of faults are told in lines of the source. */
  sourceMap: v.boolean(),
});

export type Version = v.InferOutput<typeof VersionSchema>;

/** Of the call's tenant, in the order in which they were declared. */
export function versions(call: Call, services: Services): Version[] {
  const { declaration } = services.changes.current().content;
  const tenant = tenantOf(call, declaration);
  const keys = declaration.tenants?.find((one) => one.name === tenant)?.publicKeys ?? [];
  const own: Version[] = [];
  for (const { name, version, digest, signature, ...plugin } of declaration.plugins ?? []) {
    const module = plugin.tenant === tenant && digest !== undefined ? services.store.module(digest) : undefined;
    if (module === undefined) continue;
    const before = own.findLast((one) => one.name === name);
    const asks = before === undefined ? undefined : capabilityDiff(module.facts, before);
    const signed = { tenant, name, version, digest: module.digest };
    const signedBy = signature === undefined ? undefined : signerOf(signed, signature, keys);
    own.push({
      ...signed,
      ...moduleBody(module),
      ...(asks === undefined ? {} : { asks }),
      ...(signedBy === undefined ? {} : { signedBy }),
      sourceMap: services.store.hasSourceMap(module.digest),
    });
  }
  return own;
}

export function moduleBody({ digest, bytes, facts }: StoredModule): v.InferOutput<typeof ModuleSchema> {
  return { digest, bytes, facts: plain(facts) };
}

export function tenantOf({ params }: Call, declaration: Declaration): string {
  const tenant = params["tenant"] ?? "";
  if (declaration.tenants?.some((one) => one.name === tenant) !== true) {
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no tenant "${tenant}"` });
  }
  return tenant;
}

export function isNamed(one: Version, { params }: Call): boolean {
  return one.name === params["name"] && one.version === params["version"];
}

export function missing({ params }: Call): Error {
  const at = params["version"] === undefined ? "" : `@${params["version"]}`;
  return controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no plugin "${params["name"] ?? ""}${at}"` });
}

function plain({ capabilities, ...facts }: StoredModule["facts"]): v.InferOutput<typeof FactsSchema> {
  const asked = capabilities === undefined ? {} : { capabilities: [...capabilities] };
  return { ...facts, hooks: [...facts.hooks], imports: [...facts.imports], ...asked };
}
