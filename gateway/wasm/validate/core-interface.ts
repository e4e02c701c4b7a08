/** The `penstock` core interface as a check: `sdk/types/abi.ts` is its table. */
import {
  ABI_FUNCTIONS,
  ABI_HOOKS,
  ABI_MARKER,
  ABI_VERSION,
  type AbiFunction,
  EXPORT_MEMORY,
  IMPORT_MODULE,
} from "#sdk/types/abi.ts";
import type { InterfaceCheck } from "./interface-check.ts";
import type { ImportShape, ModuleShape } from "./module.ts";
import { checkExport, checkImport, missing } from "./signatures.ts";
import { KIND_MEMORY } from "./types.ts";

const functions: ReadonlyMap<string, AbiFunction> = new Map(Object.entries(ABI_FUNCTIONS));

export const CORE_INTERFACE: InterfaceCheck = {
  check(shape) {
    for (const entry of shape.imports) checkImport(entry, importable(entry));
    const exported = new Map(shape.exports.map((entry) => [entry.name, entry]));
    if (exported.get(EXPORT_MEMORY)?.kind !== KIND_MEMORY) throw missing(`no memory is exported as "${EXPORT_MEMORY}"`);
    checkMarker(shape);
    const hooks: string[] = [];
    for (const [name, expected] of Object.entries(ABI_HOOKS)) {
      const entry = exported.get(name);
      if (entry === undefined) continue;
      checkExport(shape, entry, expected);
      hooks.push(name);
    }
    if (hooks.every((name) => name === "on_configure")) {
      throw missing("none of on_request, on_response and on_end is exported");
    }
    const imports = shape.imports.map((entry) => entry.name);
    const suspends = imports.some((name) => functions.get(name)?.suspends === true);
    return { abi: `penstock ${ABI_VERSION}`, imports, hooks, suspends };
  },
};

function importable(entry: ImportShape): AbiFunction | undefined {
  return entry.module === IMPORT_MODULE ? functions.get(entry.name) : undefined;
}

function checkMarker(shape: ModuleShape): void {
  if (shape.exports.some((entry) => entry.name === ABI_MARKER)) return;
  const other = shape.exports.find((entry) => entry.name.startsWith("penstock_abi_"));
  throw missing(other === undefined ? `${ABI_MARKER} is not exported` : `${other.name} is exported, not ${ABI_MARKER}`);
}
