/**
 * What is inside a component, as far as running it needs to know: core modules, their instances, and the functions that go in and
 * out (Component Model, "Binary Format"). Types are left aside: what a function takes and gives is told by its core type.
 */

/** Core sorts: what a core module can export to another. */
export const CORE_FUNCTION = 0;
export const CORE_TABLE = 1;
export const CORE_MEMORY = 2;
export const CORE_GLOBAL = 3;
export type CoreSort = typeof CORE_FUNCTION | typeof CORE_TABLE | typeof CORE_MEMORY | typeof CORE_GLOBAL;

export interface CoreModule {
  /** Offset of its first byte in the component. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface CoreInstance {
  readonly kind: "instance";
  readonly module: CoreModule;
  /** What each of its imported modules is. */
  readonly imports: ReadonlyMap<string, CoreExports>;
}

/** An instance of a module, or items put together by hand. */
export type CoreExports = CoreInstance | ReadonlyMap<string, CoreItem>;

export type CoreItem =
  | { readonly kind: "export"; readonly instance: CoreInstance; readonly name: string }
  | Lowered
  /** `resource.drop`, `resource.new`, `resource.rep`. */
  | { readonly kind: "resource"; readonly does: "drop" | "new" | "rep"; readonly offset: number };

/** A component's function as a core module calls it. */
export interface Lowered {
  readonly kind: "lowered";
  readonly function: ComponentFunction;
  /** Allocates in the caller's memory what is handed to it; null: nothing is. */
  readonly realloc: CoreItem | null;
  readonly offset: number;
}

export type ComponentFunction =
  | { readonly kind: "import"; readonly interface: string; readonly name: string; readonly offset: number }
  | Lifted;

/** A core function as a component's. */
export interface Lifted {
  readonly kind: "lifted";
  readonly core: CoreItem;
  readonly postReturn: CoreItem | null;
  /** The core instances of the component instance that it belongs to, in the order in which they are made. */
  readonly instances: readonly CoreInstance[];
  readonly offset: number;
}

export type Instance =
  | { readonly kind: "import"; readonly interface: string }
  | { readonly kind: "exports"; readonly exports: ReadonlyMap<string, Item> };

/** Sections of a component that can be instantiated, and the scopes that it can reach out to. */
export interface ComponentBody {
  readonly kind: "component";
  readonly start: number;
  readonly end: number;
  readonly outer: readonly Scope[];
}

export type Item =
  | { readonly sort: "function"; readonly value: ComponentFunction }
  | { readonly sort: "instance"; readonly value: Instance }
  | { readonly sort: "component"; readonly value: ComponentBody }
  | { readonly sort: "module"; readonly value: CoreModule }
  | { readonly sort: "type" };

/** The index spaces of one component instance while it is read. */
export interface Scope {
  readonly core: Readonly<Record<CoreSort, CoreItem[]>>;
  readonly modules: CoreModule[];
  readonly coreInstances: CoreExports[];
  /** Those of `coreInstances` that are made of modules. */
  readonly made: CoreInstance[];
  readonly functions: ComponentFunction[];
  readonly components: ComponentBody[];
  readonly instances: Instance[];
  readonly exports: Map<string, Item>;
}
