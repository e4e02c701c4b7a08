/** A tenant's secrets have their values, and what refers to them (`${secret:NAME}` in the configuration of its filters) means one. */
import { secretsIn } from "#snapshot/secrets.ts";
import type { Draft } from "./draft.ts";
import type { Report } from "./references.ts";
import { suggestion } from "./suggest.ts";

/** Built-in filters whose configuration may refer to secrets: the others have none. */
const TAKING: ReadonlySet<string> = new Set(["headers", "jwt"]);

/** `isKept`: whether the value with this fingerprint was given for this secret. */
export type IsKept = (secret: {
  readonly tenant: string;
  readonly name: string;
  readonly fingerprint: string;
}) => boolean;

export function checkSecrets(draft: Draft, isKept: IsKept | undefined, report: Report): void {
  const known = Map.groupBy(draft.secrets, (one) => one.value.tenant);
  for (const { pointer, value } of draft.secrets) {
    const { tenant, name: secret, fingerprint } = value;
    if (!draft.names.tenants.has(tenant)) {
      report(`${pointer}/tenant`, "PENSTOCK_CONFIG_REFERENCE", `there is no tenant "${tenant}"`);
    }
    if (isKept === undefined || value.value !== undefined) continue;
    if (fingerprint === undefined) {
      const detail = `secret "${secret}" needs \`value\`: none was given for it before`;
      report(pointer, "PENSTOCK_CONFIG_REQUIRED", detail);
    } else if (!isKept({ tenant, name: secret, fingerprint })) {
      const detail = `no value with this fingerprint was given for secret "${secret}"; give it as \`value\``;
      report(`${pointer}/fingerprint`, "PENSTOCK_CONFIG_VALUE", detail);
    }
  }
  for (const { pointer, value: route } of draft.suspects) {
    const own = new Set(known.get(route.tenant)?.map((one) => one.value.name));
    for (const [index, filter] of route.filters.entries()) {
      const place = `${pointer}/filters/${index}/config`;
      const named = secretsIn("builtin" in filter ? filter.config : [filter.config, filter.vm]);
      if (named.size === 0) continue;
      if ("builtin" in filter && !TAKING.has(filter.builtin)) {
        const detail = `the configuration of ${filter.builtin} takes no secrets; headers, jwt and plugins do`;
        report(place, "PENSTOCK_CONFIG_UNSUPPORTED", detail);
        continue;
      }
      for (const secret of named) {
        if (own.has(secret)) continue;
        const meant = suggestion(secret, own);
        const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
        const detail = `there is no secret "${secret}" of tenant "${route.tenant}"${hint}`;
        report(place, "PENSTOCK_CONFIG_REFERENCE", detail);
      }
    }
  }
}
