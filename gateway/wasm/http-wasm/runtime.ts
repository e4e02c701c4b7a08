/** http-wasm guests: from an instance to its handler, which stands in the place of a guest's hooks. */
import type { GuestRuntime } from "#wasm/guest/runtime.ts";
import { configurationText } from "#wasm/proxy-wasm/identity.ts";
import { FOREIGN_START_FUEL } from "#wasm/wasi/start-fuel.ts";
import { HTTP_WASM_CALLS } from "./calls.ts";
import { type HandlerExports, hooksOfHandler, HttpHandler } from "./handler.ts";

const BODY_CALLS = new Set(["read_body", "write_body"]);

export const httpWasmRuntime: GuestRuntime = {
  kind: "http-wasm",
  calls: HTTP_WASM_CALLS,
  startFuel: FOREIGN_START_FUEL,

  partsOf({ exports, meter, start }, loaded, guest) {
    const run = (exports["_initialize"] ?? exports["_start"]) as (() => void) | undefined;
    const own: HandlerExports = {
      start: () => {
        start?.();
        run?.();
      },
      handleRequest: exports["handle_request"] as HandlerExports["handleRequest"],
      handleResponse: exports["handle_response"] as HandlerExports["handleResponse"],
    };
    const configuration = Buffer.from(configurationText(guest.environment.spec), "utf8");
    const wantsBodies = loaded.calls.some((call) => BODY_CALLS.has(call.name));
    const handler = new HttpHandler(guest, own, configuration, wantsBodies);
    return { meter, hooks: hooksOfHandler(handler) };
  },
};
