/** One cookie's value in a request's Cookie fields (RFC 6265 §4.2.1), found where it was received. */
import type { Head } from "#http/head.ts";
import { COOKIE } from "#http/names.ts";

const SEMICOLON = 0x3b;
const SPACE = 0x20;
const EQUALS = 0x3d;

/** Where the value begins and ends in `head.memory`; valid until the next call. */
export const found = { start: 0, end: 0 };

/** True when there is such a cookie: `found` says where its value is. The first of two counts. */
export function findCookie(head: Head, name: Uint8Array): boolean {
  for (let field = head.find(COOKIE); field >= 0; field = head.find(COOKIE, field + 1)) {
    const end = head.valueEnd(field);
    let at = head.valueStart(field);
    while (at < end) {
      const stop = endOfPair(head.memory, at, end);
      if (isNamed(head.memory, at, stop, name)) {
        found.start = at + name.length + 1;
        found.end = stop;
        return true;
      }
      at = stop + 1;
      while (at < end && head.memory[at] === SPACE) at++;
    }
  }
  return false;
}

function endOfPair(memory: Uint8Array, at: number, end: number): number {
  while (at < end && memory[at] !== SEMICOLON) at++;
  return at;
}

function isNamed(memory: Uint8Array, at: number, end: number, name: Uint8Array): boolean {
  if (at + name.length >= end || memory[at + name.length] !== EQUALS) return false;
  for (let i = 0; i < name.length; i++) if (memory[at + i] !== name[i]) return false;
  return true;
}
