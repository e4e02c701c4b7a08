/** Host calls for time and chance. */
import { randomFillSync } from "node:crypto";
import { hrtime } from "node:process";
import { uptime } from "node:os";
import { RANDOM_BYTES_MAX } from "#sdk/types/abi.ts";
import { PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { inMemory } from "./transfer.ts";

const RANDOM_COST = 1_000;

/** CLOCK_BOOTTIME minus CLOCK_MONOTONIC, in ms: the time the machine has slept. To a second where that is all we get. */
let sleptMs = Number.NaN;

function bootMs(): number {
  const monotonicMs = Number(hrtime.bigint()) / 1e6;
  if (Number.isNaN(sleptMs)) {
    const difference = uptime() * 1000 - monotonicMs;
    sleptMs = difference < 1000 ? 0 : difference;
  }
  return monotonicMs + sleptMs;
}

export const clockCalls: Makers<"now_ms" | "boot_ms" | "random_bytes"> = {
  now_ms: (guest) => () => (guest.may(PHASES_ALL, "now_ms") ? guest.environment.services.nowMs() : 0),

  boot_ms: (guest) => () => {
    if (!guest.may(PHASES_ALL, "boot_ms")) return 0;
    return guest.environment.services.bootMs?.() ?? bootMs();
  },

  random_bytes: (guest) => (pointer, length) => {
    if (!guest.may(PHASES_ALL, "random_bytes")) return undefined;
    if (length >>> 0 > RANDOM_BYTES_MAX) {
      guest.fail(`random_bytes of ${length >>> 0} bytes`);
    } else if (inMemory(guest, pointer, length)) {
      guest.charge(RANDOM_COST);
      randomFillSync(guest.bytes, pointer >>> 0, length);
      guest.wrote(pointer >>> 0, length);
    }
    return undefined;
  },
};
