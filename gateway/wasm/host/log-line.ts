/** One line of a guest in the gateway's log: charged, bounded in length, and within the budget of its filter. */
import { LOG_BYTES_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASE_DEAD } from "#wasm/guest/phases.ts";

/** Writing a line takes about 2 µs. */
const LOG_COST = 2_000;

export function logLine(guest: Guest, level: "debug" | "info" | "warn" | "error", text: string): void {
  if (guest.phase === PHASE_DEAD) return;
  guest.charge(LOG_COST);
  const line = text.length > LOG_BYTES_MAX ? text.slice(0, LOG_BYTES_MAX) : text;
  guest.lastLog = line;
  const { services, logs, name } = guest.environment;
  if (logs.take(services.nowMs())) services.log(level, name, line);
}
