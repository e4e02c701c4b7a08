/** Writes the joined module, section by section, as `plan.ts` has numbered it. */
import { ABI_FUNCTIONS, ABI_MARKER_PREFIX, ABI_VERSION, EXPORT_MEMORY, IMPORT_MODULE } from "#sdk/types/abi.ts";
import type { Stretch } from "#wasm/meter/emit.ts";
import { addStretch, NOWHERE } from "#wasm/meter/offsets.ts";
import { ByteWriter } from "#wasm/meter/writer.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import {
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
  SECTION_TYPE,
} from "#wasm/validate/module.ts";
import { ByteReader } from "#wasm/validate/reader.ts";
import { typeOfSignature } from "#wasm/validate/signatures.ts";
import { FUNCREF, type FunctionType, KIND_FUNCTION, KIND_MEMORY, readReferenceType } from "#wasm/validate/types.ts";
import { Assembler, I32_EQZ } from "./assembler.ts";
import type { Entry } from "./core-module.ts";
import type { Plan, PlannedInstance } from "./plan.ts";
import { relocateBody, relocateExpression } from "./relocate.ts";
import type { Target } from "./resolve.ts";

export interface JoinedHook {
  /** The core interface's name for it. */
  readonly exported: string;
  readonly core: Target;
  readonly postReturn: Target | null;
}

export interface JoinedModule {
  readonly module: Uint8Array;
  /** Where its code stood in the component. */
  readonly origins: readonly Stretch[];
}

const PREAMBLE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const NOTHING: FunctionType = { params: [], results: [] };

export function joinModules(plan: Plan, hooks: readonly JoinedHook[], limits: ModuleLimits): JoinedModule {
  return new Joiner(plan, hooks, limits).write();
}

class Joiner {
  readonly #plan: Plan;
  readonly #hooks: readonly JoinedHook[];
  readonly #limits: ModuleLimits;
  readonly #out = new ByteWriter(1 << 16);
  /** Start functions, in the order of the instances. */
  readonly #starts: number[] = [];

  constructor(plan: Plan, hooks: readonly JoinedHook[], limits: ModuleLimits) {
    this.#plan = plan;
    this.#hooks = hooks;
    this.#limits = limits;
    for (const { module, map } of plan.instances) {
      if (module.start !== undefined) this.#starts.push(map.functions[module.start] ?? 0);
    }
  }

  write(): JoinedModule {
    // What follows asks for types, so they are written last and put first.
    const imports = this.#imports();
    const functions = this.#functions();
    this.#out.raw(PREAMBLE);
    this.#types();
    this.#out.section(SECTION_IMPORT, imports);
    this.#out.section(SECTION_FUNCTION, functions);
    this.#entries(SECTION_TABLE, ({ module }) => module.tables);
    this.#memory();
    this.#entries(SECTION_GLOBAL, ({ module }) => module.globals);
    this.#exports();
    this.#start();
    this.#elements();
    this.#dataCount();
    const origins = this.#code();
    this.#data();
    return { module: this.#out.bytes().slice(), origins };
  }

  #types(): void {
    const section = new ByteWriter();
    section.u32(this.#plan.types.all.length);
    for (const { params, results } of this.#plan.types.all) {
      section.u8(0x60);
      section.u32(params.length);
      section.code(...params);
      section.u32(results.length);
      section.code(...results);
    }
    this.#out.section(SECTION_TYPE, section);
  }

  #imports(): ByteWriter {
    const { hosts, types } = this.#plan;
    const section = new ByteWriter();
    section.u32(hosts.length);
    for (const call of hosts) {
      section.name(IMPORT_MODULE);
      section.name(call);
      section.u8(KIND_FUNCTION);
      section.u32(types.index(typeOfSignature(ABI_FUNCTIONS[call])));
    }
    return section;
  }

  /** Shims, the instances' own, the hooks, the marker, the start function. */
  #functions(): ByteWriter {
    const { shims, instances, types } = this.#plan;
    const indices = [
      ...shims.map(({ shim }) => types.index(shim.type)),
      ...instances.flatMap(({ module, map }) => module.functions.map((type) => map.types[type] ?? 0)),
      ...this.#hooks.map(({ core }) => types.index(this.#plan.typeOf(core))),
      types.index(NOTHING),
      types.index(NOTHING),
    ];
    const section = new ByteWriter();
    section.u32(indices.length);
    for (const index of indices) section.u32(index);
    return section;
  }

  get #marker(): number {
    return this.#plan.firstOwn + this.#hooks.length;
  }

  /** Tables or globals: copied, with an expression at their end where there is one. */
  #entries(id: number, of: (instance: PlannedInstance) => readonly Entry[]): void {
    const { instances } = this.#plan;
    const section = new ByteWriter();
    section.u32(instances.reduce((sum, instance) => sum + of(instance).length, 0));
    for (const instance of instances) {
      const { bytes } = instance.module;
      for (const { start, expression, end } of of(instance)) {
        section.raw(bytes.subarray(start, expression));
        if (expression === end) continue;
        relocateExpression(section, new ByteReader(bytes, expression, end), instance.map, this.#limits);
      }
    }
    this.#out.section(id, section);
  }

  #memory(): void {
    const memory = this.#plan.instances.find(({ module }) => module.memory !== undefined)?.module.memory;
    if (memory === undefined) return;
    const section = new ByteWriter();
    section.code(1, 1);
    section.u32(memory.min);
    section.u32(memory.max);
    this.#out.section(SECTION_MEMORY, section);
  }

  #exports(): void {
    const exports: [string, number, number][] = [
      [EXPORT_MEMORY, KIND_MEMORY, 0],
      [`${ABI_MARKER_PREFIX}${ABI_VERSION}`, KIND_FUNCTION, this.#marker],
      ...this.#hooks.map(({ exported }, index): [string, number, number] => [
        exported,
        KIND_FUNCTION,
        this.#plan.firstOwn + index,
      ]),
    ];
    const section = new ByteWriter();
    section.u32(exports.length);
    for (const [name, kind, index] of exports) {
      section.name(name);
      section.u8(kind);
      section.u32(index);
    }
    this.#out.section(SECTION_EXPORT, section);
  }

  #start(): void {
    const section = new ByteWriter();
    section.u32(this.#marker + 1);
    this.#out.section(SECTION_START, section);
  }

  /** Segments with all that can be left out written down (specification 5.5.12): the first table may be another one here. */
  #elements(): void {
    const { instances } = this.#plan;
    const section = new ByteWriter();
    section.u32(instances.reduce((sum, { module }) => sum + module.elementCount, 0));
    for (const { module, map } of instances) {
      if (module.elements === undefined) continue;
      const reader = new ByteReader(module.bytes, module.elements.start, module.elements.end);
      for (let left = reader.u32(); left > 0; left--) {
        const flags = reader.u32();
        const isActive = (flags & 1) === 0;
        const hasExpressions = (flags & 4) !== 0;
        section.u32(isActive ? flags | 2 : flags);
        if (isActive) {
          section.u32(map.tables[(flags & 2) === 0 ? 0 : reader.u32()] ?? 0);
          relocateExpression(section, reader, map, this.#limits);
        }
        const kind = hasExpressions ? FUNCREF : 0;
        if ((flags & 3) === 0) section.u8(kind);
        else section.u8(hasExpressions ? readReferenceType(reader) : reader.u8());
        const count = reader.u32();
        section.u32(count);
        for (let element = 0; element < count; element++) {
          if (hasExpressions) relocateExpression(section, reader, map, this.#limits);
          else section.u32(map.functions[reader.u32()] ?? 0);
        }
      }
    }
    this.#out.section(SECTION_ELEMENT, section);
  }

  get #dataSegments(): number {
    return this.#plan.instances.reduce((sum, { module }) => sum + module.dataCount, 0);
  }

  #dataCount(): void {
    const section = new ByteWriter();
    section.u32(this.#dataSegments);
    this.#out.section(SECTION_DATA_COUNT, section);
  }

  #data(): void {
    const section = new ByteWriter(1 << 16);
    section.u32(this.#dataSegments);
    for (const { module, map } of this.#plan.instances) {
      if (module.data === undefined) continue;
      const reader = new ByteReader(module.bytes, module.data.start, module.data.end);
      for (let left = reader.u32(); left > 0; left--) {
        const flags = reader.u32();
        section.u32(flags & 1);
        // The memory may be named: there is but one.
        if (flags === 2) reader.u32();
        if ((flags & 1) === 0) relocateExpression(section, reader, map, this.#limits);
        const size = reader.u32();
        section.u32(size);
        section.raw(module.bytes.subarray(reader.at, reader.at + size));
        reader.skip(size);
      }
    }
    this.#out.section(SECTION_DATA, section);
  }

  #code(): Stretch[] {
    const { shims, instances } = this.#plan;
    const section = new ByteWriter(1 << 16);
    const bodies = instances.reduce((sum, { module }) => sum + module.bodies.length, 0);
    section.u32(shims.length + bodies + this.#hooks.length + 2);
    const add = (body: ByteWriter): void => {
      section.u32(body.length);
      section.raw(body.bytes());
    };
    for (const { shim, realloc } of shims) {
      const index = realloc === null ? null : this.#plan.indexOf(realloc);
      add(shim.body({ host: (call) => this.#plan.hostIndex(call), realloc: index }));
    }
    const origins: Stretch[] = [];
    for (const { module, offset, map } of instances) {
      for (const shape of module.bodies) {
        const body = new ByteWriter(shape.end - shape.start + 64);
        const stretches = relocateBody(body, module.bytes, shape, map, this.#limits);
        add(body);
        const at = section.length - body.length;
        for (const { source, target } of stretches) addStretch(origins, offset + source, at + target);
      }
    }
    addStretch(origins, NOWHERE, section.length);
    for (const hook of this.#hooks) add(this.#hookBody(hook));
    add(new Assembler().body({ i32: 0, f64: 0 })); // the marker
    const start = new Assembler();
    for (const index of this.#starts) start.call(index);
    add(start.body({ i32: 0, f64: 0 }));
    const at = this.#out.section(SECTION_CODE, section);
    return origins.map(({ source, target }) => ({ source, target: at + target }));
  }

  /** The component's function, and what it has asked to be called when its answer has been taken. */
  #hookBody({ exported, core, postReturn }: JoinedHook): ByteWriter {
    const code = new Assembler();
    const { params, results } = this.#plan.typeOf(core);
    for (let param = 0; param < params.length; param++) code.get(param);
    code.call(this.#plan.indexOf(core));
    if (postReturn !== null) {
      const answers = results.length > 0;
      if (answers) code.tee(params.length).get(params.length);
      code.call(this.#plan.indexOf(postReturn));
    }
    if (exported === "on_configure") code.op(I32_EQZ);
    return code.body({ i32: 1, f64: 0 });
  }
}
