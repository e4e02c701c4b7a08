/**
 * Everything that is wrong with a declaration, at once. Pure: what it needs to know of the store comes as a context.
 *
 *     unknown ──schema──▶ types, ranges, fields ──draft──▶ names, references, hosts, grants, quotas ──▶ Resolved
 */
import * as v from "valibot";
import type { Finding } from "#core/errors.ts";
import { CONFIG_ERRORS, configError } from "#core/errors/config.ts";
import { checkAddresses } from "./addresses.ts";
import { checkConnects } from "./connect.ts";
import { DeclarationSchema, type Resolved } from "./declaration.ts";
import { draftOf } from "./draft.ts";
import { unexpectedFields, withoutMisspelt } from "./fields.ts";
import { checkBindings } from "./kernel-bindings.ts";
import { checkInterceptors, checkInterfaces } from "./kernel-interfaces.ts";
import { checkLimits, checkMaps } from "./kernel-maps.ts";
import { checkServices } from "./kernel-services.ts";
import { checkModules } from "./modules.ts";
import { checkHosts, checkTenants, type OwnershipContext } from "./ownership.ts";
import { pointerTo } from "./pointer.ts";
import { untag } from "./primitives.ts";
import { checkUpstreams } from "./upstream-checks.ts";
import { Verified } from "./verified.ts";
import { checkDuplicates, checkReferences, type Report } from "./references.ts";
import { checkSecrets, type IsKept } from "./secrets.ts";
import { checkSettings } from "./settings.ts";
import { checkStreams } from "./streams.ts";
import { checkTls, type TlsContext } from "./tls.ts";

export interface CheckContext extends OwnershipContext {
  /** False: nobody asks where the modules are (dry runs before an upload). */
  readonly modulesRequired: boolean;
  /** What is known of keys and times; left out: nobody asks. */
  readonly tls?: TlsContext;
  /** Which values of secrets are kept; left out: nobody asks. */
  readonly isKept?: IsKept;
  /** What an earlier check has found good. */
  readonly verified?: Verified;
}

export type Checked =
  | { readonly ok: true; readonly resolved: Resolved; readonly verified: Verified }
  | { readonly ok: false; readonly findings: readonly Finding[] };

export function checkDeclaration(input: unknown, context: CheckContext): Checked {
  const result = v.safeParse(DeclarationSchema, input);
  const findings: Finding[] = [...unexpectedFields(DeclarationSchema, input), ...findingsOf(result.issues ?? [])];
  const report: Report = (pointer, code, detail) => findings.push({ pointer, code, detail });
  const understood = draftOf(input);
  const suspects = context.verified?.suspects(understood, context.actor) ?? understood.routes;
  const draft = { ...understood, suspects };
  checkDuplicates(draft, report);
  checkAddresses(input, report);
  checkReferences(draft, report);
  checkUpstreams(draft.upstreams, report);
  checkStreams(draft, context.actor, report);
  checkConnects(draft, report);
  checkTls(draft, context.tls, report);
  checkSecrets(draft, context.isKept, report);
  checkMaps(draft, report);
  checkLimits(draft, report);
  checkInterfaces(draft, report);
  checkInterceptors(draft, report);
  checkServices(draft, report);
  checkBindings(draft, report);
  checkSettings(input, report);
  checkHosts(draft, context, report);
  checkTenants(draft, context, report);
  checkModules(draft, (digest) => !context.modulesRequired || context.moduleBytes(digest) !== undefined, report);
  if (findings.length === 0 && result.success)
    return { ok: true, resolved: result.output, verified: new Verified(draft, context.actor) };
  return { ok: false, findings: withoutMisspelt(findings) };
}

/** What a schema has against a value, in the registry's codes. Unknown fields are `unexpectedFields`' business. */
export function schemaFindings(schema: v.GenericSchema, input: unknown): Finding[] {
  return findingsOf(v.safeParse(schema, input).issues ?? []);
}

function findingsOf(issues: readonly v.BaseIssue<unknown>[]): Finding[] {
  const findings: Finding[] = [];
  for (const issue of issues) {
    if (issue.type === "strict_object" && issue.expected === "never") continue;
    // A list where fields should be is reported by `unexpectedFields`.
    if (issue.type === "strict_object" && Array.isArray(issue.path?.at(-1)?.input)) continue;
    const { code, detail } = untag(issue.message);
    const fallback =
      issue.kind === "schema" && issue.type !== "picklist" ? "PENSTOCK_CONFIG_TYPE" : "PENSTOCK_CONFIG_VALUE";
    const pointer = pointerTo((issue.path ?? []).map((step) => step.key as string | number));
    findings.push({ pointer, code: code ?? fallback, detail });
  }
  return findings;
}

/** The error that carries findings: a conflict when that is all there is, else invalid. */
export function refusal(findings: readonly Finding[]): Error {
  const statuses = new Set(
    findings.map(({ code }) => CONFIG_ERRORS[code as keyof typeof CONFIG_ERRORS]?.status ?? 422),
  );
  const only = statuses.size === 1 ? [...statuses][0] : undefined;
  const detail = findings.length === 1 ? (findings[0]?.detail ?? "") : `${findings.length} findings`;
  if (only === 409) return configError("PENSTOCK_CONFIG_CONFLICT", { detail, errors: findings });
  if (only === 400) {
    const read = findings.every(({ code }) => code === "PENSTOCK_CONFIG_READ");
    return configError(read ? "PENSTOCK_CONFIG_READ" : "PENSTOCK_CONFIG_SYNTAX", { detail, errors: findings });
  }
  return configError("PENSTOCK_CONFIG_INVALID", { detail, errors: findings });
}
