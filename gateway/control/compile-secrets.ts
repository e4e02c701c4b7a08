/** Secrets as they were declared to what workers are given: those that filters refer to. Pure; the declaration was checked. */
import { defined } from "#core/assert.ts";
import { secretContext, secretsIn } from "#snapshot/secrets.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { Resolved, RouteResource } from "./config/declaration.ts";
import type { KeptSecret } from "./store/secrets.ts";

export type SealedSecrets = (secret: Omit<KeptSecret, "sealed">) => string;

/** The others stay in the store. */
export function compileSecrets(
  { secrets, routes }: Pick<Resolved, "secrets" | "routes">,
  sealed: SealedSecrets | undefined,
): Pick<Snapshot, "secrets"> {
  if (secrets.length === 0) return {};
  const named = new Set(routes.flatMap(referred));
  const wanted = secrets.filter((one) => named.has(secretContext(one)));
  if (wanted.length === 0) return {};
  const sealedOf = defined(sealed, "values of declared secrets");
  return {
    secrets: wanted.map(({ tenant, name, fingerprint }) => ({
      tenant,
      name,
      sealed: sealedOf({ tenant, name, fingerprint: defined(fingerprint, "fingerprint of a checked secret") }),
    })),
  };
}

/** A route that stays is the same object: of ten thousand those that are new are looked at. */
const REFERRED = new WeakMap<RouteResource, readonly string[]>();

function referred(route: RouteResource): readonly string[] {
  const known = REFERRED.get(route);
  if (known !== undefined) return known;
  const { tenant, filters } = route;
  const found = Array.from(secretsIn(filters), (name) => secretContext({ tenant, name }));
  REFERRED.set(route, found);
  return found;
}
