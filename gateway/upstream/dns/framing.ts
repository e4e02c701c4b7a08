/**
 * DNS messages out of a stream of bytes, each with its length in two bytes before it (RFC 1035 §4.2.2). Pure. What is held of
 * a message that is not whole is bounded by the longest there can be.
 */
const LENGTH_BYTES = 2;

export class DnsFramer {
  #held: Uint8Array = new Uint8Array(0);

  /** Takes bytes as they come; `take` is given each message that is whole, and says whether more are wanted. */
  push(bytes: Uint8Array, take: (message: Uint8Array) => boolean): void {
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held);
    all.set(bytes, this.#held.length);
    let at = 0;
    while (all.length - at >= LENGTH_BYTES) {
      const start = at + LENGTH_BYTES;
      const end = start + (((all[at] as number) << 8) | (all[at + 1] as number));
      if (end > all.length) break;
      at = end;
      if (!take(all.subarray(start, end))) break;
    }
    this.#held = all.subarray(at);
  }
}

/** A message with its length before it. */
export function framed(message: Uint8Array): Uint8Array {
  return Uint8Array.of(message.length >> 8, message.length & 0xff, ...message);
}
