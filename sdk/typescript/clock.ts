import * as time from "penstock:plugin/time@1.0.0";

/** Milliseconds since the epoch. Stands still within a hook, except over what waits. */
export function nowMs(): number {
  return time.nowMs();
}

/** At most 256. */
export function randomBytes(length: number): Uint8Array {
  return time.random(length);
}
