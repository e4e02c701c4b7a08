/** The core interface: each hook is an export of its name. */
import { CORE_CALLS } from "#wasm/host/table.ts";
import {
  GUEST_CONNECTION,
  GUEST_DATA,
  GUEST_END,
  GUEST_MESSAGE,
  GUEST_REQUEST_BODY,
  GUEST_REQUEST_END,
  GUEST_REQUEST_HEAD,
  GUEST_RESPONSE_BODY,
  GUEST_RESPONSE_END,
  GUEST_RESPONSE_HEAD,
  GUEST_TICK,
  type GuestHooks,
  makeHooks,
  type OwnHooks,
} from "./hooks.ts";
import type { GuestRuntime } from "./runtime.ts";

type Name = Exclude<keyof GuestHooks, "present" | "start">;

/** Exported name, hook, and its bit; the configuration is always asked for. */
const HOOKS: readonly (readonly [exported: string, name: Name, bit: number])[] = [
  ["on_configure", "configure", 0],
  ["on_request", "requestHead", GUEST_REQUEST_HEAD],
  ["on_request_body", "requestBody", GUEST_REQUEST_BODY],
  ["on_request_end", "requestEnd", GUEST_REQUEST_END],
  ["on_response", "responseHead", GUEST_RESPONSE_HEAD],
  ["on_response_body", "responseBody", GUEST_RESPONSE_BODY],
  ["on_response_end", "responseEnd", GUEST_RESPONSE_END],
  ["on_end", "end", GUEST_END],
  ["on_connection", "connection", GUEST_CONNECTION],
  ["on_data", "data", GUEST_DATA],
  ["on_tick", "tick", GUEST_TICK],
  ["on_message", "message", GUEST_MESSAGE],
];

export const coreRuntime: GuestRuntime = {
  kind: "core",
  calls: CORE_CALLS,

  partsOf({ exports, meter, start }) {
    const own: Record<string, unknown> = { start };
    let present = 0;
    for (const [exported, name, bit] of HOOKS) {
      if (!(exported in exports)) continue;
      own[name] = exports[exported];
      present |= bit;
    }
    // The validator has held their types against the interface's.
    return { meter, hooks: makeHooks(present, own as OwnHooks) };
  },
};
