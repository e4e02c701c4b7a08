/**
 * Which of the four interfaces a module speaks, told from the module itself. Pure. A module that speaks none is taken for a
 * core one, whose check then says what is missing.
 *
 *     layer 1 in the preamble            component
 *     export proxy_abi_version_…         proxy-wasm
 *     import from http_handler,
 *     or exports of its two handlers     http-wasm
 *     else (export penstock_abi_…)       core
 */
export const GUEST_KINDS = ["core", "component", "proxy-wasm", "http-wasm"] as const;
export type GuestKind = (typeof GUEST_KINDS)[number];

/** Of modules, which components are not: those hold modules. */
export type ModuleKind = Exclude<GuestKind, "component">;

/** Component Model, binary format: version 0x0d, layer 1 (a module: version 1, layer 0). */
export function isComponent(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && bytes[0] === 0 && bytes[1] === 0x61 && bytes[6] === 1 && bytes[7] === 0;
}

/** What an http-wasm module exports, also one that asks its host for nothing. */
const HANDLERS = ["handle_request", "handle_response"] as const;

/** What both a module that was read and one that was compiled tell. */
interface Named {
  readonly imports: readonly { readonly module: string }[];
  readonly exports: readonly { readonly name: string }[];
}

export function kindOf(shape: Named): ModuleKind {
  if (shape.exports.some((entry) => entry.name.startsWith("penstock_abi_"))) return "core";
  if (shape.exports.some((entry) => entry.name.startsWith("proxy_abi_version_"))) return "proxy-wasm";
  const handles = HANDLERS.every((name) => shape.exports.some((entry) => entry.name === name));
  return handles || shape.imports.some((entry) => entry.module === "http_handler") ? "http-wasm" : "core";
}
