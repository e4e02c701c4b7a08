/**
 * The chunked transfer coding (RFC 9112 section 7.1), incrementally: bytes may be cut anywhere.
 *
 *     chunk   = 1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF
 *     body    = *chunk "0" [ chunk-ext ] CRLF trailer-section CRLF
 *
 *     SIZE ─▶ EXTENSION… ─▶ SIZE_LF ─▶ DATA ─▶ DATA_CR ─▶ DATA_LF ─▶ SIZE …
 *                              └ size 0 ─▶ TRAILERS ─▶ DONE
 *
 * Data is not copied: the answer says where it stands in the caller's memory. Trailers are collected in the scratch of
 * `trailers`, as they may arrive in pieces, and parsed when their empty line has come. Owns nothing else.
 */
import { NAME_ID, ROW_FLAGS, ROW_HOP, ROW_SHIFT } from "#http/fields.ts";
import type { Head, Scratch } from "#http/head.ts";
import { CHUNK_EXTENSION_BYTES_MAX, type HeadLimits, TRAILER_BYTES_MAX } from "#http/limits.ts";
import { NAME_FIXED, NAME_NO_TRAILER, nameFlags } from "#http/names.ts";
import { CR, EQUALS, FIELD_VALUE, HEX_VALUE, BACKSLASH, LF, QUOTE, SEMICOLON, TOKEN } from "#http/octets.ts";
import {
  REFUSED_BARE_CR,
  REFUSED_BARE_LF,
  REFUSED_CHUNK_END,
  REFUSED_CHUNK_EXTENSION,
  REFUSED_CHUNK_SIZE,
  REFUSED_NO_BUFFER,
  REFUSED_TRAILER,
  REFUSED_TRAILER_LENGTH,
} from "#http/refusals.ts";
import { newTrailers } from "#http/trailers.ts";
import { parseFields } from "./parse-fields.ts";

/** All bytes are used up and the body goes on. */
export const CHUNK_MORE = 1;
/** Data stands at [dataStart, dataEnd); go on at `next`. */
export const CHUNK_DATA = 2;
/** The body is whole, with `trailers`; the next message begins at `next`. */
export const CHUNK_END = 3;

const STATE_SIZE = 0;
const STATE_SIZE_LF = 1;
const STATE_DATA = 2;
const STATE_DATA_CR = 3;
const STATE_DATA_LF = 4;
const STATE_TRAILERS = 5;
const STATE_DONE = 6;
// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), without the BWS: it is "bad" white space
// that nobody sends, and that readers of chunk sizes have disagreed about.
const STATE_EXT_NAME_START = 7;
const STATE_EXT_NAME = 8;
const STATE_EXT_VALUE_START = 9;
const STATE_EXT_TOKEN = 10;
const STATE_EXT_QUOTED = 11;
const STATE_EXT_QUOTED_PAIR = 12;
const STATE_EXT_QUOTED_END = 13;

/** 2^53 − 1 has 14 hexadecimal digits; two leading zeros more are borne. */
const SIZE_DIGITS_MAX = 16;

export class ChunkedDecoder {
  readonly trailers: Head;
  dataStart: number;
  dataEnd: number;
  next: number;
  #state: number;
  /** Of the size being read, then of the data still to come. */
  #left: number;
  #digits: number;
  #extensionBytes: number;
  #fieldsMax: number;
  #trailerStart: number;
  #trailerEnd: number;
  /** Of CR LF CR LF, how many octets the trailer section ends with; begins at 2, since the last chunk's line ended. */
  #ending: number;

  constructor(scratch: Scratch) {
    this.trailers = newTrailers(scratch);
    this.dataStart = 0;
    this.dataEnd = 0;
    this.next = 0;
    this.#state = STATE_SIZE;
    // A double from the start, as Head.contentLength.
    this.#left = Number.MAX_SAFE_INTEGER;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#fieldsMax = 0;
    this.#trailerStart = -1;
    this.#trailerEnd = 0;
    this.#ending = 2;
  }

  /** Before a new body; frees the last one's trailers. */
  reset(limits: HeadLimits): void {
    this.trailers.reset();
    this.#state = STATE_SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#fieldsMax = limits.fieldsMax;
    this.#trailerStart = -1;
    this.#trailerEnd = 0;
    this.#ending = 2;
  }

  /** Reads on at `start`. CHUNK_MORE, CHUNK_DATA, CHUNK_END, or a refusal, after which only `reset` may follow. */
  decode(memory: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const state = this.#state;
      if (state === STATE_DATA) return this.#takeData(at, end);
      if (state === STATE_TRAILERS) return this.#takeTrailers(memory, at, end);
      if (state === STATE_DONE) break;
      const refused = this.#step(state, memory[at] as number);
      if (refused < 0) return refused;
      at++;
    }
    this.next = at;
    return this.#state === STATE_DONE ? CHUNK_END : CHUNK_MORE;
  }

  #takeData(at: number, end: number): number {
    const dataEnd = this.#left < end - at ? at + this.#left : end;
    this.#left -= dataEnd - at;
    if (this.#left === 0) this.#state = STATE_DATA_CR;
    this.dataStart = at;
    this.dataEnd = dataEnd;
    this.next = dataEnd;
    return CHUNK_DATA;
  }

  /** One octet of what stands around the data. 0, or a refusal. */
  #step(state: number, octet: number): number {
    switch (state) {
      case STATE_SIZE:
        return this.#stepSize(octet);
      case STATE_SIZE_LF:
        if (octet !== LF) return REFUSED_BARE_CR;
        this.#digits = 0;
        this.#state = this.#left === 0 ? STATE_TRAILERS : STATE_DATA;
        return 0;
      case STATE_DATA_CR:
        this.#state = STATE_DATA_LF;
        return octet === CR ? 0 : REFUSED_CHUNK_END;
      case STATE_DATA_LF:
        this.#state = STATE_SIZE;
        return octet === LF ? 0 : REFUSED_CHUNK_END;
      default:
        if (++this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) return REFUSED_CHUNK_EXTENSION;
        return this.#stepExtension(state, octet);
    }
  }

  #stepSize(octet: number): number {
    const digit = HEX_VALUE[octet] as number;
    if (digit < 16) {
      this.#left = this.#left * 16 + digit;
      return ++this.#digits > SIZE_DIGITS_MAX || this.#left > Number.MAX_SAFE_INTEGER ? REFUSED_CHUNK_SIZE : 0;
    }
    if (octet === LF) return REFUSED_BARE_LF;
    if (this.#digits === 0 || (octet !== CR && octet !== SEMICOLON)) return REFUSED_CHUNK_SIZE;
    this.#extensionBytes = 0;
    this.#state = octet === CR ? STATE_SIZE_LF : STATE_EXT_NAME_START;
    return 0;
  }

  #stepExtension(state: number, octet: number): number {
    switch (state) {
      case STATE_EXT_NAME_START:
        return this.#enter(TOKEN[octet] !== 0 ? STATE_EXT_NAME : -1);
      case STATE_EXT_NAME:
        if (TOKEN[octet] !== 0) return 0;
        return octet === EQUALS ? this.#enter(STATE_EXT_VALUE_START) : this.#endExtension(octet);
      case STATE_EXT_VALUE_START:
        if (octet === QUOTE) return this.#enter(STATE_EXT_QUOTED);
        return this.#enter(TOKEN[octet] !== 0 ? STATE_EXT_TOKEN : -1);
      case STATE_EXT_TOKEN:
        return TOKEN[octet] !== 0 ? 0 : this.#endExtension(octet);
      case STATE_EXT_QUOTED:
        if (octet === QUOTE) return this.#enter(STATE_EXT_QUOTED_END);
        if (octet === BACKSLASH) return this.#enter(STATE_EXT_QUOTED_PAIR);
        return FIELD_VALUE[octet] !== 0 ? 0 : REFUSED_CHUNK_EXTENSION;
      case STATE_EXT_QUOTED_PAIR:
        return this.#enter(FIELD_VALUE[octet] !== 0 ? STATE_EXT_QUOTED : -1);
      default:
        return this.#endExtension(octet);
    }
  }

  #enter(state: number): number {
    if (state < 0) return REFUSED_CHUNK_EXTENSION;
    this.#state = state;
    return 0;
  }

  #endExtension(octet: number): number {
    if (octet === CR) return this.#enter(STATE_SIZE_LF);
    if (octet === LF) return REFUSED_BARE_LF;
    return this.#enter(octet === SEMICOLON ? STATE_EXT_NAME_START : -1);
  }

  #takeTrailers(memory: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#ending < 4) {
      const octet = memory[at++] as number;
      // Checked here and not only by the field parser, which must wait for an end that a bare LF would never bring.
      if ((this.#ending & 1) === 1) {
        if (octet !== LF) return REFUSED_BARE_CR;
        this.#ending++;
      } else if (octet === CR) {
        this.#ending++;
      } else {
        if (octet === LF) return REFUSED_BARE_LF;
        this.#ending = 0;
      }
    }
    this.next = at;
    const whole = this.#ending === 4;
    // The usual body has no trailers: its empty line is all there is, and costs no scratch.
    if (whole && this.#trailerStart < 0 && at - start === 2) return this.#done();
    if (!this.#collect(memory, start, at)) {
      return this.#trailerStart < 0 ? REFUSED_NO_BUFFER : REFUSED_TRAILER_LENGTH;
    }
    return whole ? this.#parseTrailers() : CHUNK_MORE;
  }

  #done(): number {
    this.#state = STATE_DONE;
    return CHUNK_END;
  }

  #collect(memory: Uint8Array, start: number, end: number): boolean {
    const trailers = this.trailers;
    if (this.#trailerStart < 0) {
      this.#trailerStart = this.#trailerEnd = trailers.reserve(TRAILER_BYTES_MAX);
      if (this.#trailerStart < 0) return false;
    }
    if (end - start > this.#trailerStart + TRAILER_BYTES_MAX - this.#trailerEnd) return false;
    for (let i = start; i < end; i++) trailers.memory[this.#trailerEnd++] = memory[i] as number;
    return true;
  }

  #parseTrailers(): number {
    const trailers = this.trailers;
    const answer = parseFields(trailers, this.#trailerStart, this.#trailerEnd, this.#fieldsMax);
    if (answer < 0) return answer;
    const rows = trailers.rows;
    for (let row = 0; row < trailers.fieldCount << ROW_SHIFT; row += 1 << ROW_SHIFT) {
      const forbidden = NAME_FIXED | NAME_NO_TRAILER;
      if ((nameFlags(rows[row + NAME_ID] as number) & forbidden) !== 0) return REFUSED_TRAILER;
      if (((rows[row + ROW_FLAGS] as number) & ROW_HOP) !== 0) return REFUSED_TRAILER;
    }
    trailers.start = this.#trailerStart;
    trailers.end = answer;
    return this.#done();
  }
}
