/** Parameters of a query as they stand, without percent decoding, and secrets among them made unreadable. */
import type { Head } from "#http/head.ts";

const ASTERISK = 0x2a;
const AMPERSAND = 0x26;
const EQUALS = 0x3d;
const QUESTION = 0x3f;

/** Where the value of the first parameter of this name starts, or −1. `from`: the start of a query, or an ampersand in it. */
export function parameterStart(memory: Uint8Array, from: number, to: number, name: Uint8Array): number {
  for (let at = from; at < to; at = parameterEnd(memory, at, to) + 1) {
    while (memory[at] === AMPERSAND && at < to) at++;
    const end = at + name.length;
    if (end >= to) return -1;
    if (memory[end] !== EQUALS) continue;
    let same = true;
    for (let i = 0; i < name.length; i++) if (memory[at + i] !== name[i]) same = false;
    if (same) return end + 1;
  }
  return -1;
}

export function parameterEnd(memory: Uint8Array, from: number, to: number): number {
  let end = from;
  while (end < to && memory[end] !== AMPERSAND) end++;
  return end;
}

/** Overwrites every value of the parameter with asterisks, as the upstream gets it and as it was received, for the log. */
export function maskParameter(request: Head, name: Uint8Array): void {
  const { memory, queryStart, queryEnd, targetStart, targetEnd } = request;
  mask(memory, queryStart, queryEnd, name);
  // Another place when an earlier filter has rewritten the target.
  let question = targetStart;
  while (question < targetEnd && memory[question] !== QUESTION) question++;
  mask(memory, question + 1, targetEnd, name);
}

function mask(memory: Uint8Array, from: number, to: number, name: Uint8Array): void {
  for (let start = parameterStart(memory, from, to, name); start >= 0;) {
    const end = parameterEnd(memory, start, to);
    memory.fill(ASTERISK, start, end);
    start = parameterStart(memory, end, to, name);
  }
}
