/** How the parts of a joined module are numbered. Decided before a byte of it is written, since code names all of it by number. */
import { defined } from "#core/assert.ts";
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import type { FunctionType } from "#wasm/validate/types.ts";
import { importsOf, type LinkableModule, typeOfFunction } from "./core-module.ts";
import {
  CORE_FUNCTION,
  CORE_GLOBAL,
  CORE_MEMORY,
  CORE_TABLE,
  type CoreInstance,
  type CoreItem,
  type CoreSort,
} from "./graph.ts";
import type { IndexMap } from "./relocate.ts";
import { type CoreModules, type Edge, given, type Target } from "./resolve.ts";
import type { Shim } from "./shim.ts";

export interface PlannedInstance {
  readonly module: LinkableModule;
  /** Where the module stands in the component. */
  readonly offset: number;
  readonly map: IndexMap;
}

/** A shim, and the function by which it allocates; null: it does not. */
export interface PlannedShim {
  readonly shim: Shim;
  readonly realloc: Target | null;
}

/** Types by what they are: a module's own may be written twice. */
export class TypeTable {
  readonly all: FunctionType[] = [];
  readonly #indices = new Map<string, number>();

  index(type: FunctionType): number {
    const key = `${type.params.join(",")}→${type.results.join(",")}`;
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    const index = this.all.push(type) - 1;
    this.#indices.set(key, index);
    return index;
  }
}

/** The index of the first function, table or global of each instance. */
interface Firsts {
  readonly functions: number;
  readonly tables: number;
  readonly globals: number;
  readonly elements: number;
  readonly data: number;
}

export class Plan {
  readonly types = new TypeTable();
  readonly hosts: AbiFunctionName[] = [];
  readonly shims: PlannedShim[] = [];
  readonly instances: PlannedInstance[] = [];
  /** Those that define a memory: there must be one. */
  readonly memories: CoreInstance[] = [];
  /** The first function that belongs to no instance. */
  readonly firstOwn: number;
  readonly #modules: CoreModules;
  readonly #firsts = new Map<CoreInstance, Firsts>();
  readonly #shimNumbers = new Map<Edge, number>();

  /** `shimOf`: what stands in for an edge, which the instance takes for a function of this type. */
  constructor(
    instances: readonly CoreInstance[],
    modules: CoreModules,
    shimOf: (edge: Edge, type: FunctionType) => PlannedShim,
  ) {
    this.#modules = modules;
    const hosts = new Set<AbiFunctionName>();
    for (const [item, type] of this.#edges(instances)) {
      if (this.#shimNumbers.has(item)) continue;
      const planned = shimOf(item, type);
      this.#shimNumbers.set(item, this.shims.push(planned) - 1);
      for (const call of planned.shim.calls) hosts.add(call);
    }
    this.hosts = [...hosts];
    this.firstOwn = this.#number(instances);
    for (const instance of instances) {
      const module = modules.of(instance);
      this.instances.push({ module, offset: instance.module.offset, map: this.#map(instance, module) });
    }
  }

  hostIndex(call: AbiFunctionName): number {
    return this.hosts.indexOf(call);
  }

  /** In the joined module. */
  indexOf(target: Target): number {
    if (target.kind === "edge") {
      return this.hosts.length + defined(this.#shimNumbers.get(target.item), "number of a shim");
    }
    const firsts = defined(this.#firsts.get(target.instance), "numbers of an instance");
    switch (target.sort) {
      case CORE_FUNCTION:
        return firsts.functions + target.index;
      case CORE_TABLE:
        return firsts.tables + target.index;
      case CORE_GLOBAL:
        return firsts.globals + target.index;
      default:
        return 0;
    }
  }

  /** Of a function that an instance defines. */
  typeOf(target: Target): FunctionType {
    if (target.kind === "edge") return defined(this.shims[this.indexOf(target) - this.hosts.length], "shim").shim.type;
    const module = this.#modules.of(target.instance);
    return typeOfFunction(module, importsOf(module, CORE_FUNCTION).length + target.index);
  }

  /** Imports that lead out of the component, with the types that modules take them for. */
  *#edges(instances: readonly CoreInstance[]): Generator<readonly [Edge, FunctionType]> {
    for (const instance of instances) {
      const module = this.#modules.of(instance);
      for (const [index, entry] of importsOf(module, CORE_FUNCTION).entries()) {
        const target = this.#modules.resolve(
          given(instance, entry),
          CORE_FUNCTION,
          instance.module.offset + entry.offset,
        );
        if (target.kind === "edge") yield [target.item, typeOfFunction(module, index)];
      }
    }
  }

  #number(instances: readonly CoreInstance[]): number {
    let functions = this.hosts.length + this.shims.length;
    let [tables, globals, elements, data] = [0, 0, 0, 0];
    for (const instance of instances) {
      const module = this.#modules.of(instance);
      this.#firsts.set(instance, { functions, tables, globals, elements, data });
      functions += module.functions.length;
      tables += module.tables.length;
      globals += module.globals.length;
      elements += module.elementCount;
      data += module.dataCount;
      if (module.memory !== undefined) this.memories.push(instance);
    }
    return functions;
  }

  #map(instance: CoreInstance, module: LinkableModule): IndexMap {
    const firsts = defined(this.#firsts.get(instance), "numbers of an instance");
    const space = (sort: CoreSort, first: number, count: number): number[] => [
      ...importsOf(module, sort).map((entry) => {
        const item: CoreItem = given(instance, entry);
        return this.indexOf(this.#modules.resolve(item, sort, instance.module.offset + entry.offset));
      }),
      ...Array.from({ length: count }, (_, index) => first + index),
    ];
    // Looked at for its errors: a memory that is not there.
    space(CORE_MEMORY, 0, 0);
    return {
      types: module.types.map((type) => this.types.index(type)),
      functions: space(CORE_FUNCTION, firsts.functions, module.functions.length),
      tables: space(CORE_TABLE, firsts.tables, module.tables.length),
      globals: space(CORE_GLOBAL, firsts.globals, module.globals.length),
      firstElement: firsts.elements,
      firstData: firsts.data,
    };
  }
}
