import { thrower } from "#core/errors.ts";

/** Plugins that are refused, before any request reaches them. Faults of running guests are outcomes, not errors. */
export const WASM_ERRORS = {
  PENSTOCK_WASM_INVALID: {
    message: "the bytes are not a valid WebAssembly module",
    status: 422,
    hint: "build the plugin with `penstock plugin build`, or check it with `wasm-validate`",
  },
  PENSTOCK_WASM_REFUSED: {
    message: "the module uses something plugins may not use",
    status: 422,
    hint: "compile without threads, exceptions, GC, memory64 and multiple memories; import only what `penstock`, Proxy-Wasm or http-wasm have",
  },
  PENSTOCK_WASM_LIMIT: {
    message: "the module exceeds a limit",
    status: 422,
    hint: "make the module smaller, or ask the operator for a larger quota",
  },
  PENSTOCK_WASM_INTERFACE: {
    message: "the module does not follow the plugin interface",
    status: 422,
    hint: "export `memory`, `penstock_abi_2` and at least one hook: the SDK in `penstock/assembly` does",
  },
  PENSTOCK_WASM_CONFIGURE: {
    message: "the plugin did not accept its configuration",
    status: 422,
    hint: "the detail is the plugin's own last log line, or the fault that ended it",
  },
  PENSTOCK_WASM_QUOTA: {
    message: "the tenant's quota does not allow another guest",
    status: 422,
    hint: "use plugins in fewer places, or have the operator raise `quotas.guests`",
  },
  PENSTOCK_WASM_TIMEOUT: {
    message: "the module takes too long to compile",
    status: 422,
    hint: "split large functions; deeply nested blocks compile slowly",
  },
} as const;

export const wasmError = thrower(WASM_ERRORS);
