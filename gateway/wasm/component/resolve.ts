/** Where a core item comes from: through exports and imports, to the instance that defines it or the edge of the component. */
import { wasmError } from "#core/errors/wasm.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import { refused } from "#wasm/validate/reader.ts";
import { type CoreImport, importsOf, type LinkableModule, readLinkable } from "./core-module.ts";
import {
  CORE_FUNCTION,
  type CoreInstance,
  type CoreItem,
  type CoreModule,
  type CoreSort,
  type Lowered,
} from "./graph.ts";
import { coreExport } from "./read.ts";

export type Edge = Lowered | Extract<CoreItem, { kind: "resource" }>;

export type Target =
  | { readonly kind: "defined"; readonly instance: CoreInstance; readonly sort: CoreSort; readonly index: number }
  | { readonly kind: "edge"; readonly item: Edge };

/** Reads each core module once, after the engine has accepted it. */
export class CoreModules {
  readonly #read = new Map<CoreModule, LinkableModule>();
  readonly #limits: ModuleLimits;

  constructor(limits: ModuleLimits) {
    this.#limits = limits;
  }

  of({ module }: CoreInstance): LinkableModule {
    const known = this.#read.get(module);
    if (known !== undefined) return known;
    if (!WebAssembly.validate(new Uint8Array(module.bytes))) {
      throw wasmError("PENSTOCK_WASM_INVALID", { detail: `at byte ${module.offset}: a core module that is not valid` });
    }
    const made = readLinkable(module.bytes, this.#limits);
    this.#read.set(module, made);
    return made;
  }

  /** `index` of a target: among those that the instance's module defines, imports not counted. */
  resolve(item: CoreItem, sort: CoreSort, offset: number): Target {
    if (item.kind !== "export") {
      if (sort !== CORE_FUNCTION) throw refused(offset, "a function where something else is imported");
      return { kind: "edge", item };
    }
    const module = this.of(item.instance);
    const entry = module.exports.get(item.name);
    if (entry === undefined || entry.kind !== sort)
      throw refused(offset, `core export ${item.name}, which there is not`);
    const imports = importsOf(module, sort);
    const imported = imports[entry.index];
    if (imported !== undefined) return this.resolve(given(item.instance, imported), sort, offset);
    return { kind: "defined", instance: item.instance, sort, index: entry.index - imports.length };
  }
}

/** What an instance was given for an import. */
export function given(instance: CoreInstance, { module, name, offset }: CoreImport): CoreItem {
  const place = instance.module.offset + offset;
  const exports = instance.imports.get(module);
  if (exports === undefined) throw refused(place, `import ${module}.${name}, which it is not given`);
  return coreExport(exports, name, place);
}
