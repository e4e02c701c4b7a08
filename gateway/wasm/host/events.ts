/** Host calls for hooks that belong to no exchange: the clock's, and the admin API's messages. */
import { MESSAGE_BYTES_MAX, TICK_MS_MIN } from "#sdk/types/abi.ts";
import { PHASE_CONFIGURE, PHASE_MESSAGE } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest } from "./transfer.ts";

export const eventCalls: Makers<"tick_every" | "message_get" | "message_reply"> = {
  tick_every: (guest) => (periodMs) => {
    if (!guest.may(PHASE_CONFIGURE, "tick_every")) return undefined;
    guest.tickMs = periodMs <= 0 ? 0 : Math.max(TICK_MS_MIN, periodMs);
    return undefined;
  },

  message_get: (guest) => (pointer, capacity) => {
    if (!guest.may(PHASE_MESSAGE, "message_get")) return 0;
    const { message } = guest;
    return message === null ? 0 : copyToGuest(guest, message, 0, message.length, pointer, capacity);
  },

  message_reply: (guest) => (pointer, length) => {
    if (!guest.may(PHASE_MESSAGE, "message_reply")) return undefined;
    guest.answer = bytesOf(guest, pointer, length, MESSAGE_BYTES_MAX, "a message's answer");
    return undefined;
  },
};
