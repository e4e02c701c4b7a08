/** All that is one tenant's, at once: the tenant's own counterpart of `/v1/config`. */
import { PenstockError, type Finding } from "#core/errors.ts";
import { controlError } from "#core/errors/control.ts";
import { refusal } from "#control/config/check.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { indexOf } from "#control/config/kinds.ts";
import {
  moduleFindings,
  TenantDeclarationSchema,
  tenantFindings,
  tenantPart,
  withTenantPart,
  type TenantDeclaration,
} from "#control/config/tenant-declaration.ts";
import { readDeclaration } from "./body.ts";
import { CHANGE_QUERY, ChangeSchema, changeAnswer, optionsOf } from "./edit.ts";
import { actorOf } from "./identity.ts";
import { messageOf } from "./message.ts";
import { checkMatch, etagOf, requireMatch } from "./preconditions.ts";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const PATH = "/v1/tenants/{tenant}/config";

export function tenantConfigRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: PATH,
      operationId: "getTenantConfig",
      summary: "Read all that is the tenant's: upstreams, plugins, routes",
      tag: "tenants",
      access: "tenant-read",
      responses: { 200: { description: "As declared", schema: TenantDeclarationSchema } },
      handle: ({ params: { tenant = "" } }) => {
        const { declaration } = services.changes.current().content;
        requireTenant(declaration, tenant);
        const part = tenantPart(declaration, tenant);
        return { body: part, etag: etagOf(part) };
      },
    }),
    route({
      method: "PUT",
      path: PATH,
      operationId: "putTenantConfig",
      summary: "Replace all that is the tenant's, as one revision; other tenants' things and the gateway's stay",
      tag: "tenants",
      access: "tenant-write",
      query: CHANGE_QUERY,
      body: { types: ["application/json", "application/yaml"], schema: TenantDeclarationSchema },
      responses: {
        200: { description: "Every worker runs it; with dryRun, what would change", schema: ChangeSchema },
        202: { description: "Not waited for", schema: ChangeSchema },
      },
      handle: (call) => putTenantConfig(call, services),
    }),
  ];
}

async function putTenantConfig(call: Call, services: Services): Promise<Answer> {
  const { tenant = "" } = call.params;
  requireTenant(services.changes.current().content.declaration, tenant);
  const { data, locate } = await readDeclaration(call.request);
  const actor = actorOf(call.identity, tenant);
  const options = optionsOf(call);
  let placeOf = (finding: Finding) => finding;
  try {
    const findings = tenantFindings(data, tenant);
    if (findings.length > 0) throw refusal(findings);
    const part = data as TenantDeclaration;
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: messageOf(call, `put config of tenant ${tenant}`),
      actor,
      ...options,
      edit: (before) => {
        requireTenant(before, tenant);
        const etag = etagOf(tenantPart(before, tenant));
        if (options.dryRun) checkMatch(call.request, etag);
        else requireMatch(call.request, etag);
        const modules = actor === undefined ? [] : moduleFindings(before, tenant, part);
        if (modules.length > 0) throw refusal(modules);
        const merged = withTenantPart(before, tenant, part);
        placeOf = merged.placeOf;
        return { declaration: merged.declaration };
      },
    });
    return changeAnswer(result, etagOf(tenantPart(result.declaration, tenant)));
  } catch (error) {
    if (!(error instanceof PenstockError) || error.errors.length === 0) throw error;
    if (!error.code.startsWith("PENSTOCK_CONFIG_")) throw error;
    throw refusal(error.errors.map((finding) => locate(placeOf(finding))));
  }
}

function requireTenant(declaration: Declaration, tenant: string): void {
  if (indexOf(declaration, "tenants", tenant) >= 0) return;
  throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no tenant "${tenant}"` });
}
