/**
 * Small values across the boundary, for interfaces whose calls answer a bad pointer with a status instead of ending the
 * guest. Pointers and lengths come as signed 32-bit integers; `>>> 0` makes them what they mean.
 */
import { findName } from "#http/names.ts";
import type { Guest } from "#wasm/guest/guest.ts";

/** A copy of its own and, for most, a string: about 0.5 µs, whatever the length. */
const COPY_COST = 300;
/** Copying costs a unit for so many bytes, as a power of two. */
const COPY_SHIFT = 4;

/** True when the range lies in the guest's memory. */
export function isInMemory(guest: Guest, pointer: number, length: number): boolean {
  return (pointer >>> 0) + (length >>> 0) <= guest.bytes.length;
}

/** A view of the guest's bytes, valid until the guest runs; null for a range outside the memory. */
export function viewOf(guest: Guest, pointer: number, length: number): Uint8Array | null {
  if (!isInMemory(guest, pointer, length)) return null;
  guest.charge(COPY_COST + (length >>> COPY_SHIFT));
  return guest.bytes.subarray(pointer >>> 0, (pointer >>> 0) + (length >>> 0));
}

/** One character a byte; null for a range outside the memory. */
export function latin1At(guest: Guest, pointer: number, length: number): string | null {
  const view = viewOf(guest, pointer, length);
  return view === null
    ? null
    : Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.length).toString("latin1");
}

/** A name is compared in words of four bytes. */
const NAME_WORD_BYTES = 4;
const NAME_BYTES_MAX = 256;

/** The id of a header name, in any case, that somebody has interned; 0 for another, and for a range outside the memory. */
export function nameIdAt(guest: Guest, pointer: number, length: number): number {
  if (length <= 0 || length > NAME_BYTES_MAX) return 0;
  return isInMemory(guest, pointer, Math.max(length, NAME_WORD_BYTES))
    ? findName(guest.view, pointer >>> 0, length)
    : 0;
}

const utf8 = new TextDecoder();

/** Null for a range outside the memory. */
export function textAt(guest: Guest, pointer: number, length: number): string | null {
  const view = viewOf(guest, pointer, length);
  return view === null ? null : utf8.decode(view);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

/** False for a pointer outside the memory. */
export function writeU32(guest: Guest, pointer: number, value: number): boolean {
  const at = pointer >>> 0;
  const { bytes } = guest;
  if (at + 4 > bytes.length) return false;
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  guest.wrote(at, 4);
  return true;
}

/** False for a pointer outside the memory. */
export function writeU64(guest: Guest, pointer: number, value: bigint): boolean {
  const low = Number(BigInt.asUintN(32, value));
  const high = Number(BigInt.asUintN(32, value >> 32n));
  return isInMemory(guest, pointer, 8) && writeU32(guest, pointer, low) && writeU32(guest, pointer + 4, high);
}

/** False for a range outside the memory. */
export function writeBytes(guest: Guest, pointer: number, source: Uint8Array): boolean {
  if (!isInMemory(guest, pointer, source.length)) return false;
  guest.charge(source.length >>> COPY_SHIFT);
  guest.bytes.set(source, pointer >>> 0);
  guest.wrote(pointer >>> 0, source.length);
  return true;
}
