/**
 * Reads a component and instantiates it on paper: every section in its order, nested components as they are instantiated, until it
 * is known what the exported functions are made of. Nothing runs. Format: Component Model, "Binary Format", version 0x0d.
 *
 * Pure, for the builder process. The bytes are borrowed. Components can be built to instantiate each other without end, so there
 * are bounds on all of it.
 */
import { ByteReader, exceeded, refused } from "#wasm/validate/reader.ts";
import { canonical } from "./canonical.ts";
import { at, coreSort, each, externName, externType } from "./cursor.ts";
import {
  type ComponentBody,
  CORE_FUNCTION,
  CORE_GLOBAL,
  CORE_MEMORY,
  CORE_TABLE,
  type CoreExports,
  type CoreInstance,
  type CoreItem,
  type CoreSort,
  type Instance,
  type Item,
  type Scope,
} from "./graph.ts";

const PREAMBLE_BYTES = 8;
/** Of components in each other; of instances of all of them; of core instances. Toolchains need 2, 4 and 40. */
const DEPTH_MAX = 8;
const INSTANCES_MAX = 100;
const CORE_INSTANCES_MAX = 1_000;

const SECTIONS = [
  "custom",
  "module",
  "core instance",
  "core type",
  "component",
  "instance",
  "alias",
  "type",
  "canonical function",
  "start",
  "import",
  "export",
] as const;

/** What the component exports. Throws PenstockError for what is not a component, or not one that can be run here. */
export function readComponent(bytes: Uint8Array): ReadonlyMap<string, Item> {
  return new ComponentReader(bytes).instantiate({ kind: "component", start: 0, end: bytes.length, outer: [] }, null);
}

class ComponentReader {
  readonly #bytes: Uint8Array;
  #instances = 0;
  #coreInstances = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** `given`: what it is instantiated with; null: by the host. */
  instantiate(body: ComponentBody, given: ReadonlyMap<string, Item> | null): ReadonlyMap<string, Item> {
    if (++this.#instances > INSTANCES_MAX) throw refused(body.start, `more than ${INSTANCES_MAX} component instances`);
    if (body.outer.length >= DEPTH_MAX) throw refused(body.start, `components nested more than ${DEPTH_MAX} deep`);
    const scope: Scope = {
      core: { [CORE_FUNCTION]: [], [CORE_TABLE]: [], [CORE_MEMORY]: [], [CORE_GLOBAL]: [] },
      modules: [],
      coreInstances: [],
      made: [],
      functions: [],
      components: [],
      instances: [],
      exports: new Map(),
    };
    const reader = new ByteReader(this.#bytes, body.start, body.end);
    reader.skip(PREAMBLE_BYTES);
    while (!reader.done) {
      const offset = reader.at;
      const id = reader.u8();
      const size = reader.u32();
      const start = reader.at;
      reader.skip(size);
      this.#section(id, new ByteReader(this.#bytes, start, reader.at), offset, scope, body, given);
    }
    return scope.exports;
  }

  #section(
    id: number,
    reader: ByteReader,
    offset: number,
    scope: Scope,
    body: ComponentBody,
    given: ReadonlyMap<string, Item> | null,
  ): void {
    switch (SECTIONS[id]) {
      case "custom":
      case "core type":
      case "type":
        return;
      case "module":
        scope.modules.push({ offset: reader.at, bytes: this.#bytes.subarray(reader.at, reader.end) });
        return;
      case "component":
        scope.components.push({
          kind: "component",
          start: reader.at,
          end: reader.end,
          outer: [scope, ...body.outer],
        });
        return;
      case "core instance":
        each(reader, () => this.#coreInstance(reader, scope));
        return;
      case "instance":
        each(reader, () => this.#instance(reader, scope));
        return;
      case "alias":
        each(reader, () => alias(reader, scope, body.outer));
        return;
      case "canonical function":
        each(reader, () => canonical(reader, scope));
        return;
      case "import":
        each(reader, () => importItem(reader, scope, given));
        return;
      case "export":
        each(reader, () => {
          const name = externName(reader);
          const item = itemAt(reader, scope);
          // A type that the export is given.
          if (reader.u8() !== 0) externType(reader);
          scope.exports.set(name, item);
          define(scope, item);
        });
        return;
      default:
        throw refused(offset, id === 9 ? "a component's start function" : `section ${id} of a component`);
    }
  }

  #coreInstance(reader: ByteReader, scope: Scope): void {
    const offset = reader.at;
    if (++this.#coreInstances > CORE_INSTANCES_MAX) {
      throw exceeded(offset, "core instances", this.#coreInstances, CORE_INSTANCES_MAX);
    }
    if (reader.u8() === 0) {
      const module = at(scope.modules, reader, "core module");
      const imports = new Map<string, CoreExports>();
      each(reader, () => {
        const name = reader.name();
        reader.u8(); // the sort of what is given: an instance
        imports.set(name, at(scope.coreInstances, reader, "core instance"));
      });
      const instance: CoreInstance = { kind: "instance", module, imports };
      scope.coreInstances.push(instance);
      scope.made.push(instance);
      return;
    }
    const items = new Map<string, CoreItem>();
    each(reader, () => {
      const name = reader.name();
      items.set(name, at(scope.core[coreSort(reader)], reader, "core item"));
    });
    scope.coreInstances.push(items);
  }

  #instance(reader: ByteReader, scope: Scope): void {
    const items = new Map<string, Item>();
    if (reader.u8() !== 0) {
      each(reader, () => {
        const name = externName(reader);
        items.set(name, itemAt(reader, scope));
      });
      scope.instances.push({ kind: "exports", exports: items });
      return;
    }
    const component = at(scope.components, reader, "component");
    each(reader, () => {
      const name = reader.name();
      items.set(name, itemAt(reader, scope));
    });
    scope.instances.push({ kind: "exports", exports: this.instantiate(component, items) });
  }
}

/** `sortidx` of the component's own sorts. */
function itemAt(reader: ByteReader, scope: Scope): Item {
  const offset = reader.at;
  switch (reader.u8()) {
    case 0:
      if (reader.u8() !== 0x11) throw refused(offset, "a core item between components");
      return { sort: "module", value: at(scope.modules, reader, "core module") };
    case 1:
      return { sort: "function", value: at(scope.functions, reader, "function") };
    case 3:
      reader.u32();
      return { sort: "type" };
    case 4:
      return { sort: "component", value: at(scope.components, reader, "component") };
    case 5:
      return { sort: "instance", value: at(scope.instances, reader, "instance") };
    default:
      throw refused(offset, "a value between components");
  }
}

/** Puts an item into its index space. */
function define(scope: Scope, item: Item): void {
  if (item.sort === "function") scope.functions.push(item.value);
  else if (item.sort === "instance") scope.instances.push(item.value);
  else if (item.sort === "component") scope.components.push(item.value);
  else if (item.sort === "module") scope.modules.push(item.value);
}

function alias(reader: ByteReader, scope: Scope, outer: readonly Scope[]): void {
  const offset = reader.at;
  const sort = reader.u8();
  const core = sort === 0 ? reader.u8() : 0;
  const target = reader.u8();
  if (target === 0) {
    const instance = at(scope.instances, reader, "instance");
    define(scope, exported(instance, reader.name(), sort, offset));
  } else if (target === 1) {
    if (core > CORE_GLOBAL) throw refused(offset, core === 4 ? "exception handling (a tag)" : `core sort ${core}`);
    const instance = at(scope.coreInstances, reader, "core instance");
    scope.core[core as CoreSort].push(coreExport(instance, reader.name(), offset));
  } else {
    const from = [scope, ...outer][reader.u32()];
    if (sort === 0 && core === 0x11 && from !== undefined) scope.modules.push(at(from.modules, reader, "core module"));
    else if (sort === 4 && from !== undefined) scope.components.push(at(from.components, reader, "component"));
    else reader.u32(); // a type
  }
}

function exported(instance: Instance, name: string, sort: number, offset: number): Item {
  if (sort === 3) return { sort: "type" };
  if (instance.kind === "exports") {
    const item = instance.exports.get(name);
    if (item !== undefined) return item;
    throw refused(offset, `export ${name} of an instance, which there is not`);
  }
  if (sort !== 1) throw refused(offset, `import ${instance.interface}.${name}, which is no function`);
  return { sort: "function", value: { kind: "import", interface: instance.interface, name, offset } };
}

export function coreExport(instance: CoreExports, name: string, offset: number): CoreItem {
  if ("kind" in instance) return { kind: "export", instance, name };
  const item = instance.get(name);
  if (item === undefined) throw refused(offset, `core export ${name}, which there is not`);
  return item;
}

function importItem(reader: ByteReader, scope: Scope, given: ReadonlyMap<string, Item> | null): void {
  const { at: offset } = reader;
  const name = externName(reader);
  const sort = externType(reader);
  if (sort === 3) return;
  if (given !== null) {
    const item = given.get(name);
    if (item === undefined) throw refused(offset, `import ${name} of a component inside, which it is not given`);
    define(scope, item);
  } else if (sort === 5) scope.instances.push({ kind: "import", interface: name });
  else if (sort === 1) scope.functions.push({ kind: "import", interface: "", name, offset });
  else throw refused(offset, `import ${name}, which is a ${sort === 0 ? "module" : "component"}`);
}
