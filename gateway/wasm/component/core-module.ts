/**
 * A core module inside a component, as far as joining it to others needs: unlike a plugin's own module it imports memories, tables
 * and globals. Code is only delimited.
 */
import { defined } from "#core/assert.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import {
  type BodyShape,
  type ExportShape,
  type MemoryShape,
  readBodies,
  readExports,
  readFunctions,
  readMemory,
  readSections,
  readTypes,
  SECTION_CODE,
  SECTION_DATA,
  SECTION_DATA_COUNT,
  SECTION_ELEMENT,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_GLOBAL,
  SECTION_IMPORT,
  SECTION_MEMORY,
  SECTION_START,
  SECTION_TABLE,
  SECTION_TAG,
  SECTION_TYPE,
  type SectionRange,
} from "#wasm/validate/module.ts";
import { ByteReader, refused } from "#wasm/validate/reader.ts";
import {
  type FunctionType,
  readLimits,
  readReferenceType,
  readValueType,
  skipConstantExpression,
} from "#wasm/validate/types.ts";
import { CORE_FUNCTION, CORE_GLOBAL, CORE_MEMORY, CORE_TABLE, type CoreSort } from "./graph.ts";

export interface CoreImport {
  readonly offset: number;
  readonly module: string;
  readonly name: string;
  readonly sort: CoreSort;
  /** Of a function: its type's index. */
  readonly type: number;
}

/** Bytes of an entry that are copied, and where in them an expression starts. */
export interface Entry {
  readonly start: number;
  readonly expression: number;
  readonly end: number;
}

export interface LinkableModule {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  readonly imports: readonly CoreImport[];
  readonly functions: readonly number[];
  readonly tables: readonly Entry[];
  readonly memory: MemoryShape | undefined;
  readonly globals: readonly Entry[];
  readonly exports: ReadonlyMap<string, ExportShape>;
  readonly start: number | undefined;
  readonly elements: SectionRange | undefined;
  readonly elementCount: number;
  readonly hasDataCount: boolean;
  readonly data: SectionRange | undefined;
  readonly dataCount: number;
  readonly bodies: readonly BodyShape[];
}

/** Of a module that the engine has accepted. */
export function readLinkable(bytes: Uint8Array, limits: ModuleLimits): LinkableModule {
  const sections = readSections(bytes);
  const range = (id: number): SectionRange | undefined => sections.find((section) => section.id === id);
  const open = (id: number): ByteReader | undefined => {
    const found = range(id);
    return found === undefined ? undefined : new ByteReader(bytes, found.start, found.end);
  };
  const tag = open(SECTION_TAG);
  if (tag !== undefined) throw refused(tag.at, "exception handling (a tag section)");
  const types = readTypes(open(SECTION_TYPE), limits);
  return {
    bytes,
    types,
    imports: readImports(open(SECTION_IMPORT), limits),
    functions: readFunctions(open(SECTION_FUNCTION), limits),
    tables: readTables(open(SECTION_TABLE), limits),
    memory: readMemory(open(SECTION_MEMORY), limits),
    globals: readGlobals(open(SECTION_GLOBAL), limits),
    exports: new Map(readExports(open(SECTION_EXPORT), limits).map((entry) => [entry.name, entry])),
    start: open(SECTION_START)?.u32(),
    elements: range(SECTION_ELEMENT),
    elementCount: open(SECTION_ELEMENT)?.count("number of element segments", limits.segmentsMax) ?? 0,
    hasDataCount: range(SECTION_DATA_COUNT) !== undefined,
    data: range(SECTION_DATA),
    dataCount: open(SECTION_DATA)?.count("number of data segments", limits.segmentsMax) ?? 0,
    bodies: readBodies(open(SECTION_CODE), limits),
  };
}

function readImports(reader: ByteReader | undefined, limits: ModuleLimits): CoreImport[] {
  if (reader === undefined) return [];
  const imports: CoreImport[] = [];
  for (let left = reader.count("number of imports", limits.importsMax); left > 0; left--) {
    const offset = reader.at;
    const module = reader.name();
    const name = reader.name();
    const sort = reader.u8();
    let type = 0;
    if (sort === CORE_FUNCTION) type = reader.u32();
    else if (sort === CORE_TABLE) {
      readReferenceType(reader);
      readLimits(reader, "table");
    } else if (sort === CORE_MEMORY) readLimits(reader, "memory");
    else if (sort === CORE_GLOBAL) {
      readValueType(reader);
      reader.u8();
    } else throw refused(offset, "exception handling (an imported tag)");
    imports.push({ offset, module, name, sort, type });
  }
  return imports;
}

function readTables(reader: ByteReader | undefined, limits: ModuleLimits): Entry[] {
  if (reader === undefined) return [];
  const tables: Entry[] = [];
  for (let left = reader.count("number of tables", limits.tablesMax); left > 0; left--) {
    const start = reader.at;
    // 0x40 0x00: an initial value follows the limits.
    if (reader.bytes[start] === 0x40) throw refused(start, "typed references (a table's initial value)");
    readReferenceType(reader);
    readLimits(reader, "table");
    tables.push({ start, expression: reader.at, end: reader.at });
  }
  return tables;
}

function readGlobals(reader: ByteReader | undefined, limits: ModuleLimits): Entry[] {
  if (reader === undefined) return [];
  const globals: Entry[] = [];
  for (let left = reader.count("number of globals", limits.globalsMax); left > 0; left--) {
    const start = reader.at;
    readValueType(reader);
    reader.u8();
    const expression = reader.at;
    skipConstantExpression(reader);
    globals.push({ start, expression, end: reader.at });
  }
  return globals;
}

/** The imports of one sort, in the order of their index space. */
export function importsOf(module: LinkableModule, sort: CoreSort): CoreImport[] {
  return module.imports.filter((entry) => entry.sort === sort);
}

/** Type of a function that the module defines, or imports. */
export function typeOfFunction(module: LinkableModule, index: number): FunctionType {
  const imported = importsOf(module, CORE_FUNCTION);
  const type = imported[index]?.type ?? module.functions[index - imported.length];
  return defined(module.types[defined(type, "type of a function")], "function type");
}
