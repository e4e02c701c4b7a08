/** The http-handler ABI as a check of a module. Pure, for the builder process. */
import { EXPORT_MEMORY } from "#sdk/types/abi.ts";
import type { InterfaceCheck } from "#wasm/validate/interface-check.ts";
import type { ImportShape } from "#wasm/validate/module.ts";
import { checkExport, checkImport, missing, type Signature } from "#wasm/validate/signatures.ts";
import { KIND_MEMORY } from "#wasm/validate/types.ts";
import { wasiSignature } from "#wasm/wasi/signatures.ts";
import { HANDLER_CALLS, HANDLER_EXPORTS, IMPORT_MODULE } from "./abi.ts";

const calls: ReadonlyMap<string, Signature> = new Map(Object.entries(HANDLER_CALLS));

export const HTTP_WASM_INTERFACE: InterfaceCheck = {
  check(shape) {
    for (const entry of shape.imports) checkImport(entry, importable(entry));
    const exported = new Map(shape.exports.map((entry) => [entry.name, entry]));
    if (exported.get(EXPORT_MEMORY)?.kind !== KIND_MEMORY) throw missing(`no memory is exported as "${EXPORT_MEMORY}"`);
    for (const [name, expected] of Object.entries(HANDLER_EXPORTS)) {
      const entry = exported.get(name);
      if (entry === undefined) throw missing(`${name} is not exported`);
      checkExport(shape, entry, expected);
    }
    const imports = shape.imports.map((entry) => entry.name);
    return { abi: "http-wasm http-handler", imports, hooks: Object.keys(HANDLER_EXPORTS), suspends: false };
  },
};

function importable(entry: ImportShape): Signature | undefined {
  return entry.module === IMPORT_MODULE ? calls.get(entry.name) : wasiSignature(entry.module, entry.name);
}
