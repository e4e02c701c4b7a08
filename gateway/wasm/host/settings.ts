/** Host calls for configuration and log. */
import { LOG_BYTES_MAX, LOG_LEVELS } from "#sdk/types/abi.ts";
import { PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { copyToGuest, textOf } from "./transfer.ts";

const KEY_BYTES_MAX = 256;
/** Writing a line takes about 2 µs. */
const LOG_COST = 2_000;

export const settingCalls: Makers<"config_get" | "log"> = {
  config_get: (guest) => (keyPointer, keyLength, pointer, capacity) => {
    if (!guest.may(PHASES_ALL, "config_get")) return -1;
    const key = textOf(guest, keyPointer, keyLength, KEY_BYTES_MAX, "a configuration key");
    const value = key === null ? undefined : guest.environment.config.get(key);
    return value === undefined ? -1 : copyToGuest(guest, value, 0, value.length, pointer, capacity);
  },

  log: (guest) => (level, pointer, length) => {
    if (!guest.may(PHASES_ALL, "log")) return undefined;
    const name = LOG_LEVELS[level];
    if (name === undefined) {
      guest.fail(`log at the unknown level ${level}`);
      return undefined;
    }
    const text = textOf(guest, pointer, length, LOG_BYTES_MAX, "a log line");
    if (text === null) return undefined;
    guest.charge(LOG_COST);
    guest.lastLog = text;
    const { services, logs } = guest.environment;
    if (logs.take(services.nowMs())) services.log(name, guest.environment.name, text);
    return undefined;
  },
};
