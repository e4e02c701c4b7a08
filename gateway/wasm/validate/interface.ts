/** Holds a module's imports and exports against the `penstock` interface. */
import { wasmError } from "#core/errors/wasm.ts";
import {
  ABI_FUNCTIONS,
  ABI_HOOKS,
  ABI_MARKER,
  type AbiFunction,
  EXPORT_MEMORY,
  type HookName,
  IMPORT_MODULE,
  type ValueType,
} from "#sdk/types/abi.ts";
import type { ExportShape, ImportShape, ModuleShape } from "./module.ts";
import { refused } from "./reader.ts";
import { F32, F64, type FunctionType, I32, I64, KIND_FUNCTION, KIND_MEMORY } from "./types.ts";

const functions: ReadonlyMap<string, AbiFunction> = new Map(Object.entries(ABI_FUNCTIONS));
const hooks: ReadonlyMap<string, AbiFunction> = new Map(Object.entries(ABI_HOOKS));

const typeNames: ReadonlyMap<number, string> = new Map([
  [I32, "i32"],
  [I64, "i64"],
  [F32, "f32"],
  [F64, "f64"],
]);

export interface ModuleInterface {
  /** Names of the host calls that it imports. */
  readonly imports: readonly string[];
  readonly hooks: readonly HookName[];
  /** It can be suspended: it imports a call that does so. */
  readonly suspends: boolean;
}

export function checkInterface(shape: ModuleShape): ModuleInterface {
  for (const entry of shape.imports) checkImport(entry);
  const exported = new Map(shape.exports.map((entry) => [entry.name, entry]));
  if (exported.get(EXPORT_MEMORY)?.kind !== KIND_MEMORY) throw missing(`no memory is exported as "${EXPORT_MEMORY}"`);
  checkMarker(shape);
  const found: HookName[] = [];
  for (const [name, expected] of hooks) {
    const entry = exported.get(name);
    if (entry === undefined) continue;
    if (!sameType(functionType(shape, entry), expected)) {
      throw missing(`at byte ${entry.offset}: ${name} is not a function ${describe(expected)}`);
    }
    found.push(name as HookName);
  }
  if (found.every((name) => name === "on_configure")) {
    throw missing("none of on_request, on_response and on_end is exported");
  }
  const imports = shape.imports.map((entry) => entry.name);
  return { imports, hooks: found, suspends: imports.some((name) => functions.get(name)?.suspends === true) };
}

function missing(detail: string): Error {
  return wasmError("PENSTOCK_WASM_INTERFACE", { detail });
}

function checkMarker(shape: ModuleShape): void {
  if (shape.exports.some((entry) => entry.name === ABI_MARKER)) return;
  const other = shape.exports.find((entry) => entry.name.startsWith("penstock_abi_"));
  throw missing(other === undefined ? `${ABI_MARKER} is not exported` : `${other.name} is exported, not ${ABI_MARKER}`);
}

function checkImport(entry: ImportShape): void {
  const expected = entry.module === IMPORT_MODULE ? functions.get(entry.name) : undefined;
  if (expected === undefined) throw refused(entry.offset, `unknown import ${entry.module}.${entry.name}`);
  if (sameType(entry.type, expected)) return;
  throw refused(
    entry.offset,
    `import ${entry.module}.${entry.name} has type ${describe(named(entry.type))}, not ${describe(expected)}`,
  );
}

function functionType(shape: ModuleShape, entry: ExportShape): FunctionType | undefined {
  if (entry.kind !== KIND_FUNCTION) return undefined;
  const imported = shape.imports[entry.index];
  if (imported !== undefined) return imported.type;
  return shape.types[shape.functions[entry.index - shape.imports.length] ?? -1];
}

function named(type: FunctionType): { params: string[]; results: string[] } {
  const name = (value: number) => typeNames.get(value) ?? "another type";
  return { params: type.params.map(name), results: type.results.map(name) };
}

function sameType(type: FunctionType | undefined, expected: AbiFunction): boolean {
  return type !== undefined && describe(named(type)) === describe(expected);
}

function describe(type: { params: readonly (string | ValueType)[]; results: readonly (string | ValueType)[] }): string {
  return `(${type.params.join(", ")}) → (${type.results.join(", ")})`;
}
