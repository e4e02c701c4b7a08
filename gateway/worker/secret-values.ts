/** What the secrets of a snapshot stand for, put into the filters that refer to them. Values are in filters only, and in no log. */
import { assert, defined } from "#core/assert.ts";
import { filterError } from "#core/errors/filters.ts";
import { secretContext, withSecrets } from "#snapshot/secrets.ts";
import type { FilterSpec, SecretSpec } from "#snapshot/snapshot.ts";

/** C0 and DEL: nothing that ends a field's line. RFC 9110, 5.5. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

export class SecretValues {
  readonly #values: ReadonlyMap<string, string>;

  /** `values`: of `specs`, in their order, in UTF-8. */
  constructor(specs: readonly SecretSpec[], values: readonly Uint8Array[]) {
    assert(specs.length === values.length, "a value for each secret");
    this.#values = new Map(
      specs.map((spec, index) => [secretContext(spec), Buffer.from(defined(values[index], "value")).toString()]),
    );
  }

  /** The very same without references. Throws PENSTOCK_FILTER_SECRET for a value that can't stand where it is referred to. */
  filled<Spec extends FilterSpec>(tenant: string, spec: Spec): Spec {
    if (this.#values.size === 0) return spec;
    return withSecrets(spec, (name) => {
      const value = defined(this.#values.get(secretContext({ tenant, name })), `secret "${name}" of a checked filter`);
      if (spec.kind === "builtin" && CONTROL.test(value)) {
        throw filterError("PENSTOCK_FILTER_SECRET", { detail: `secret ${tenant}/${name} has control characters` });
      }
      return value;
    });
  }
}
