/**
 * The Proxy-Wasm ABI as a check of a module: its version, its imports, the types of its callbacks. What a module exports
 * beside is its own. Pure, for the builder process.
 */
import { EXPORT_MEMORY } from "#sdk/types/abi.ts";
import type { InterfaceCheck } from "#wasm/validate/interface-check.ts";
import type { ImportShape, ModuleShape } from "#wasm/validate/module.ts";
import {
  checkExport,
  checkImport,
  functionType,
  missing,
  sameType,
  type Signature,
} from "#wasm/validate/signatures.ts";
import { KIND_MEMORY } from "#wasm/validate/types.ts";
import { wasiSignature } from "#wasm/wasi/signatures.ts";
import {
  PROXY_CALLBACKS,
  PROXY_CALLS,
  PROXY_WASM_VERSIONS,
  type ProxyWasmVersion,
  SHORT_CALLBACKS,
  WITHOUT_RESULT,
} from "./abi.ts";

const MARKER = "proxy_abi_version_";
const calls: ReadonlyMap<string, Signature> = new Map(Object.entries(PROXY_CALLS));
const callbacks: ReadonlyMap<string, Signature> = new Map(Object.entries(PROXY_CALLBACKS));

/** At least one of them must be there: without, a plugin would never hear of anything. */
const PURPOSES =
  /^proxy_on_(new_connection|(down|up)stream_data|(request|response)_(headers|body|trailers)|log|done|tick)$/;

/** The newest version that a module's names tell, of those that are known; undefined: none of them. */
export function versionOf(names: readonly string[]): ProxyWasmVersion | undefined {
  return PROXY_WASM_VERSIONS.findLast((version) => names.includes(MARKER + version.replaceAll(".", "_")));
}

export const PROXY_WASM_INTERFACE: InterfaceCheck = {
  check(shape) {
    const names = shape.exports.map((entry) => entry.name);
    const version = versionOf(names);
    if (version === undefined) {
      const other = names.find((name) => name.startsWith(MARKER))?.slice(MARKER.length);
      const spoken = (other ?? "").replaceAll("_", ".");
      throw missing(`it speaks Proxy-Wasm ${spoken}; ${PROXY_WASM_VERSIONS.join(", ")} run here`);
    }
    for (const entry of shape.imports) checkImport(entry, importable(entry));
    const memory = shape.exports.find((entry) => entry.name === EXPORT_MEMORY);
    if (memory?.kind !== KIND_MEMORY) throw missing(`no memory is exported as "${EXPORT_MEMORY}"`);
    const hooks = checkCallbacks(shape);
    if (!hooks.some((name) => PURPOSES.test(name)))
      throw missing("none of the callbacks of streams, logs and ticks is exported");
    const imports = shape.imports.map((entry) => entry.name);
    return { abi: `proxy-wasm ${version}`, imports, hooks, suspends: false };
  },
};

/** Its callbacks, lifecycle and allocator left out. */
function checkCallbacks(shape: ModuleShape): string[] {
  const hooks: string[] = [];
  for (const entry of shape.exports) {
    const expected = callbacks.get(entry.name);
    if (expected === undefined) continue;
    const short = SHORT_CALLBACKS[entry.name];
    const isShort = short !== undefined && sameType(functionType(shape, entry), short);
    if (!isShort && entry.name !== "main") checkExport(shape, entry, expected);
    if (entry.name.startsWith("proxy_on_") && entry.name !== "proxy_on_memory_allocate") hooks.push(entry.name);
  }
  return hooks;
}

function importable(entry: ImportShape): Signature | undefined {
  if (entry.module !== "env") return wasiSignature(entry.module, entry.name);
  const known = calls.get(entry.name);
  const bare = known !== undefined && WITHOUT_RESULT.has(entry.name) && entry.type.results.length === 0;
  return bare ? { params: known.params, results: [] } : known;
}
