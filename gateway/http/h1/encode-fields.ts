/** Copies the fields that go on to the next hop: neighbours that both go on are one run of bytes and one copy. */
import * as table from "#http/fields.ts";
import type { Fields } from "#http/fields.ts";
import * as names from "#http/names.ts";
import { LOWER_CASE } from "#http/octets.ts";
import { writeCopy } from "./write.ts";

// Copies, since compiled code folds constants of its own module only (see parse-fields.ts).
const { LINE_END, NAME_END, NAME_ID, NAME_START, ROW_EDITED, ROW_FLAGS, ROW_HOP, ROW_REMOVED, ROW_SHIFT } = table;
const { NAME_FORWARDED, nameFlags } = names;
const lowerCase = LOWER_CASE;

/**
 * Writes the run [runStart, runEnd), usually the start line, and the fields. Left out are removed and hop-by-hop ones,
 * those of `dropNames` (bit `id`, for ids below 32), and with `dropForwarded` those that tell where a request came from.
 * What a filter wrote is the gateway's own word, and stays.
 */
export function encodeFields(
  fields: Fields,
  at: number,
  limit: number,
  runStart: number,
  runEnd: number,
  dropNames: number,
  dropForwarded: boolean,
): number {
  const { memory, rows } = fields;
  const end = fields.fieldCount << ROW_SHIFT;
  for (let row = 0; row < end; row += 1 << ROW_SHIFT) {
    const flags = rows[row + ROW_FLAGS] as number;
    if ((flags & (ROW_HOP | ROW_REMOVED)) !== 0) continue;
    const id = rows[row + NAME_ID] as number;
    if (id < 32 && ((dropNames >>> id) & 1) !== 0) continue;
    const start = rows[row + NAME_START] as number;
    if (dropForwarded && (flags & ROW_EDITED) === 0 && isForwarded(memory, id, start, rows[row + NAME_END] as number))
      continue;
    if (start !== runEnd) {
      at = writeCopy(memory, at, limit, runStart, runEnd);
      runStart = start;
    }
    runEnd = rows[row + LINE_END] as number;
  }
  return writeCopy(memory, at, limit, runStart, runEnd);
}

const FORWARDED_PREFIX = "x-forwarded-";

/**
 * Forwarded and X-Forwarded-*. For names that are not interned the underscore counts as a hyphen: gateway interfaces
 * after CGI (RFC 3875 section 4.1.18) hand both to a program under the same name.
 */
function isForwarded(memory: Uint8Array, id: number, start: number, end: number): boolean {
  if (id !== 0 && (nameFlags(id) & NAME_FORWARDED) !== 0) return true;
  if (lowerCase[memory[start] as number] !== 0x78 || end - start < FORWARDED_PREFIX.length) return false;
  for (let i = 0; i < FORWARDED_PREFIX.length; i++) {
    const octet = lowerCase[memory[start + i] as number];
    if (octet !== FORWARDED_PREFIX.charCodeAt(i) && !(octet === 0x5f && FORWARDED_PREFIX[i] === "-")) return false;
  }
  return true;
}
