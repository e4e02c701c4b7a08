/** The `penstock` core interface as a check: `sdk/types/abi.ts` is its table. */
import {
  ABI_FUNCTIONS,
  ABI_HOOKS,
  ABI_MARKER_PREFIX,
  ABI_VERSION,
  type AbiFunction,
  EXPORT_MEMORY,
  IMPORT_MODULE,
} from "#sdk/types/abi.ts";
import type { InterfaceCheck } from "./interface-check.ts";
import type { ImportShape, ModuleShape } from "./module.ts";
import { refused } from "./reader.ts";
import { checkExport, checkImport, missing } from "./signatures.ts";
import { KIND_MEMORY } from "./types.ts";

const hookRows: ReadonlyMap<string, AbiFunction> = new Map(Object.entries(ABI_HOOKS));
const functions: ReadonlyMap<string, AbiFunction> = new Map(Object.entries(ABI_FUNCTIONS));

export const CORE_INTERFACE: InterfaceCheck = {
  check(shape) {
    const version = versionOf(shape);
    for (const entry of shape.imports) checkImport(entry, importable(entry, version));
    const exported = new Map(shape.exports.map((entry) => [entry.name, entry]));
    if (exported.get(EXPORT_MEMORY)?.kind !== KIND_MEMORY) throw missing(`no memory is exported as "${EXPORT_MEMORY}"`);
    const hooks: string[] = [];
    for (const [name, expected] of hookRows) {
      const entry = exported.get(name);
      if (entry === undefined || (expected.since ?? 1) > version) continue;
      checkExport(shape, entry, expected);
      hooks.push(name);
    }
    if (hooks.every((name) => name === "on_configure")) {
      throw missing(`no hook is exported: none of ${[...hookRows.keys()].slice(1).join(", ")}`);
    }
    const imports = shape.imports.map((entry) => entry.name);
    const suspends = imports.some((name) => functions.get(name)?.suspends === true);
    return { abi: `penstock ${version}`, imports, hooks, suspends };
  },
};

function importable(entry: ImportShape, version: number): AbiFunction | undefined {
  const row = entry.module === IMPORT_MODULE ? functions.get(entry.name) : undefined;
  if (row === undefined || (row.since ?? 1) <= version) return row;
  throw refused(
    entry.offset,
    `import ${entry.module}.${entry.name} of version ${row.since}, in a module of version ${version}`,
  );
}

/** What the module was made for. */
function versionOf(shape: ModuleShape): number {
  const markers = shape.exports.filter((entry) => entry.name.startsWith(ABI_MARKER_PREFIX));
  const [marker] = markers;
  if (marker === undefined) throw missing(`${ABI_MARKER_PREFIX}${ABI_VERSION} is not exported`);
  const version = Number(marker.name.slice(ABI_MARKER_PREFIX.length));
  if (markers.length === 1 && Number.isInteger(version) && version >= 1 && version <= ABI_VERSION) return version;
  const names = markers.map((entry) => entry.name).join(" and ");
  throw missing(`${names} exported; this gateway knows versions 1 to ${ABI_VERSION}`);
}
