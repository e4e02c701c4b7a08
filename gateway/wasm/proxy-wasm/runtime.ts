/** Proxy-Wasm guests: from an instance to its VM, which stands in the place of a guest's hooks. */
import type { GuestRuntime } from "#wasm/guest/runtime.ts";
import { PROXY_CALLBACKS, type ProxyCallbackName, type ProxyWasmVersion } from "./abi.ts";
import { PROXY_WASM_CALLS } from "./calls.ts";
import { identityOf } from "./identity.ts";
import { versionOf } from "./interface.ts";
import { FOREIGN_START_FUEL } from "#wasm/wasi/start-fuel.ts";
import { type Callback, type Callbacks, hooksOfVm, ProxyWasmVm } from "./vm.ts";

/** Its validator has admitted no other. */
const OLDEST: ProxyWasmVersion = "0.1.0";

export const proxyWasmRuntime: GuestRuntime = {
  kind: "proxy-wasm",
  calls: PROXY_WASM_CALLS,
  startFuel: FOREIGN_START_FUEL,

  partsOf({ exports, meter, start }, _loaded, guest) {
    const version = versionOf(Object.keys(exports)) ?? OLDEST;
    const found: Partial<Record<ProxyCallbackName, Callback>> = {};
    for (const name of Object.keys(PROXY_CALLBACKS) as ProxyCallbackName[]) {
      if (name in exports) found[name] = exports[name] as Callback;
    }
    const callbacks: Callbacks = found;
    const vm = new ProxyWasmVm(guest, version, callbacks, identityOf(guest.environment), start);
    return { meter, hooks: hooksOfVm(vm) };
  },
};
