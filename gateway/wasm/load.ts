/** From a prepared module to one that guests are made of: compiled, its kind told, its host calls found. */
import { wasmError } from "#core/errors/wasm.ts";
import { compileModule } from "./engine.ts";
import { coreRuntime } from "./guest/core-runtime.ts";
import type { GuestRuntime, LoadedModule } from "./guest/runtime.ts";
import { httpWasmRuntime } from "./http-wasm/runtime.ts";
import { proxyWasmRuntime } from "./proxy-wasm/runtime.ts";
import { type GuestKind, kindOf } from "./validate/kind.ts";

const RUNTIMES: Partial<Record<GuestKind, GuestRuntime>> = {
  core: coreRuntime,
  "proxy-wasm": proxyWasmRuntime,
  "http-wasm": httpWasmRuntime,
};

/** `bytes`: of a `PreparedModule`. Throws PENSTOCK_WASM_INTERFACE for one that an older or newer gateway has made. */
export async function loadModule(bytes: Uint8Array): Promise<LoadedModule> {
  const module = await compileModule(bytes);
  const imports = WebAssembly.Module.imports(module);
  const kind = kindOf({ imports, exports: WebAssembly.Module.exports(module) });
  const runtime = RUNTIMES[kind];
  if (runtime === undefined) throw wasmError("PENSTOCK_WASM_INTERFACE", { detail: `a ${kind} module` });
  const calls = imports.map((entry) => {
    const call = runtime.calls.get(`${entry.module}.${entry.name}`);
    if (call !== undefined) return call;
    throw wasmError("PENSTOCK_WASM_INTERFACE", { detail: `unknown import ${entry.module}.${entry.name}` });
  });
  return { kind, runtime, module, calls, suspends: calls.some((call) => call.suspends) };
}
