/**
 * Lookup tables over single bytes, and the grammar each stands for. A table of 256 bytes stays in the first-level
 * cache and answers in one load, where a chain of comparisons mispredicts.
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const QUOTE = 0x22;
export const HASH = 0x23;
export const PERCENT = 0x25;
export const ASTERISK_OCTET = 0x2a;
export const COMMA = 0x2c;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const DIGIT_0 = 0x30;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const AT_SIGN = 0x40;
export const BRACKET_OPEN = 0x5b;
export const BACKSLASH = 0x5c;
export const BRACKET_CLOSE = 0x5d;

const DIGITS = "0123456789";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const LETTERS = LOWER + LOWER.toUpperCase();

function table(members: string, value: (code: number) => number): Uint8Array {
  const cells = new Uint8Array(256);
  for (let i = 0; i < members.length; i++) cells[members.charCodeAt(i)] = value(members.charCodeAt(i));
  return cells;
}

/** Lower-cases A–Z, leaves every other byte. */
export const LOWER_CASE: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  code >= 0x41 && code <= 0x5a ? code + 32 : code,
);

/** tchar (RFC 9110 section 5.6.2) to its lower case; 0 for a byte that can't stand in a token. */
export const TOKEN: Uint8Array = table("!#$%&'*+-.^_`|~" + DIGITS + LETTERS, (code) => LOWER_CASE[code] as number);

/** 1 for what may stand in a field value (RFC 9110 section 5.5): HTAB, SP, VCHAR, obs-text. */
export const FIELD_VALUE: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  code === HTAB || (code >= SP && code !== 0x7f) ? 1 : 0,
);

/** unreserved (RFC 3986 section 2.3) to itself; 0 for every other byte. */
export const UNRESERVED: Uint8Array = table("-._~" + DIGITS + LETTERS, (code) => code);

/** What a byte of a path means to the scan. */
export const PATH_PLAIN = 0;
export const PATH_DOT = 1;
export const PATH_PERCENT = 2;
export const PATH_STOP = 3;

/**
 * pchar and "/" (RFC 3986 section 3.3), and the four bytes "[]^|" that browsers send unencoded in a path (WHATWG URL).
 * A dot may begin a dot segment; everything else stops the scan: "?", SP, "#", controls, backslash, bytes above 0x7e.
 */
export const PATH: Uint8Array = Uint8Array.from({ length: 256 }, () => PATH_STOP);
for (const member of "!$&'()*+,;=:@/-_~[]^|" + DIGITS + LETTERS) PATH[member.charCodeAt(0)] = PATH_PLAIN;
PATH[DOT] = PATH_DOT;
PATH[PERCENT] = PATH_PERCENT;

/**
 * 1 for what may stand in a query: every visible byte but "#". No part of the gateway interprets a query, so what
 * senders are known to leave unencoded there ({ } " < > \ ^ ` | and a lone %) passes as it came.
 */
export const QUERY: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) =>
  code > SP && code < 0x7f && code !== HASH ? 1 : 0,
);

/** To its lower case what may stand in a registered name, 0 every other byte. Stricter than RFC 3986 (no sub-delims, no escapes): no name that resolves has them. */
export const HOST_NAME: Uint8Array = table("-._~" + DIGITS + LETTERS, (code) => LOWER_CASE[code] as number);

/** Hexadecimal digit to its value, 0xff for every other byte. */
export const HEX_VALUE: Uint8Array = Uint8Array.from({ length: 256 }, () => 0xff);
for (let value = 0; value < 16; value++) {
  HEX_VALUE["0123456789abcdef".charCodeAt(value)] = value;
  HEX_VALUE["0123456789ABCDEF".charCodeAt(value)] = value;
}

/** True when the text is a token: a header name, a method. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || TOKEN[code] === 0) return false;
  }
  return text.length > 0;
}

/** True when the text may be sent as a field value: Latin-1 without controls. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || FIELD_VALUE[code] === 0) return false;
  }
  return true;
}

/** Compares bytes with a lower-case ASCII text, without regard to case. */
export function equalsIgnoreCase(memory: Uint8Array, start: number, end: number, lowerCase: string): boolean {
  if (end - start !== lowerCase.length) return false;
  for (let i = 0; i < lowerCase.length; i++) {
    if (LOWER_CASE[memory[start + i] as number] !== lowerCase.charCodeAt(i)) return false;
  }
  return true;
}
