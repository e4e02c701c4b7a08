/**
 * Values of secrets on their way in: taken out of the declaration before anything of it is kept, and sealed by the supervisor. From
 * then on a declaration says which value it means by its fingerprint, a keyed digest that tells nobody what it is of.
 */
import { secretContext } from "#snapshot/secrets.ts";
import type { Declaration } from "./config/declaration.ts";
import { isRecord } from "./config/fields.ts";
import { CHARACTERS_MAX } from "./config/secret-resources.ts";
import type { KeptSecret } from "./store/secrets.ts";

export interface SealedValue {
  readonly sealed: string;
  /** Keyed: the same for the same value in the same context, and of no use to who has not the key. */
  readonly fingerprint: string;
}

export type Seal = (secret: Uint8Array, context: string) => Promise<SealedValue>;

export interface WithoutValues {
  readonly declaration: Declaration;
  /** Not kept yet: the declaration may still be refused. */
  readonly given: readonly KeptSecret[];
}

/** A secret without a value means the one of `current`. What has another form is left to the check. */
export async function withoutValues(
  declaration: Declaration,
  current: Declaration,
  seal: Seal,
): Promise<WithoutValues> {
  const secrets: unknown = isRecord(declaration) ? declaration["secrets"] : undefined;
  if (!Array.isArray(secrets)) return { declaration, given: [] };
  const known = new Map((current.secrets ?? []).map((one) => [secretContext(one), one.fingerprint]));
  const given: KeptSecret[] = [];
  const without = secrets.map(async (one: unknown) => {
    if (!isRecord(one) || typeof one["tenant"] !== "string" || typeof one["name"] !== "string") return one;
    const { tenant, name, value } = one;
    const context = secretContext({ tenant, name });
    if (value === undefined && one["fingerprint"] === undefined) {
      const fingerprint = known.get(context);
      return fingerprint === undefined ? one : { ...one, fingerprint };
    }
    if (typeof value !== "string" || value === "" || value.length > CHARACTERS_MAX) return one;
    const { value: _, ...rest } = one;
    const { sealed, fingerprint } = await seal(Buffer.from(value), context);
    given.push({ tenant, name, fingerprint, sealed });
    return { ...rest, fingerprint };
  });
  const kept = (await Promise.all(without)) as NonNullable<Declaration["secrets"]>;
  return { declaration: { ...declaration, secrets: kept }, given };
}
