/**
 * Host calls that make a local reply. It is kept in the guest until the hook has answered ACTION_REPLY: a hook that
 * answers otherwise has changed its mind.
 */
import { NAME_FIXED, nameFlags, nameText } from "#http/names.ts";
import { BODY_BYTES_MAX, HEADER_VALUE_BYTES_MAX, REPLY_HEADERS_MAX } from "#sdk/types/abi.ts";
import { PHASES_REPLY } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, latin1Of } from "./transfer.ts";
import { isFieldValue } from "./text.ts";

export const replyCalls: Makers<"reply_header" | "reply"> = {
  reply_header: (guest) => (name, pointer, length) => {
    if (!guest.may(PHASES_REPLY, "reply_header")) return 0;
    const text = nameText(name);
    if (text === "" || (nameFlags(name) & NAME_FIXED) !== 0) return 0;
    if (guest.replyHeaders.length >= REPLY_HEADERS_MAX || length >>> 0 > HEADER_VALUE_BYTES_MAX) return 0;
    const value = latin1Of(guest, pointer, length, HEADER_VALUE_BYTES_MAX, "a header value");
    if (value === null || !isFieldValue(value)) return 0;
    guest.replyHeaders.push([text, value]);
    return 1;
  },

  reply: (guest) => (status, pointer, length) => {
    if (!guest.may(PHASES_REPLY, "reply")) return undefined;
    if (status < 200 || status > 599) {
      guest.fail(`a reply with status ${status}`);
      return undefined;
    }
    const body = bytesOf(guest, pointer, length, BODY_BYTES_MAX, "a reply's body");
    if (body !== null) guest.pendingReply = { status, headers: guest.replyHeaders, body };
    return undefined;
  },
};
