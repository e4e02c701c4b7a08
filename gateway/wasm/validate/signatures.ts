/** Types of functions, as an interface's table writes them and as a module has them: compared, and in words. Pure. */
import { wasmError } from "#core/errors/wasm.ts";
import type { ExportShape, ImportShape, ModuleShape } from "./module.ts";
import { refused } from "./reader.ts";
import { F32, F64, type FunctionType, I32, I64, KIND_FUNCTION } from "./types.ts";

export type ValueName = "i32" | "i64" | "f32" | "f64";

export interface Signature {
  readonly params: readonly ValueName[];
  readonly results: readonly ValueName[];
}

const TYPES: Readonly<Record<ValueName, number>> = { i32: I32, i64: I64, f32: F32, f64: F64 };
const typeNames: ReadonlyMap<number, string> = new Map(Object.entries(TYPES).map(([name, type]) => [type, name]));

/** What is wrong with a module's interface, as the error that refuses it. */
export function missing(detail: string): Error {
  return wasmError("PENSTOCK_WASM_INTERFACE", { detail });
}

/** Throws unless the import is in the interface (`expected`), with that type. */
export function checkImport(entry: ImportShape, expected: Signature | undefined): void {
  if (expected === undefined) throw refused(entry.offset, `unknown import ${entry.module}.${entry.name}`);
  if (sameType(entry.type, expected)) return;
  throw refused(
    entry.offset,
    `import ${entry.module}.${entry.name} has type ${describe(named(entry.type))}, not ${describe(expected)}`,
  );
}

/** Throws unless an export is a function of this type. */
export function checkExport(shape: ModuleShape, entry: ExportShape, expected: Signature): void {
  if (sameType(functionType(shape, entry), expected)) return;
  throw missing(`at byte ${entry.offset}: ${entry.name} is not a function ${describe(expected)}`);
}

export function functionType(shape: ModuleShape, entry: ExportShape): FunctionType | undefined {
  if (entry.kind !== KIND_FUNCTION) return undefined;
  const imported = shape.imports[entry.index];
  if (imported !== undefined) return imported.type;
  return shape.types[shape.functions[entry.index - shape.imports.length] ?? -1];
}

export function sameType(type: FunctionType | undefined, expected: Signature): boolean {
  return type !== undefined && describe(named(type)) === describe(expected);
}

function named(type: FunctionType): { params: string[]; results: string[] } {
  const name = (value: number) => typeNames.get(value) ?? "another type";
  return { params: type.params.map(name), results: type.results.map(name) };
}

/** In words. */
export function describeType(type: FunctionType): string {
  return describe(named(type));
}

export function typeOfSignature({ params, results }: Signature): FunctionType {
  return { params: params.map((name) => TYPES[name]), results: results.map((name) => TYPES[name]) };
}

function describe(type: { params: readonly string[]; results: readonly string[] }): string {
  return `(${type.params.join(", ")}) → (${type.results.join(", ")})`;
}
