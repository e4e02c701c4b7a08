/** Host calls over the bytes at hand, and over what a plugin keeps of its exchange or stream. */
import { BODY_WINDOW_BYTES_MAX, EXCHANGE_BYTES_MAX } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import type { ByteWindow } from "#wasm/guest/byte-window.ts";
import { PHASES_BYTES, PHASES_EXCHANGE, PHASES_HEADS } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest, inMemory } from "./transfer.ts";

function windowOf(guest: Guest, call: string): ByteWindow | null {
  return guest.may(PHASES_BYTES, call) ? guest.window : null;
}

export const byteCalls: Makers<
  "body_size" | "body_get" | "body_splice" | "body_skip" | "exchange_put" | "exchange_get"
> = {
  body_size: (guest) => () => windowOf(guest, "body_size")?.size ?? 0,

  body_get: (guest) => (offset, pointer, capacity) => {
    const window = windowOf(guest, "body_get");
    if (window === null || offset >>> 0 >= window.size) return 0;
    const start = window.start + (offset >>> 0);
    const end = Math.min(window.end, start + (capacity >>> 0));
    const copied = copyToGuest(guest, window.memory, start, end, pointer, capacity);
    return Math.max(0, copied);
  },

  body_splice: (guest) => (offset, removed, pointer, length) => {
    const window = windowOf(guest, "body_splice");
    if (window === null || !inMemory(guest, pointer, length)) return 0;
    if ((offset >>> 0) + (removed >>> 0) > window.size) {
      guest.fail(`body_splice of ${offset >>> 0} + ${removed >>> 0}, beyond the ${window.size} bytes at hand`);
      return 0;
    }
    if (length >>> 0 > BODY_WINDOW_BYTES_MAX) return 0;
    guest.charge((length >>> 4) + (window.size >>> 4));
    const from = pointer >>> 0;
    return window.splice(offset >>> 0, removed >>> 0, guest.bytes, from, from + (length >>> 0)) ? 1 : 0;
  },

  body_skip: (guest) => () => {
    if (guest.may(PHASES_HEADS, "body_skip")) guest.skipsBody = true;
    return undefined;
  },

  exchange_put: (guest) => (pointer, length) => {
    if (!guest.may(PHASES_EXCHANGE, "exchange_put")) return undefined;
    const bytes = bytesOf(guest, pointer, length, EXCHANGE_BYTES_MAX, "what is kept of an exchange");
    const { kept } = guest;
    if (bytes !== null && kept !== null) kept.kept = bytes;
    return undefined;
  },

  exchange_get: (guest) => (pointer, capacity) => {
    if (!guest.may(PHASES_EXCHANGE, "exchange_get")) return 0;
    const bytes = guest.kept?.kept ?? null;
    return bytes === null ? 0 : copyToGuest(guest, bytes, 0, bytes.length, pointer, capacity);
  },
};
