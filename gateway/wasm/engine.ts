/**
 * The part of the JavaScript API of WebAssembly that this product uses, as types: TypeScript has them only in the
 * browser's library, and there without JavaScript Promise Integration (`Suspending`, `promising`).
 * Sources: WebAssembly JavaScript Interface 2.0, sections 5.1–5.7; the JSPI proposal.
 */
import { setFlagsFromString } from "node:v8";

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
    /** A guest that can't be suspended has called what suspends it. */
    class SuspendError extends Error {}
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

/** Compilations under way: the flag below is the whole process's, and set only as long as there are any. */
let compilations = 0;

/**
 * Compiles a metered module, all of it, in the engine's own threads. The engine's default would make a function's code
 * at its first call, in our thread: 160 ms for one function of 250 KB that is built to be hard, in the middle of some
 * request. The price is 12 KB of memory for a small plugin.
 */
export async function compileModule(bytes: Uint8Array): Promise<WebAssembly.Module> {
  if (compilations++ === 0) setFlagsFromString("--no-wasm-lazy-compilation");
  // A compilation in the engine's threads does not keep a process alive that waits for nothing else.
  const hold = setInterval(() => undefined, 60_000);
  try {
    return await WebAssembly.compile(bytes);
  } finally {
    clearInterval(hold);
    if (--compilations === 0) setFlagsFromString("--wasm-lazy-compilation");
  }
}
