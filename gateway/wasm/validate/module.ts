/**
 * Reads a module's sections into a `ModuleShape`, refusing what plugins may not have. Pure: the bytes are borrowed and
 * not changed. Function bodies are only delimited here; the metering pass reads their instructions.
 *
 * Sections come in a fixed order (specification 5.5.2); the engine has checked it.
 */
import { defined } from "#core/assert.ts";
import type { ModuleLimits } from "./limits.ts";
import { ByteReader, exceeded, refused } from "./reader.ts";
import {
  type FunctionType,
  KIND_FUNCTION,
  type Limits,
  cappedMax,
  readLimits,
  readReferenceType,
  readValueType,
  skipConstantExpression,
} from "./types.ts";

export const SECTION_CUSTOM = 0;
export const SECTION_TYPE = 1;
export const SECTION_IMPORT = 2;
export const SECTION_FUNCTION = 3;
export const SECTION_TABLE = 4;
export const SECTION_MEMORY = 5;
export const SECTION_GLOBAL = 6;
export const SECTION_EXPORT = 7;
export const SECTION_START = 8;
export const SECTION_ELEMENT = 9;
export const SECTION_CODE = 10;
export const SECTION_DATA = 11;
export const SECTION_DATA_COUNT = 12;
export const SECTION_TAG = 13;

/** Names that start so are the gateway's own. */
export const RESERVED_PREFIX = "__penstock_";

export interface SectionRange {
  readonly id: number;
  /** Offsets of its contents in the module. */
  readonly start: number;
  readonly end: number;
}

export interface ImportShape {
  readonly offset: number;
  readonly module: string;
  readonly name: string;
  readonly type: FunctionType;
}

export interface ExportShape {
  readonly offset: number;
  readonly name: string;
  readonly kind: number;
  readonly index: number;
}

export interface TableShape {
  readonly elementType: number;
  readonly min: number;
  readonly max: number;
  /** Offsets of its initial value's expression, when it has one. */
  readonly initial: { readonly start: number; readonly end: number } | undefined;
}

export interface MemoryShape {
  readonly min: number;
  readonly max: number;
}

export interface BodyShape {
  /** Offset of the locals, just after the size. */
  readonly start: number;
  readonly end: number;
}

export interface GlobalShape {
  readonly type: number;
  readonly mutable: boolean;
}

export interface ModuleShape {
  readonly sections: readonly SectionRange[];
  readonly types: readonly FunctionType[];
  /** Imported functions: a plugin can import nothing else. */
  readonly imports: readonly ImportShape[];
  /** Type index of each function that the module defines. */
  readonly functions: readonly number[];
  readonly tables: readonly TableShape[];
  readonly memory: MemoryShape | undefined;
  readonly globalCount: number;
  readonly globals: readonly GlobalShape[];
  readonly exports: readonly ExportShape[];
  /** Index of the start function. */
  readonly start: number | undefined;
  readonly bodies: readonly BodyShape[];
}

/** Reads a module that `WebAssembly.validate` has accepted. */
export function readModule(bytes: Uint8Array, limits: ModuleLimits): ModuleShape {
  const sections = readSections(bytes);
  const open = (id: number): ByteReader | undefined => {
    const range = sections.find((section) => section.id === id);
    return range === undefined ? undefined : new ByteReader(bytes, range.start, range.end);
  };
  const tag = open(SECTION_TAG);
  if (tag !== undefined) throw refused(tag.at, "exception handling (a tag section)");
  const types = readTypes(open(SECTION_TYPE), limits);
  const imports = readImports(open(SECTION_IMPORT), types, limits);
  const functions = readFunctions(open(SECTION_FUNCTION), limits);
  const tables = readTables(open(SECTION_TABLE), limits);
  const memory = readMemory(open(SECTION_MEMORY), limits);
  const globals = readGlobals(open(SECTION_GLOBAL), limits);
  const globalCount = globals.length;
  const exports = readExports(open(SECTION_EXPORT), limits);
  const start = open(SECTION_START)?.u32();
  readElements(open(SECTION_ELEMENT), limits);
  readData(open(SECTION_DATA), limits);
  const bodies = readBodies(open(SECTION_CODE), limits);
  return { sections, types, imports, functions, tables, memory, globalCount, globals, exports, start, bodies };
}

export function readSections(bytes: Uint8Array): SectionRange[] {
  const reader = new ByteReader(bytes, 4);
  // A module is version 1, layer 0; a component has layer 1.
  if (reader.u8() !== 1 || reader.u8() !== 0 || reader.u8() !== 0 || reader.u8() !== 0) {
    throw refused(4, "not a core module of version 1");
  }
  const sections: SectionRange[] = [];
  while (!reader.done) {
    const offset = reader.at;
    const id = reader.u8();
    const size = reader.u32();
    if (id > SECTION_TAG) throw refused(offset, `section ${id}`);
    sections.push({ id, start: reader.at, end: reader.at + size });
    reader.skip(size);
  }
  return sections;
}

export function readTypes(reader: ByteReader | undefined, limits: ModuleLimits): FunctionType[] {
  if (reader === undefined) return [];
  const types: FunctionType[] = [];
  const count = reader.count("number of types", limits.typesMax);
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    if (reader.u8() !== 0x60) throw refused(offset, "GC types (structures, arrays, recursive groups)");
    types.push({ params: readValueTypes(reader, limits), results: readValueTypes(reader, limits) });
  }
  return types;
}

function readValueTypes(reader: ByteReader, limits: ModuleLimits): number[] {
  const count = reader.count("number of parameters", limits.paramsMax);
  const types: number[] = [];
  for (let index = 0; index < count; index++) types.push(readValueType(reader));
  return types;
}

function readImports(
  reader: ByteReader | undefined,
  types: readonly FunctionType[],
  limits: ModuleLimits,
): ImportShape[] {
  if (reader === undefined) return [];
  const imports: ImportShape[] = [];
  const count = reader.count("number of imports", limits.importsMax);
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    const module = reader.name();
    const name = reader.name();
    const kind = reader.u8();
    if (kind !== KIND_FUNCTION) {
      throw refused(offset, `import ${module}.${name}: it is no function, and only functions can be imported`);
    }
    imports.push({ offset, module, name, type: defined(types[reader.u32()], "type of an import") });
  }
  return imports;
}

export function readFunctions(reader: ByteReader | undefined, limits: ModuleLimits): number[] {
  if (reader === undefined) return [];
  const functions: number[] = [];
  const count = reader.count("number of functions", limits.functionsMax);
  for (let index = 0; index < count; index++) functions.push(reader.u32());
  return functions;
}

function readTables(reader: ByteReader | undefined, limits: ModuleLimits): TableShape[] {
  if (reader === undefined) return [];
  const tables: TableShape[] = [];
  const count = reader.count("number of tables", limits.tablesMax);
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    // 0x40 0x00: an initial value follows the limits (typed function references).
    const hasInitial = reader.bytes[offset] === 0x40;
    if (hasInitial) reader.skip(2);
    const elementType = readReferenceType(reader);
    const declared = readLimits(reader, "table");
    const max = cappedMax(offset, "elements of a table", declared, limits.tableElementsMax);
    const start = reader.at;
    if (hasInitial) skipConstantExpression(reader);
    tables.push({ elementType, min: declared.min, max, initial: hasInitial ? { start, end: reader.at } : undefined });
  }
  return tables;
}

export function readMemory(reader: ByteReader | undefined, limits: ModuleLimits): MemoryShape | undefined {
  if (reader === undefined) return undefined;
  const offset = reader.at;
  const count = reader.u32();
  if (count > 1) throw refused(offset, "multiple memories");
  if (count === 0) return undefined;
  const declared: Limits = readLimits(reader, "memory");
  return { min: declared.min, max: cappedMax(offset, "pages of memory", declared, limits.memoryPagesMax) };
}

function readGlobals(reader: ByteReader | undefined, limits: ModuleLimits): GlobalShape[] {
  if (reader === undefined) return [];
  const globals: GlobalShape[] = [];
  const count = reader.count("number of globals", limits.globalsMax);
  for (let index = 0; index < count; index++) {
    const type = readValueType(reader);
    const offset = reader.at;
    const mutability = reader.u8();
    if (mutability > 1) throw refused(offset, "a shared global");
    globals.push({ type, mutable: mutability === 1 });
    skipConstantExpression(reader);
  }
  return globals;
}

export function readExports(reader: ByteReader | undefined, limits: ModuleLimits): ExportShape[] {
  if (reader === undefined) return [];
  const exports: ExportShape[] = [];
  const count = reader.count("number of exports", limits.exportsMax);
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    const name = reader.name();
    if (name.startsWith(RESERVED_PREFIX)) throw refused(offset, `export ${name}: the name is reserved`);
    exports.push({ offset, name, kind: reader.u8(), index: reader.u32() });
  }
  return exports;
}

/** Element segments (5.5.12): read only to refuse what their expressions could hold. */
function readElements(reader: ByteReader | undefined, limits: ModuleLimits): void {
  if (reader === undefined) return;
  const count = reader.count("number of element segments", limits.segmentsMax);
  for (let index = 0; index < count; index++) {
    const flags = reader.u32();
    const passive = (flags & 1) !== 0;
    const expressions = (flags & 4) !== 0;
    if (!passive && (flags & 2) !== 0) reader.u32(); // table
    if (!passive) skipConstantExpression(reader);
    if ((flags & 3) !== 0) {
      if (expressions) readReferenceType(reader);
      else reader.u8(); // element kind, 0
    }
    const elements = reader.u32();
    for (let element = 0; element < elements; element++) {
      if (expressions) skipConstantExpression(reader);
      else reader.u32();
    }
  }
}

function readData(reader: ByteReader | undefined, limits: ModuleLimits): void {
  if (reader === undefined) return;
  const count = reader.count("number of data segments", limits.segmentsMax);
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    const flags = reader.u32();
    if (flags > 1) throw refused(offset, "a data segment that names its memory");
    if (flags === 0) skipConstantExpression(reader);
    reader.skip(reader.u32());
  }
}

export function readBodies(reader: ByteReader | undefined, limits: ModuleLimits): BodyShape[] {
  if (reader === undefined) return [];
  const bodies: BodyShape[] = [];
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const offset = reader.at;
    const size = reader.u32();
    if (size > limits.bodyBytesMax) throw exceeded(offset, "bytes of a function body", size, limits.bodyBytesMax);
    bodies.push({ start: reader.at, end: reader.at + size });
    reader.skip(size);
  }
  return bodies;
}
