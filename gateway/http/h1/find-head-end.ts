import { CR, LF } from "#http/octets.ts";

/**
 * Offset after the first CRLF CRLF in [from, end), or −1. For a head that drips in: the parser is run on the first
 * bytes, to refuse bad ones early, and again once this has found the end or the limit is reached, not at every byte.
 * Start three bytes before the last `end`, where an empty line may have begun.
 */
export function findHeadEnd(memory: Uint8Array, from: number, end: number): number {
  // Looks at every fourth byte: a byte above CR can be none of the four, nor any of the three before it the last one.
  let at = from + 3;
  while (at < end) {
    const octet = memory[at] as number;
    if (octet > CR) at += 4;
    else if (octet === LF && memory[at - 1] === CR && memory[at - 2] === LF && memory[at - 3] === CR) return at + 1;
    else at++;
  }
  return -1;
}
