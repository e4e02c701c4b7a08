/** The core interface: hooks without parameters, exported by their names. */
import { CORE_CALLS } from "#wasm/host/table.ts";
import { GUEST_END, GUEST_REQUEST_HEAD, GUEST_RESPONSE_HEAD, makeHooks } from "./hooks.ts";
import { instantiateModule } from "./instantiate-module.ts";
import type { GuestRuntime } from "./runtime.ts";

const BITS: readonly (readonly [string, number])[] = [
  ["on_request", GUEST_REQUEST_HEAD],
  ["on_response", GUEST_RESPONSE_HEAD],
  ["on_end", GUEST_END],
];

export const coreRuntime: GuestRuntime = {
  kind: "core",
  calls: CORE_CALLS,

  instantiate(loaded, imports, guest) {
    const { exports, meter, start } = instantiateModule(loaded.module, imports, guest);
    const hook = <T>(name: string): T | undefined => exports[name] as T | undefined;
    let present = 0;
    for (const [name, bit] of BITS) if (name in exports) present |= bit;
    const own = {
      start,
      configure: hook<() => number>("on_configure"),
      requestHead: hook<() => number>("on_request"),
      responseHead: hook<() => number>("on_response"),
      end: hook<() => void>("on_end"),
    };
    return { meter, hooks: makeHooks(present, own) };
  },
};
