/** Tells what ended a guest, in words for its author: the cause, and the byte of the uploaded module. */
import { AssertionError } from "#core/assert.ts";
import { OFFSETS_SECTION, sourceOffset } from "#wasm/meter/offsets.ts";
import type { Guest } from "./guest.ts";

/** `host-call`: it misused one. `host`: the other end of a host call failed. `configure`: no new guest came up. */
export const FAULT_CAUSES = ["fuel", "trap", "stack", "memory", "deadline", "host-call", "host", "configure"] as const;
export type FaultCause = (typeof FAULT_CAUSES)[number];

export interface Fault {
  readonly cause: FaultCause;
  readonly detail: string;
  /** Offset in the module that was uploaded; −1 when not known. */
  readonly offset: number;
}

/** `error`: what came out of the guest; null when its hook ended, but the host had ended the guest. */
export function describeFault(error: unknown, guest: Guest, module: WebAssembly.Module): Fault {
  // Not the guest's fault but ours: the worker goes down, loudly.
  if (error instanceof AssertionError) throw error;
  const offset = error instanceof Error ? faultOffset(error, module) : -1;
  const spec = guest.environment.spec.limits;
  if (guest.expired) return { cause: "deadline", detail: `${guest.failure} (${spec.deadlineMs} ms)`, offset };
  if (guest.failure !== null) return { cause: "host-call", detail: guest.failure, offset };
  if (error instanceof WebAssembly.SuspendError) {
    return { cause: "host-call", detail: "it waits for something while it is configured, which no plugin can", offset };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError) return { cause: "stack", detail: "the call stack is exhausted", offset };
  if (!(error instanceof WebAssembly.RuntimeError)) return { cause: "host", detail: message, offset };
  if (guest.fuelLeft() < 0) return { cause: "fuel", detail: "the fuel of this call is used up", offset };
  if (guest.meter.growthRefused.value !== 0) {
    return { cause: "memory", detail: `more than ${spec.memoryBytes} bytes of memory were asked for`, offset };
  }
  return { cause: "trap", detail: message, offset };
}

/** The innermost frame of the guest: `… wasm-function[12]:0x1a2b`, an offset in the metered module. */
function faultOffset(error: Error, module: WebAssembly.Module): number {
  const frame = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(error.stack ?? "");
  const [section] = WebAssembly.Module.customSections(module, OFFSETS_SECTION);
  if (frame === null || section === undefined) return -1;
  return sourceOffset(new Uint8Array(section), Number.parseInt(frame[1] ?? "", 16));
}
