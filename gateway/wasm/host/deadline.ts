/** What a host call that waits may take: the route's deadline counts from the beginning of the hook. */
import type { Guest } from "#wasm/guest/guest.ts";

/**
 * By how much the time-out of a call is behind the deadline where the plugin asks for no shorter one: else the two race, and a guest that should
 * end may hear of it and go on.
 */
const BEHIND_MS = 1000;

/** The time-out of a call of a hook that still has `allowedMs`. `wantedMs`: the plugin's own; 0: none. */
export function timeoutWithin(allowedMs: number, wantedMs: number): number {
  return wantedMs > 0 && wantedMs < allowedMs ? wantedMs : allowedMs + BEHIND_MS;
}

/** Milliseconds that the hook still has. */
export function leftMs(guest: Guest): number {
  const { services, spec } = guest.environment;
  return spec.limits.deadlineMs - (services.nowMs() - guest.startedMs);
}

/**
 * Waits at most `allowedMs`; then the guest is ended and its filter told. Null: what it waited for has failed, or the guest was ended
 * meanwhile: its stack and its place are free at once, whatever becomes of what it waited for.
 */
export async function waitFor<T>(guest: Guest, awaited: Promise<T>, allowedMs: number): Promise<T | null> {
  const ended = new Promise<null>((resolve) => {
    guest.onEnded = () => resolve(null);
  });
  const timer = setTimeout(() => {
    guest.expired = true;
    guest.fail("the deadline passed while it waited");
    guest.onDeadline?.();
  }, allowedMs);
  try {
    return await Promise.race([awaited, ended]);
  } finally {
    clearTimeout(timer);
    guest.onEnded = null;
  }
}
