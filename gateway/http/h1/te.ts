/** TE: the transfer codings that a sender takes, and whether it keeps trailers (RFC 9110 section 10.1.4). */
import type { Head } from "#http/head.ts";
import { TE } from "#http/names.ts";
import { COMMA, equalsIgnoreCase, HTAB, SP } from "#http/octets.ts";

const TRAILERS_WORD = "trailers";

/** The sender of this request does not throw trailers of its response away. Allocates nothing. */
export function takesTrailers(head: Head): boolean {
  if (head.minor !== 1 || (head.seen & (1 << TE)) === 0) return false;
  const { memory } = head;
  for (let index = head.find(TE); index >= 0; index = head.find(TE, index + 1)) {
    const end = head.valueEnd(index);
    for (let at = head.valueStart(index); at < end; at++) {
      while (at < end && isSpace(memory[at] as number)) at++;
      const start = at;
      while (at < end && memory[at] !== COMMA) at++;
      let stop = at;
      while (stop > start && isSpace(memory[stop - 1] as number)) stop--;
      if (equalsIgnoreCase(memory, start, stop, TRAILERS_WORD)) return true;
    }
  }
  return false;
}

function isSpace(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
