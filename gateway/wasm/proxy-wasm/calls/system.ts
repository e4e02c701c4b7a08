/** Host calls for log, clock, timer and foreign functions, and the two that Emscripten's toolchain links against. */
import type { Handlers } from "#wasm/host/call-table.ts";
import { logLine } from "#wasm/host/log-line.ts";
import { isInMemory, latin1At, textAt, writeU32, writeU64 } from "#wasm/host/memory.ts";
import {
  BAD_ARGUMENT,
  INVALID_MEMORY_ACCESS,
  LOG_LEVEL_INFO,
  NOT_FOUND,
  OK,
  type PROXY_CALLS,
  PROXY_LOG_LEVELS,
} from "#wasm/proxy-wasm/abi.ts";
import { vmOf } from "#wasm/proxy-wasm/vm.ts";
import { nowNs } from "#wasm/wasi/calls.ts";

type Names =
  | "proxy_log"
  | "proxy_get_log_level"
  | "proxy_get_current_time_nanoseconds"
  | "proxy_set_tick_period_milliseconds"
  | "proxy_call_foreign_function"
  | "emscripten_notify_memory_growth"
  | "pthread_equal";

const LINE_BYTES_MAX = 4096;
const NAME_BYTES_MAX = 256;
/** Ticks come no more often. */
export const TICK_MS_MIN = 10;

export const systemCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_log: (guest) => (level, pointer, length) => {
    const name = PROXY_LOG_LEVELS[level];
    if (name === undefined) return BAD_ARGUMENT;
    if (!isInMemory(guest, pointer, length)) return INVALID_MEMORY_ACCESS;
    if (name === "debug") return OK;
    const text = textAt(guest, pointer, Math.min(length >>> 0, LINE_BYTES_MAX));
    if (text !== null) logLine(guest, name, text);
    return OK;
  },

  proxy_get_log_level: (guest) => (pointer) => (writeU32(guest, pointer, LOG_LEVEL_INFO) ? OK : INVALID_MEMORY_ACCESS),

  proxy_get_current_time_nanoseconds: (guest) => (pointer) =>
    writeU64(guest, pointer, nowNs(guest)) ? OK : INVALID_MEMORY_ACCESS,

  proxy_set_tick_period_milliseconds: (guest) => (period) => {
    const ms = period >>> 0;
    vmOf(guest).tickEvery(ms === 0 ? 0 : Math.max(TICK_MS_MIN, Math.min(ms, 0x7fff_ffff)));
    return OK;
  },

  // A host's own functions, by name: this one has none, and says which was wanted.
  proxy_call_foreign_function: (guest) => (name, nameLength, argument, argumentLength) => {
    const text = latin1At(guest, name, Math.min(nameLength >>> 0, NAME_BYTES_MAX));
    if (text === null || !isInMemory(guest, name, nameLength) || !isInMemory(guest, argument, argumentLength)) {
      return INVALID_MEMORY_ACCESS;
    }
    logLine(guest, "warn", `it calls the foreign function ${JSON.stringify(text)}, and there is none here`);
    return NOT_FOUND;
  },

  emscripten_notify_memory_growth: () => () => {},

  pthread_equal: () => (first, second) => (first === second ? 1 : 0),
};
