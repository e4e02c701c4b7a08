/**
 * What the Connection field says (RFC 9110 section 7.6.1): whether the connection persists, whether the protocol may
 * change, and which fields are for the next hop only. A sender that names an end-to-end field is refused: dropping
 * Host or Content-Length because it was named is how one message becomes two.
 */
import { NAME_END, NAME_ID, NAME_START, ROW_FLAGS, ROW_HOP, ROW_SHIFT } from "#http/fields.ts";
import type { Head } from "#http/head.ts";
import { CONNECTION, findName, NAME_END_TO_END, nameFlags, UPGRADE } from "#http/names.ts";
import { COMMA, equalsIgnoreCase, HTAB, LOWER_CASE, SP, TOKEN } from "#http/octets.ts";
import { REFUSED_CONNECTION } from "#http/refusals.ts";

const OPTION_CLOSE = 1;
const OPTION_KEEP_ALIVE = 2;
const OPTION_UPGRADE = 4;
const OPTION_FIELD = 8;

/** Each option is looked up among all fields: a bound keeps that product small. */
const OPTIONS_MAX = 32;

/** Sets `keepAlive` and `upgrade` and marks the named fields. 0, or a refusal. */
export function interpretConnection(head: Head): number {
  let options = 0;
  if ((head.seen & (1 << CONNECTION)) !== 0) {
    options = (head.repeated & (1 << CONNECTION)) === 0 ? usualOption(head) : 0;
    if (options === 0) options = readOptions(head);
    if (options < 0) return options;
  }
  const close = (options & OPTION_CLOSE) !== 0;
  head.keepAlive = !close && (head.minor === 1 || (options & OPTION_KEEP_ALIVE) !== 0);
  if ((options & OPTION_UPGRADE) !== 0 && head.minor === 1 && (head.seen & (1 << UPGRADE)) !== 0) {
    const index = head.find(UPGRADE);
    head.upgrade = head.valueEnd(index) > head.valueStart(index);
  }
  return 0;
}

/**
 * "keep-alive" as words: one that overlaps takes the place of the last two bytes. Folding the hyphen too is harmless in a
 * value, where the only byte that would become one, CR, can't stand.
 */
const KEEP_WORD = 0x7065656b;
const ALIVE_WORD = 0x696c612d;
const LIVE_WORD = 0x6576696c;
const FOLD = 0x20202020;

/** Most messages say `keep-alive`, alone: three words (7 ns) in place of the list reader (50 ns). 0 for anything else. */
function usualOption(head: Head): number {
  const index = head.framingRows[CONNECTION] as number;
  const start = head.valueStart(index);
  if (head.valueEnd(index) - start !== 10) return 0;
  const view = head.view;
  const same =
    (view.getInt32(start, true) | FOLD) === KEEP_WORD &&
    (view.getInt32(start + 4, true) | FOLD) === ALIVE_WORD &&
    (view.getInt32(start + 6, true) | FOLD) === LIVE_WORD;
  return same ? OPTION_KEEP_ALIVE : 0;
}

function readOptions(head: Head): number {
  const memory = head.memory;
  let options = 0;
  let count = 0;
  for (let index = head.find(CONNECTION); index >= 0; index = head.find(CONNECTION, index + 1)) {
    const end = head.valueEnd(index);
    let at = head.valueStart(index);
    while (at < end) {
      const octet = memory[at] as number;
      if (octet === SP || octet === HTAB || octet === COMMA) {
        at++;
        continue;
      }
      const start = at;
      while (at < end && TOKEN[memory[at] as number] !== 0) at++;
      if (at === start || ++count > OPTIONS_MAX || !endsElement(memory, at, end)) return REFUSED_CONNECTION;
      const option = readOption(head, start, at);
      if (option < 0) return option;
      options |= option;
    }
  }
  return options;
}

/** After a list element: white space, then a comma or the end. */
function endsElement(memory: Uint8Array, at: number, end: number): boolean {
  while (at < end && (memory[at] === SP || memory[at] === HTAB)) at++;
  return at === end || memory[at] === COMMA;
}

function readOption(head: Head, start: number, end: number): number {
  const memory = head.memory;
  if (equalsIgnoreCase(memory, start, end, "keep-alive")) return OPTION_KEEP_ALIVE;
  if (equalsIgnoreCase(memory, start, end, "close")) return OPTION_CLOSE;
  if (equalsIgnoreCase(memory, start, end, "upgrade")) return OPTION_UPGRADE;
  const id = findName(head.view, start, end - start);
  if ((nameFlags(id) & NAME_END_TO_END) !== 0) return REFUSED_CONNECTION;
  const rows = head.rows;
  for (let row = 0; row < head.fieldCount << ROW_SHIFT; row += 1 << ROW_SHIFT) {
    const same = rows[row + NAME_ID] === id && (id !== 0 || isSame(head, row, start, end));
    if (same) rows[row + ROW_FLAGS] = (rows[row + ROW_FLAGS] as number) | ROW_HOP;
  }
  return OPTION_FIELD;
}

function isSame(head: Head, row: number, start: number, end: number): boolean {
  const memory = head.memory;
  const nameStart = head.rows[row + NAME_START] as number;
  if ((head.rows[row + NAME_END] as number) - nameStart !== end - start) return false;
  for (let i = 0; i < end - start; i++) {
    if (LOWER_CASE[memory[nameStart + i] as number] !== LOWER_CASE[memory[start + i] as number]) return false;
  }
  return true;
}
