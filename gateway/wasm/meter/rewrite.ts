/**
 * Writes the metered module: every section of the source in its order, with the additions appended to theirs, function
 * bodies metered, maxima capped, and the start function turned into an export. Custom sections are dropped: nothing in
 * them changes what runs, and what they say about offsets would be wrong.
 */
import { defined } from "#core/assert.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import {
  type ModuleShape,
  SECTION_CODE,
  SECTION_CUSTOM,
  SECTION_DATA,
  SECTION_DATA_COUNT,
  SECTION_ELEMENT,
  SECTION_EXPORT,
  SECTION_FUNCTION,
  SECTION_GLOBAL,
  SECTION_IMPORT,
  SECTION_MEMORY,
  SECTION_TABLE,
  SECTION_TYPE,
} from "#wasm/validate/module.ts";
import { ByteReader } from "#wasm/validate/reader.ts";
import {
  ADDED_TYPES,
  type Additions,
  addedExports,
  addedFunctions,
  addedGlobals,
  additionsTo,
  WHOLE_SECTION,
  writeBodies,
  writeGlobals,
  writeTypes,
} from "./additions.ts";
import { BodyEmitter, type Stretch } from "./emit.ts";
import { encodeOffsets, throughOrigins } from "./offsets.ts";
import { planBody } from "./plan.ts";
import { ByteWriter } from "./writer.ts";

/**
 * `shape` is what `readModule` made of `bytes`. `origins`: where the code of `bytes` stood in what was uploaded; null: `bytes` are
 * that. The result is a buffer of its own, and carries where its code came from.
 */
export function meterModule(
  bytes: Uint8Array,
  shape: ModuleShape,
  limits: ModuleLimits,
  origins: readonly Stretch[] | null = null,
): Uint8Array {
  return new Rewriter(bytes, shape, limits).write(origins);
}

class Rewriter {
  readonly #bytes: Uint8Array;
  readonly #shape: ModuleShape;
  readonly #limits: ModuleLimits;
  readonly #add: Additions;
  readonly #out: ByteWriter;
  /** No code changes more than memory and globals. */
  #whole = true;

  constructor(bytes: Uint8Array, shape: ModuleShape, limits: ModuleLimits) {
    this.#bytes = bytes;
    this.#shape = shape;
    this.#limits = limits;
    this.#add = additionsTo(shape);
    this.#out = new ByteWriter(bytes.length * 2 + 1024);
  }

  write(origins: readonly Stretch[] | null): Uint8Array {
    this.#out.raw(this.#bytes.subarray(0, 8));
    this.#types();
    this.#copy(SECTION_IMPORT);
    this.#functions();
    this.#tables();
    this.#memory();
    this.#globals();
    this.#exports();
    this.#copy(SECTION_ELEMENT);
    this.#copy(SECTION_DATA_COUNT);
    const stretches = this.#code();
    this.#copy(SECTION_DATA);
    const told = origins === null ? stretches : throughOrigins(stretches, origins);
    this.#out.section(SECTION_CUSTOM, encodeOffsets(told));
    if (this.#whole) {
      const name = new ByteWriter(32);
      name.name(WHOLE_SECTION);
      this.#out.section(SECTION_CUSTOM, name);
    }
    return this.#out.bytes().slice();
  }

  #range(id: number) {
    return this.#shape.sections.find((section) => section.id === id);
  }

  #copy(id: number): void {
    const range = this.#range(id);
    if (range === undefined) return;
    this.#out.u8(id);
    this.#out.u32(range.end - range.start);
    this.#out.raw(this.#bytes.subarray(range.start, range.end));
  }

  /** The source's entries behind a larger count; the caller appends its own. */
  #extended(id: number, added: number): ByteWriter {
    const range = this.#range(id);
    const section = new ByteWriter();
    if (range === undefined) {
      section.u32(added);
      return section;
    }
    const reader = new ByteReader(this.#bytes, range.start, range.end);
    section.u32(reader.u32() + added);
    section.raw(this.#bytes.subarray(reader.at, range.end));
    return section;
  }

  #types(): void {
    const section = this.#extended(SECTION_TYPE, ADDED_TYPES);
    writeTypes(section);
    this.#out.section(SECTION_TYPE, section);
  }

  #functions(): void {
    const added = addedFunctions(this.#add, this.#shape);
    const section = this.#extended(SECTION_FUNCTION, added.length);
    for (const type of added) section.u32(type);
    this.#out.section(SECTION_FUNCTION, section);
  }

  #tables(): void {
    if (this.#shape.tables.length === 0) return;
    const section = new ByteWriter();
    section.u32(this.#shape.tables.length);
    for (const table of this.#shape.tables) {
      if (table.initial !== undefined) section.code(0x40, 0);
      section.code(table.elementType, 1);
      section.u32(table.min);
      section.u32(table.max);
      if (table.initial !== undefined) section.raw(this.#bytes.subarray(table.initial.start, table.initial.end));
    }
    this.#out.section(SECTION_TABLE, section);
  }

  #memory(): void {
    const { memory } = this.#shape;
    if (memory === undefined) return;
    const section = new ByteWriter();
    section.code(1, 1);
    section.u32(memory.min);
    section.u32(memory.max);
    this.#out.section(SECTION_MEMORY, section);
  }

  #globals(): void {
    const section = this.#extended(SECTION_GLOBAL, addedGlobals(this.#add));
    writeGlobals(section, this.#add, this.#shape);
    this.#out.section(SECTION_GLOBAL, section);
  }

  #exports(): void {
    const added = addedExports(this.#add, this.#shape);
    const section = this.#extended(SECTION_EXPORT, added.length);
    for (const [name, kind, index] of added) {
      section.name(name);
      section.u8(kind);
      section.u32(index);
    }
    this.#out.section(SECTION_EXPORT, section);
  }

  /** Answers the stretches with their offsets in the finished module. */
  #code(): Stretch[] {
    const { bodies, functions, imports, types } = this.#shape;
    const section = new ByteWriter(this.#bytes.length * 2 + 256);
    section.u32(bodies.length + addedFunctions(this.#add, this.#shape).length);
    const indices = {
      fuelGlobal: this.#add.fuelGlobal,
      growFunction: this.#add.growFunction,
      tableElementsMax: this.#limits.tableElementsMax,
    };
    const stretches: Stretch[] = [];
    for (const [index, body] of bodies.entries()) {
      const plan = planBody(this.#bytes, body, imports.length, this.#limits);
      if (plan.changesMore) this.#whole = false;
      const type = defined(types[defined(functions[index], "type index")], "function type");
      const code = new ByteWriter((body.end - body.start) * 2 + 64);
      const within = new BodyEmitter(code, plan, type.params.length, indices).write(this.#bytes, body);
      section.u32(code.length);
      for (const { source, target } of within) stretches.push({ source, target: section.length + target });
      section.raw(code.bytes());
    }
    writeBodies(section, this.#add, this.#shape);
    const at = this.#out.section(SECTION_CODE, section);
    return stretches.map(({ source, target }) => ({ source, target: at + target }));
  }
}
