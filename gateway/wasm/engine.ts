/**
 * The part of the JavaScript API of WebAssembly that this product uses, as types: TypeScript has them only in the
 * browser's library, and there without JavaScript Promise Integration (`Suspending`, `promising`).
 * Sources: WebAssembly JavaScript Interface 2.0, sections 5.1–5.7; the JSPI proposal.
 */
declare global {
  namespace WebAssembly {
    type ImportExportKind = "function" | "global" | "memory" | "table" | "tag";
    type ModuleImports = Record<string, unknown>;

    class Module {
      constructor(bytes: Uint8Array);
      static exports(module: Module): { name: string; kind: ImportExportKind }[];
      static imports(module: Module): { module: string; name: string; kind: ImportExportKind }[];
      static customSections(module: Module, name: string): ArrayBuffer[];
    }
    class Instance {
      constructor(module: Module, imports?: Record<string, ModuleImports>);
      readonly exports: Record<string, unknown>;
    }
    class Memory {
      readonly buffer: ArrayBuffer;
    }
    class Global {
      value: number;
    }
    class RuntimeError extends Error {}
    class CompileError extends Error {}
    class LinkError extends Error {}
    /** An import that may answer a promise: the guest waits for it. */
    class Suspending {
      constructor(call: (...args: never[]) => unknown);
    }
    /** An export that may be suspended: it answers a promise. */
    function promising(call: (...args: number[]) => unknown): (...args: number[]) => Promise<unknown>;
    function validate(bytes: Uint8Array): boolean;
    function compile(bytes: Uint8Array): Promise<Module>;
  }
}

/** Compiles a metered module. Lazy: a function's code is made at its first call, which is why guests are warmed up. */
export function compileModule(bytes: Uint8Array): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes);
}
