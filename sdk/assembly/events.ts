// Hooks that belong to no request: the clock's, and the admin API's messages.
import { message_get, message_reply, tick_every } from "./host";
import { BUFFER_BYTES, bufferFor, decode, encode, encoded, encodedLength, inBuffer } from "./text";

/** In `onConfigure`: `onTick` is called so often, in each worker; at least every 100 ms. While one waits for a fetch there is no other. */
export function tickEvery(periodMs: i32): void {
  tick_every(periodMs);
}

/** What `onMessage` is given. */
export class Message {
  get text(): string {
    let buffer = inBuffer;
    let length = message_get(buffer, BUFFER_BYTES);
    if (length > BUFFER_BYTES) {
      buffer = bufferFor(length);
      length = message_get(buffer, length);
    }
    return decode(buffer, length);
  }

  /** What its sender is answered. */
  answer(text: string): void {
    encode(text);
    message_reply(encoded, encodedLength);
  }
}
