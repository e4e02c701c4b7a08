/**
 * Bytes across the boundary. Pointers and lengths come from the guest as signed 32-bit integers; `>>> 0` makes them what
 * they mean. A range outside the memory ends the guest.
 */
import type { Guest } from "#wasm/guest/guest.ts";

/** Up to here a loop is faster than `set` with its two views: about 1 ns a byte against 60 ns. */
const LOOP_BYTES_MAX = 48;

/** A copy of its own and, for most, a string: about 0.5 µs, whatever the length. */
const COPY_COST = 300;

const utf8 = new TextDecoder();

/** True when the range lies in the guest's memory. Otherwise the guest has been ended. */
export function inMemory(guest: Guest, pointer: number, length: number): boolean {
  if ((pointer >>> 0) + (length >>> 0) <= guest.bytes.length) return true;
  guest.fail(`a host call with bytes ${pointer >>> 0} + ${length >>> 0}, outside the memory`);
  return false;
}

/** Copies [start, end) of `source` into the guest, if it fits the capacity. Answers its length. */
export function copyToGuest(
  guest: Guest,
  source: Uint8Array,
  start: number,
  end: number,
  pointer: number,
  capacity: number,
): number {
  const length = end - start;
  if (length > capacity >>> 0) return length;
  if (!inMemory(guest, pointer, length)) return -1;
  const { bytes } = guest;
  const to = pointer >>> 0;
  if (length <= LOOP_BYTES_MAX) {
    for (let at = 0; at < length; at++) bytes[to + at] = source[start + at] as number;
  } else {
    guest.charge(length >> 4);
    bytes.set(source.subarray(start, end), to);
  }
  guest.wrote(to, length);
  return length;
}

export function textToGuest(guest: Guest, text: string, pointer: number, capacity: number): number {
  const bytes = Buffer.from(text, "utf8");
  guest.charge(COPY_COST);
  return copyToGuest(guest, bytes, 0, bytes.length, pointer, capacity);
}

export function chargeCopy(guest: Guest, length: number): void {
  guest.charge(COPY_COST + (length >>> 4));
}

/** A copy of the guest's bytes, or null: then the guest has been ended. */
export function bytesOf(guest: Guest, pointer: number, length: number, max: number, what: string): Uint8Array | null {
  if (length >>> 0 > max) {
    guest.fail(`${what} of ${length >>> 0} bytes, more than ${max}`);
    return null;
  }
  if (!inMemory(guest, pointer, length)) return null;
  chargeCopy(guest, length);
  return guest.bytes.slice(pointer >>> 0, (pointer >>> 0) + (length >>> 0));
}

export function textOf(guest: Guest, pointer: number, length: number, max: number, what: string): string | null {
  const bytes = bytesOf(guest, pointer, length, max, what);
  return bytes === null ? null : utf8.decode(bytes);
}

/** One character a byte: header values. */
export function latin1Of(guest: Guest, pointer: number, length: number, max: number, what: string): string | null {
  const bytes = bytesOf(guest, pointer, length, max, what);
  return bytes === null
    ? null
    : Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length).toString("latin1");
}
