/**
 * Writing into a bounded region of memory. Every writer takes `at` and `limit` and answers the offset after what it
 * wrote, or −1 when that would not fit; a writer given −1 answers −1, so that a sequence is checked once at its end.
 */
import { CR, DIGIT_0, LF } from "#http/octets.ts";

/** Below this a byte loop beats the call into the engine (measured: 24 ns the call, 0.8 ns a byte). */
const COPY_LOOP_BYTES = 24;

/** Copies [start, end) of the same memory. */
export function writeCopy(memory: Uint8Array, at: number, limit: number, start: number, end: number): number {
  const bytes = end - start;
  if (at < 0 || bytes > limit - at) return -1;
  if (bytes > COPY_LOOP_BYTES) memory.copyWithin(at, start, end);
  else for (let i = 0; i < bytes; i++) memory[at + i] = memory[start + i] as number;
  return at + bytes;
}

/** Fixed pieces, as bytes: no string is walked per message. */
export function piece(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function writePiece(memory: Uint8Array, at: number, limit: number, bytes: Uint8Array): number {
  const length = bytes.length;
  if (at < 0 || length > limit - at) return -1;
  for (let i = 0; i < length; i++) memory[at + i] = bytes[i] as number;
  return at + length;
}

/** Latin-1 text, for replies that are not on the hot path. */
export function writeText(memory: Uint8Array, at: number, limit: number, text: string): number {
  if (at < 0 || text.length > limit - at) return -1;
  for (let i = 0; i < text.length; i++) memory[at + i] = text.charCodeAt(i);
  return at + text.length;
}

export function writeCrlf(memory: Uint8Array, at: number, limit: number): number {
  if (at < 0 || limit - at < 2) return -1;
  memory[at] = CR;
  memory[at + 1] = LF;
  return at + 2;
}

/** A non-negative safe integer in decimal. */
export function writeDecimal(memory: Uint8Array, at: number, limit: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  if (at < 0 || digits > limit - at) return -1;
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    memory[at + i] = DIGIT_0 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + digits;
}

/** A non-negative safe integer in lower-case hexadecimal. */
export function writeHexadecimal(memory: Uint8Array, at: number, limit: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 16; rest = Math.floor(rest / 16)) digits++;
  if (at < 0 || digits > limit - at) return -1;
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    const digit = rest % 16;
    memory[at + i] = digit < 10 ? DIGIT_0 + digit : 0x57 + digit;
    rest = Math.floor(rest / 16);
  }
  return at + digits;
}
