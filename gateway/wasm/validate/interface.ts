/**
 * Holds a module's imports and exports against the interface that it speaks. One table a kind of guest; pure, for the
 * builder process. What a module imports beyond its kind's table is refused.
 */
import { HTTP_WASM_INTERFACE } from "#wasm/http-wasm/interface.ts";
import { PROXY_WASM_INTERFACE } from "#wasm/proxy-wasm/interface.ts";
import { CORE_INTERFACE } from "./core-interface.ts";
import type { InterfaceCheck, ModuleInterface } from "./interface-check.ts";
import { kindOf, type ModuleKind } from "./kind.ts";
import type { ModuleShape } from "./module.ts";
import { missing } from "./signatures.ts";

const CHECKS: Partial<Record<ModuleKind, InterfaceCheck>> = {
  core: CORE_INTERFACE,
  "proxy-wasm": PROXY_WASM_INTERFACE,
  "http-wasm": HTTP_WASM_INTERFACE,
};

export function checkInterface(shape: ModuleShape): ModuleInterface {
  const kind = kindOf(shape);
  const known = CHECKS[kind];
  if (known === undefined) throw missing(`it is a ${kind} module, which this gateway does not run`);
  return { kind, ...known.check(shape) };
}
