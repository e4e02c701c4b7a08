/**
 * The field section of a message: an offset table over received bytes, and edits that stand in scratch memory.
 *
 * One field is one row of eight cells, so that a row is half a cache line, and one cell is spare:
 *
 *     name start | name end | value start | value end | line end | name id | row flags | –
 *
 * A line reaches from its name's start to its line end, CRLF included; unchanged neighbours are therefore one run of
 * bytes. An edited row looks the same, with its whole line in scratch. Removed rows keep their place.
 *
 * Owns: the table, and at most one scratch region, taken at the first need and given back by `releaseScratch`.
 */
import { assert } from "#core/assert.ts";
import { COLON, CR, FIELD_VALUE, HTAB, isToken, LF, LOWER_CASE, SP } from "./octets.ts";
import { ADDED_FIELDS_MAX, FIELDS_MAX } from "./limits.ts";
import {
  COOKIE,
  isName,
  knownName,
  LAST_FRAMING_NAME,
  NAME_FIXED,
  NAME_HOP,
  NAME_NO_TRAILER,
  nameFlags,
  nameText,
} from "./names.ts";
import type { Scratch } from "./scratch.ts";

/** log2 of the cells of a row. */
export const ROW_SHIFT = 3;
export const NAME_START = 0;
export const NAME_END = 1;
export const VALUE_START = 2;
export const VALUE_END = 3;
export const LINE_END = 4;
export const NAME_ID = 5;
export const ROW_FLAGS = 6;

/** Not sent on: hop-by-hop by its name, or named by `Connection`. The same bit as NAME_HOP. */
export const ROW_HOP = NAME_HOP;
export const ROW_REMOVED = 2;
/** The line stands in scratch. */
export const ROW_EDITED = 4;

/** A copy, since compiled code folds constants of its own module only (see h1/parse-fields.ts). */
const fieldValue = FIELD_VALUE;

/** What no edit may put into a section: the flags of such names. */
export const HEAD_SECTION: number = NAME_FIXED;
export const TRAILER_SECTION: number = NAME_FIXED | NAME_NO_TRAILER;

const ROWS_MAX = FIELDS_MAX + ADDED_FIELDS_MAX;

export class Fields {
  readonly memory: Uint8Array;
  /** The same memory, for unaligned words. */
  readonly view: DataView;
  readonly rows: Int32Array;
  /** Rows in use, removed ones included. */
  fieldCount: number;
  /** Bit `id` for each framing name seen, and for each seen twice. Filled by the parser. */
  seen: number;
  repeated: number;
  /** Index of the last field of each framing name; holds only where `seen` has the name's bit. */
  readonly framingRows: Int32Array;
  /** The newest name when the rows were made: younger names may still have id 0 in them. */
  newest: number;

  /** HEAD_SECTION or TRAILER_SECTION. */
  readonly #refused: number;
  readonly #scratch: Scratch;
  readonly #octets: Buffer;
  #scratchStart: number;
  #scratchNext: number;

  constructor(scratch: Scratch, section: number = HEAD_SECTION) {
    const memory = scratch.memory;
    this.memory = memory;
    this.view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    this.rows = new Int32Array(ROWS_MAX << ROW_SHIFT);
    this.framingRows = new Int32Array(LAST_FRAMING_NAME + 1);
    this.fieldCount = 0;
    this.seen = 0;
    this.repeated = 0;
    this.newest = 0;
    this.#refused = section;
    this.#scratch = scratch;
    this.#octets = Buffer.from(memory.buffer as ArrayBuffer, memory.byteOffset, memory.byteLength);
    this.#scratchStart = -1;
    this.#scratchNext = 0;
  }

  /** Offset of `bytes` of scratch memory, or −1 when the region is used up or none was left. */
  reserve(bytes: number): number {
    if (this.#scratchStart < 0) {
      if (bytes > this.#scratch.regionBytes) return -1;
      const start = this.#scratch.allocate();
      if (start < 0) return -1;
      this.#scratchStart = this.#scratchNext = start;
    }
    const at = this.#scratchNext;
    if (bytes > this.#scratchStart + this.#scratch.regionBytes - at) return -1;
    this.#scratchNext = at + bytes;
    return at;
  }

  /** Gives back the end of what `reserve` handed out last, from `at` on. */
  unreserve(at: number): void {
    assert(at >= this.#scratchStart && at <= this.#scratchNext, "scratch given back that was not taken");
    this.#scratchNext = at;
  }

  releaseScratch(): void {
    if (this.#scratchStart < 0) return;
    this.#scratch.free(this.#scratchStart);
    this.#scratchStart = -1;
  }

  /** True when the offset lies in this message's own region. */
  inScratch(offset: number): boolean {
    const start = this.#scratchStart;
    return start >= 0 && offset >= start && offset < start + this.#scratch.regionBytes;
  }

  nameStart(index: number): number {
    return this.rows[(index << ROW_SHIFT) + NAME_START] as number;
  }

  nameEnd(index: number): number {
    return this.rows[(index << ROW_SHIFT) + NAME_END] as number;
  }

  valueStart(index: number): number {
    return this.rows[(index << ROW_SHIFT) + VALUE_START] as number;
  }

  valueEnd(index: number): number {
    return this.rows[(index << ROW_SHIFT) + VALUE_END] as number;
  }

  /** 0 for a name that nobody had interned when the head was parsed. */
  nameId(index: number): number {
    return this.rows[(index << ROW_SHIFT) + NAME_ID] as number;
  }

  isRemoved(index: number): boolean {
    return ((this.rows[(index << ROW_SHIFT) + ROW_FLAGS] as number) & ROW_REMOVED) !== 0;
  }

  /** The line is a filter's, not as it was received. */
  isEdited(index: number): boolean {
    return ((this.rows[(index << ROW_SHIFT) + ROW_FLAGS] as number) & ROW_EDITED) !== 0;
  }

  /** False: nothing was edited. Cheap, where looking for an edited field is not. */
  get mayBeEdited(): boolean {
    return this.#scratchStart >= 0;
  }

  /** Index of the first field of this name at or after `from`, or −1. Removed fields are passed over. */
  find(name: number, from = 0): number {
    const rows = this.rows;
    const young = name > this.newest;
    const end = this.fieldCount << ROW_SHIFT;
    for (let row = from << ROW_SHIFT; row < end; row += 1 << ROW_SHIFT) {
      const id = rows[row + NAME_ID] as number;
      if (id !== name && !(young && id === 0 && this.#isNamed(row, name))) continue;
      if (((rows[row + ROW_FLAGS] as number) & ROW_REMOVED) === 0) return row >> ROW_SHIFT;
    }
    return -1;
  }

  #isNamed(row: number, name: number): boolean {
    const start = this.rows[row + NAME_START] as number;
    const length = (this.rows[row + NAME_END] as number) - start;
    return isName(this.view, start, length, name);
  }

  /**
   * Gives the field this one value, in the place of the first of that name, or at the end. False, and no change, for a
   * name that filters may not touch, bytes that no field value may have, and when scratch or table are used up.
   * `source` may be `memory` itself.
   */
  set(name: number, source: Uint8Array, start: number, end: number): boolean {
    if (!this.#isEditable(name) || !isValue(source, start, end)) return false;
    const first = this.find(name);
    const index = first < 0 ? this.fieldCount : first;
    if (!this.#writeRow(index, name, source, start, end)) return false;
    if (first < 0) this.fieldCount++;
    else this.#removeFrom(name, first + 1);
    return true;
  }

  /** Adds a field line at the end; refused as `set` is. */
  add(name: number, source: Uint8Array, start: number, end: number): boolean {
    if (!this.#isEditable(name) || !isValue(source, start, end)) return false;
    if (!this.#writeRow(this.fieldCount, name, source, start, end)) return false;
    this.fieldCount++;
    return true;
  }

  /** How many fields of this name there were; 0 also for a name that filters may not touch. */
  remove(name: number): number {
    return this.#isEditable(name) ? this.#removeFrom(name, 0) : 0;
  }

  /** Takes one field line away; false for a name that filters may not touch. */
  removeAt(index: number): boolean {
    const id = this.nameId(index);
    if (id > 0 && !this.#isEditable(id)) return false;
    this.rows[(index << ROW_SHIFT) + ROW_FLAGS] = ROW_REMOVED;
    return true;
  }

  /**
   * As `add`, by a name that need not be interned, in lower case: who passes on names that came with a message must not
   * intern them.
   */
  addSpelled(name: string, source: Uint8Array, start: number, end: number): boolean {
    const id = knownName(name);
    if (id > 0) return this.add(id, source, start, end);
    if (!isToken(name) || !isValue(source, start, end)) return false;
    if (!this.#writeLine(this.fieldCount, 0, name, source, start, end)) return false;
    this.fieldCount++;
    return true;
  }

  /**
   * Adds the lines of another section of the same memory that go on, as they stand. False when they don't fit: what was
   * there stays, with a part of them.
   */
  addFrom(other: Fields): boolean {
    const { rows, memory } = this;
    this.newest = Math.min(this.newest, other.newest);
    for (let index = 0; index < other.fieldCount; index++) {
      const from = index << ROW_SHIFT;
      const flags = other.rows[from + ROW_FLAGS] as number;
      if ((flags & (ROW_HOP | ROW_REMOVED)) !== 0) continue;
      const start = other.rows[from + NAME_START] as number;
      const end = other.rows[from + LINE_END] as number;
      const copy = this.fieldCount < ROWS_MAX ? this.reserve(end - start) : -1;
      if (copy < 0) return false;
      memory.copyWithin(copy, start, end);
      const row = this.fieldCount++ << ROW_SHIFT;
      for (let cell = NAME_START; cell <= LINE_END; cell++) {
        rows[row + cell] = (other.rows[from + cell] as number) - start + copy;
      }
      rows[row + NAME_ID] = other.rows[from + NAME_ID] as number;
      rows[row + ROW_FLAGS] = flags | ROW_EDITED;
    }
    return true;
  }

  /** Of the lines that go on. */
  get lineBytes(): number {
    let bytes = 0;
    for (let row = 0; row < this.fieldCount << ROW_SHIFT; row += 1 << ROW_SHIFT) {
      if (((this.rows[row + ROW_FLAGS] as number) & (ROW_HOP | ROW_REMOVED)) !== 0) continue;
      bytes += (this.rows[row + LINE_END] as number) - (this.rows[row + NAME_START] as number);
    }
    return bytes;
  }

  #isEditable(name: number): boolean {
    return name > 0 && (nameFlags(name) & this.#refused) === 0;
  }

  /** As `remove`, also of a name that filters may not touch: for who frames the message anew. */
  protected removeFixed(name: number): void {
    this.#removeFrom(name, 0);
  }

  #removeFrom(name: number, from: number): number {
    let removed = 0;
    for (let index = this.find(name, from); index >= 0; index = this.find(name, index + 1)) {
      this.rows[(index << ROW_SHIFT) + ROW_FLAGS] = ROW_REMOVED;
      removed++;
    }
    return removed;
  }

  /** Writes `name: value CRLF` to scratch and points the row at it. */
  #writeRow(index: number, name: number, source: Uint8Array, start: number, end: number): boolean {
    return this.#writeLine(index, name, nameText(name), source, start, end);
  }

  #writeLine(index: number, name: number, text: string, source: Uint8Array, start: number, end: number): boolean {
    if (index >= ROWS_MAX) return false;
    while (start < end && isSpace(source[start] as number)) start++;
    while (start < end && isSpace(source[end - 1] as number)) end--;
    const lineBytes = text.length + 2 + (end - start) + 2;
    const line = this.reserve(lineBytes);
    if (line < 0) return false;
    const memory = this.memory;
    let at = line;
    for (let i = 0; i < text.length; i++) memory[at++] = text.charCodeAt(i);
    memory[at++] = COLON;
    memory[at++] = SP;
    const valueStart = at;
    for (let i = start; i < end; i++) memory[at++] = source[i] as number;
    memory[at] = CR;
    memory[at + 1] = LF;
    const row = index << ROW_SHIFT;
    const rows = this.rows;
    rows[row + NAME_START] = line;
    rows[row + NAME_END] = line + text.length;
    rows[row + VALUE_START] = valueStart;
    rows[row + VALUE_END] = at;
    rows[row + LINE_END] = at + 2;
    rows[row + NAME_ID] = name;
    rows[row + ROW_FLAGS] = ROW_EDITED;
    return true;
  }

  /** Latin-1 text of a region of memory. */
  text(start: number, end: number): string {
    return this.#octets.toString("latin1", start, end);
  }

  /**
   * The field's value for who asks by text: several lines are joined as RFC 9110 section 5.3 says, those of Cookie as
   * RFC 9113 section 8.2.3 does. Undefined when there is none.
   */
  get(name: string): string | undefined {
    const lowerCase = name.toLowerCase();
    let value: string | undefined;
    for (let index = 0; index < this.fieldCount; index++) {
      if (this.isRemoved(index) || !this.#isSpelled(index, lowerCase)) continue;
      const line = this.text(this.valueStart(index), this.valueEnd(index));
      value = value === undefined ? line : value + (this.nameId(index) === COOKIE ? "; " : ", ") + line;
    }
    return value;
  }

  #isSpelled(index: number, lowerCase: string): boolean {
    const start = this.nameStart(index);
    if (this.nameEnd(index) - start !== lowerCase.length) return false;
    for (let i = 0; i < lowerCase.length; i++) {
      if (LOWER_CASE[this.memory[start + i] as number] !== lowerCase.charCodeAt(i)) return false;
    }
    return true;
  }

  /** All fields in order, names in lower case. */
  entries(): [string, string][] {
    const entries: [string, string][] = [];
    for (let index = 0; index < this.fieldCount; index++) {
      if (this.isRemoved(index)) continue;
      const name = this.text(this.nameStart(index), this.nameEnd(index)).toLowerCase();
      entries.push([name, this.text(this.valueStart(index), this.valueEnd(index))]);
    }
    return entries;
  }
}

function isValue(source: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (fieldValue[source[i] as number] === 0) return false;
  return true;
}

function isSpace(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
