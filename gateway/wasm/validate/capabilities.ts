/** What a module asks for by the host calls that it imports: what a route's `allow` list must hold for them to be of use. */
import { ABI_FUNCTIONS, type AbiFunction } from "#sdk/types/abi.ts";

/** Of the proxy-wasm interface, which names no permissions of its own. */
const PROXY_WASM: Readonly<Record<string, string>> = {
  proxy_http_call: "upstreams",
  proxy_grpc_call: "upstreams",
  proxy_grpc_stream: "upstreams",
  proxy_get_shared_data: "keyValue",
  proxy_set_shared_data: "keyValue",
  proxy_register_shared_queue: "keyValue",
  proxy_resolve_shared_queue: "keyValue",
  proxy_enqueue_shared_queue: "keyValue",
  proxy_dequeue_shared_queue: "keyValue",
};

/** Sorted, each once. `imports`: names of host calls, with or without their module in front. */
export function capabilitiesOf(imports: readonly string[]): string[] {
  const asked = new Set<string>();
  for (const imported of imports) {
    const name = imported.slice(imported.lastIndexOf(".") + 1);
    const row: AbiFunction | undefined = Object.hasOwn(ABI_FUNCTIONS, name)
      ? ABI_FUNCTIONS[name as keyof typeof ABI_FUNCTIONS]
      : undefined;
    const capability = row?.capability ?? (Object.hasOwn(PROXY_WASM, name) ? PROXY_WASM[name] : undefined);
    if (capability !== undefined) asked.add(capability);
  }
  return [...asked].toSorted();
}
