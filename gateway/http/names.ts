/**
 * Interned header names. A name is a small integer for the life of the process, the same in configuration, router,
 * filters and guests, and the parser gives every received field its integer while it passes over the name.
 *
 * A name is found by a hash of its first four bytes, its last four and its length, and then compared in words of four:
 *
 *     content-length   [cont][ent-][leng][ngth]     the last word overlaps, so that no tail is left over
 *
 * Each word is kept with a fold mask that has bit 0x20 where the name has a letter and nowhere else. `word | mask`
 * therefore lower-cases letters only, and equality with an interned name also proves that the bytes are a valid token:
 * a carriage return can't pass for the hyphen that differs from it in the same bit.
 */
import { httpError } from "#core/errors/http.ts";
import { isToken, LOWER_CASE } from "./octets.ts";

/** Sent on no further than the next hop (RFC 9110 section 7.6.1). */
export const NAME_HOP = 1;
/** Filters may neither set, add nor remove it: framing, and what belongs to one connection. */
export const NAME_FIXED = 2;
/** Tells where a request came from; left out when the sender is not trusted to say so. */
export const NAME_FORWARDED = 4;
/** `Connection` must not name it: dropping it would change the meaning of the message for the next reader. */
export const NAME_END_TO_END = 8;
/** Must not stand in a trailer section (RFC 9110 section 6.5.1). */
export const NAME_NO_TRAILER = 16;

/** Ids fit 12 bits. A bound, since tenants' plugins can ask for names. */
const NAMES_MAX = 4095;
const NAME_BYTES_MAX = 256;
/** Room for names of 32 bytes on average, two cells for each four bytes. */
const WORDS_MAX = 65_536;
/** Half full at most, so that a name that is not interned nearly always meets an empty slot at once. */
const SLOTS = 8192;
const SLOT_SHIFT = 19;
/** 0x20 in each byte. */
const FOLD = 0x20202020;

const slots = new Uint16Array(SLOTS);
const lengths = new Uint16Array(NAMES_MAX + 1);
const wordStarts = new Int32Array(NAMES_MAX + 1);
const texts: string[] = [""];
const flags = new Uint8Array(NAMES_MAX + 1);
/** Pairs of word and fold mask. Never moved: a typed array that can't change is addressed without a look at it first. */
const words = new Int32Array(WORDS_MAX);
let wordsUsed = 0;

/** Ids up to this one have been given out; a head keeps it to tell names that are younger than itself. */
let newest = 0;

export function newestName(): number {
  return newest;
}

function hashOf(view: DataView, start: number, length: number): number {
  let first = view.getInt32(start, true) | FOLD;
  let last = first;
  if (length < 4) {
    first &= (1 << (length << 3)) - 1;
    last = first;
  } else {
    last = view.getInt32(start + length - 4, true) | FOLD;
  }
  return Math.imul(Math.imul(first, 0x9e3779b1) ^ last ^ (length << 8), 0x85ebca6b);
}

function equals(view: DataView, start: number, length: number, id: number): boolean {
  let pair = (wordStarts[id] as number) | 0;
  if (length < 4) {
    const word = view.getInt32(start, true) & ((1 << (length << 3)) - 1);
    return (word | (words[pair + 1] as number)) === words[pair];
  }
  const last = start + length - 4;
  for (let at = start | 0; at < last; at = (at + 4) | 0) {
    if ((view.getInt32(at, true) | (words[pair + 1] as number)) !== words[pair]) return false;
    pair += 2;
  }
  return (view.getInt32(last, true) | (words[pair + 1] as number)) === words[pair];
}

/**
 * The id of the name at [start, start + length), or 0. A hit proves that the bytes are a token, in any case. At least
 * four bytes must be readable at `start`, whatever the length.
 */
export function findName(view: DataView, start: number, length: number): number {
  let slot = hashOf(view, start, length) >>> SLOT_SHIFT;
  for (;;) {
    const id = slots[slot] as number;
    if (id === 0) return 0;
    if (lengths[id] === length && equals(view, start, length, id)) return id;
    slot = (slot + 1) & (SLOTS - 1);
  }
}

/** True when the bytes are this name: for heads that were parsed before the name was interned. */
export function isName(view: DataView, start: number, length: number, id: number): boolean {
  return lengths[id] === length && equals(view, start, length, id);
}

/** What is known about a name; 0 for one that is not interned. */
export function nameFlags(id: number): number {
  return flags[id] as number;
}

/** The lower-case text of an id. */
export function nameText(id: number): string {
  return texts[id] ?? "";
}

const scratch = new DataView(new ArrayBuffer(NAME_BYTES_MAX + 4));

function fillWords(name: string): void {
  const count = Math.max(1, Math.ceil(name.length / 4));
  for (let k = 0; k < count; k++) {
    const at = k === count - 1 && name.length >= 4 ? name.length - 4 : 4 * k;
    let mask = 0;
    for (let byte = 0; byte < 4; byte++) {
      const code = at + byte < name.length ? name.charCodeAt(at + byte) : 0;
      if (code >= 0x61 && code <= 0x7a) mask |= 0x20 << (byte << 3);
    }
    words[wordsUsed++] = scratch.getInt32(at, true);
    words[wordsUsed++] = mask;
  }
}

/** The id of a lower-case name if somebody has interned it, else 0. */
export function knownName(lowerCaseName: string): number {
  const { length } = lowerCaseName;
  if (length === 0 || length > NAME_BYTES_MAX) return 0;
  for (let i = 0; i < length + 4; i++) scratch.setUint8(i, i < length ? lowerCaseName.charCodeAt(i) & 0xff : 0);
  return findName(scratch, 0, length);
}

/** The id of a lower-case name, the same every time. Throws PenstockError when it is not a lower-case token. */
export function internName(lowerCaseName: string): number {
  const length = lowerCaseName.length;
  if (!isToken(lowerCaseName) || length > NAME_BYTES_MAX) {
    throw httpError("PENSTOCK_HTTP_NAME", { detail: JSON.stringify(lowerCaseName.slice(0, 80)) });
  }
  for (let i = 0; i < length + 4; i++) {
    const code = i < length ? lowerCaseName.charCodeAt(i) : 0;
    if (LOWER_CASE[code] !== code) {
      throw httpError("PENSTOCK_HTTP_NAME", { detail: `${JSON.stringify(lowerCaseName)} has upper-case letters` });
    }
    scratch.setUint8(i, code);
  }
  const known = findName(scratch, 0, length);
  if (known !== 0) return known;
  if (newest === NAMES_MAX || wordsUsed + length + 2 > WORDS_MAX) throw httpError("PENSTOCK_HTTP_NAMES_FULL");
  const id = ++newest;
  lengths[id] = length;
  wordStarts[id] = wordsUsed;
  fillWords(lowerCaseName);
  texts.push(lowerCaseName);
  if (lowerCaseName.startsWith("x-forwarded-")) flags[id] = NAME_FORWARDED;
  let slot = hashOf(scratch, 0, length) >>> SLOT_SHIFT;
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = id;
  return id;
}

function known(name: string, nameFlagBits = 0): number {
  const id = internName(name);
  flags[id] = (flags[id] as number) | nameFlagBits;
  return id;
}

const CONNECTION_BOUND = NAME_HOP | NAME_FIXED | NAME_NO_TRAILER;

// The first ones decide how a message is read. Their ids are below 32: the parser keeps one bit for each.
export const HOST = known("host", NAME_END_TO_END | NAME_NO_TRAILER);
export const CONTENT_LENGTH = known("content-length", NAME_FIXED | NAME_END_TO_END | NAME_NO_TRAILER);
export const TRANSFER_ENCODING = known("transfer-encoding", CONNECTION_BOUND | NAME_END_TO_END);
export const CONNECTION = known("connection", CONNECTION_BOUND);
export const UPGRADE = known("upgrade", CONNECTION_BOUND);
export const EXPECT = known("expect", NAME_FIXED | NAME_END_TO_END | NAME_NO_TRAILER);
export const TE = known("te", CONNECTION_BOUND);
/** What servers that hand fields on as CGI variables (RFC 3875 section 4.1.18) can't tell from the framing fields. */
export const CONTENT_LENGTH_ALIAS = known("content_length", NAME_FIXED | NAME_END_TO_END | NAME_NO_TRAILER);
export const TRANSFER_ENCODING_ALIAS = known("transfer_encoding", NAME_FIXED | NAME_END_TO_END | NAME_NO_TRAILER);
/** The last id that the parsers keep a bit for. */
export const LAST_FRAMING_NAME = newestName();

export const KEEP_ALIVE = known("keep-alive", CONNECTION_BOUND);
export const PROXY_CONNECTION = known("proxy-connection", CONNECTION_BOUND);
export const TRAILER = known("trailer", NAME_NO_TRAILER);

export const VIA = known("via", NAME_END_TO_END);
export const FORWARDED = known("forwarded", NAME_FORWARDED | NAME_END_TO_END);
export const X_FORWARDED_FOR = known("x-forwarded-for", NAME_END_TO_END);
export const X_FORWARDED_PROTO = known("x-forwarded-proto", NAME_END_TO_END);
export const X_FORWARDED_HOST = known("x-forwarded-host", NAME_END_TO_END);
export const X_FORWARDED_PORT = known("x-forwarded-port", NAME_END_TO_END);

export const CONTENT_TYPE = known("content-type", NAME_END_TO_END | NAME_NO_TRAILER);
export const CONTENT_ENCODING = known("content-encoding", NAME_END_TO_END | NAME_NO_TRAILER);
export const CONTENT_RANGE = known("content-range", NAME_END_TO_END | NAME_NO_TRAILER);
export const AUTHORIZATION = known("authorization", NAME_END_TO_END | NAME_NO_TRAILER);
export const PROXY_AUTHORIZATION = known("proxy-authorization", NAME_NO_TRAILER);
export const COOKIE = known("cookie", NAME_END_TO_END | NAME_NO_TRAILER);
export const SET_COOKIE = known("set-cookie", NAME_END_TO_END | NAME_NO_TRAILER);
export const CACHE_CONTROL = known("cache-control", NAME_END_TO_END | NAME_NO_TRAILER);
export const MAX_FORWARDS = known("max-forwards", NAME_END_TO_END | NAME_NO_TRAILER);
export const DATE = known("date", NAME_END_TO_END);
export const SERVER = known("server");
export const USER_AGENT = known("user-agent");
export const ACCEPT = known("accept");
export const ACCEPT_ENCODING = known("accept-encoding");
export const ACCEPT_LANGUAGE = known("accept-language");
export const ORIGIN = known("origin");
export const REFERER = known("referer");
export const LOCATION = known("location");
export const VARY = known("vary");
export const ETAG = known("etag");
export const AGE = known("age");
export const EXPIRES = known("expires");
export const LAST_MODIFIED = known("last-modified");
export const IF_NONE_MATCH = known("if-none-match");
export const IF_MODIFIED_SINCE = known("if-modified-since");
export const RANGE = known("range", NAME_NO_TRAILER);
export const RETRY_AFTER = known("retry-after");
export const PRIORITY = known("priority");
export const X_REQUEST_ID = known("x-request-id");
export const X_REAL_IP = known("x-real-ip");
export const TRACEPARENT = known("traceparent");
export const TRACESTATE = known("tracestate");
export const SEC_WEBSOCKET_KEY = known("sec-websocket-key");
export const SEC_FETCH_MODE = known("sec-fetch-mode");
export const SEC_FETCH_SITE = known("sec-fetch-site");
export const SEC_FETCH_DEST = known("sec-fetch-dest");
export const SEC_FETCH_USER = known("sec-fetch-user");
export const SEC_CH_UA = known("sec-ch-ua");
export const SEC_CH_UA_MOBILE = known("sec-ch-ua-mobile");
export const SEC_CH_UA_PLATFORM = known("sec-ch-ua-platform");
export const UPGRADE_INSECURE_REQUESTS = known("upgrade-insecure-requests");
