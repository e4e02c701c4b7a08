/** Hand-written Proxy-Wasm modules and a filter around them, without a gateway. */
import { filterSpec, PLUGIN, RESOURCES, TestServices } from "#test/support/wasm.ts";
import { wat } from "#test/support/wat.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { PROXY_CALLS } from "#wasm/proxy-wasm/abi.ts";

/** Memory: 0–1023 the test's data, 1024 on results, 4096 on what the allocator gives; it never gives anything back. */
const ALLOCATOR = `(global $next (mut i32) (i32.const 4096))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (global.get $next) (global.set $next (i32.add (global.get $next) (local.get $size))))`;

export interface ModuleParts {
  /** Names of the host calls that it imports. */
  readonly calls?: readonly (keyof typeof PROXY_CALLS)[];
  /** Further imports. */
  readonly imports?: string;
  /** Functions, each with its export. */
  readonly functions: string;
  readonly version?: string;
  readonly allocator?: string;
}

export function proxyModule({
  calls = [],
  imports = "",
  functions,
  version = "0_2_1",
  allocator = ALLOCATOR,
}: ModuleParts): Uint8Array {
  const called = calls.map((name) => {
    const { params, results } = PROXY_CALLS[name];
    const result = results.length === 0 ? "" : `(result ${results.join(" ")})`;
    return `(import "env" "${name}" (func $${name} (param ${params.join(" ")}) ${result}))`;
  });
  return wat(`(module ${imports} ${called.join("\n")} (memory (export "memory") 1) (func (export "proxy_abi_version_${version}"))
    ${allocator} ${functions})`);
}

/** A callback for request heads whose body answers an action; with locals $a and $b. */
export function onRequestHeaders(body: string): string {
  return `(func (export "proxy_on_request_headers") (param $id i32) (param $count i32) (param $last i32) (result i32)
    (local $a i32) (local $b i32) ${body})`;
}

export interface Made {
  readonly filter: WasmFilter;
  readonly services: TestServices;
}

export async function made(
  wasm: Uint8Array,
  spec: Partial<PluginFilterSpec> = {},
  services = new TestServices(),
): Promise<Made> {
  const loaded = await loadModule(prepareModule(wasm).bytes);
  return { filter: await createWasmFilter(filterSpec(spec), PLUGIN, loaded, services, RESOURCES), services };
}
