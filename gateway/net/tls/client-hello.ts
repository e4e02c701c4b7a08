/**
 * The first message of a TLS client, read without OpenSSL: who it wants to speak to (SNI), by which protocol (ALPN), and
 * in which versions. Pure: bytes in, a verdict out; nothing is decrypted and nothing is kept but what was found.
 *
 *     record    type u8 = 22 | version u16 | length u16 ≤ 16384 | fragment                     RFC 8446 §5.1, RFC 5246 §6.2.1
 *     message   type u8 = 1  | length u24 | body                                               RFC 8446 §4
 *     body      version u16 | random 32 | session id <0..32> | suites <2..> | compression <1..> | extensions <0..>
 *
 * The caller gathers bytes from the first one of the connection and asks again as they come: `read` answers `HELLO_MORE`
 * until the message is whole, whatever the pieces. A message may be spread over several records; RECORDS_MAX bounds them, so
 * that a client that drips one byte a record can't make the gathering quadratic.
 */

/** Not whole yet. */
export const HELLO_MORE = 0;
/** Why bytes are no ClientHello that can be used. Negative, so that a length is told from them. */
export const HELLO_NOT_TLS = -1;
/** Looks like an HTTP request without TLS. */
export const HELLO_PLAIN_HTTP = -2;
export const HELLO_MALFORMED = -3;
export const HELLO_TOO_LONG = -4;

/** The largest message taken: post-quantum key shares make 2 KiB of one, long session tickets some more. */
export const HELLO_BYTES_MAX = 16 * 1024;
/** Clients use one record, or two when they hide the host name behind a record boundary. */
const RECORDS_MAX = 16;

const RECORD_HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
const FRAGMENT_BYTES_MAX = 16_384;
const MESSAGE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;

/** RFC 6066 §3, RFC 7301 §3.1, RFC 8446 §4.2.1 */
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;
const EXTENSION_VERSIONS = 43;
const NAME_TYPE_HOST = 0;

/** What was found. One object serves many connections: `read` overwrites it when it answers a length. */
export class ClientHello {
  /** Lower case, without a trailing dot; empty when the client names none, or names what is no host name. */
  serverName = "";
  /** In the client's order, as Latin-1 text: `h2`, `http/1.1`. */
  alpn: string[] = [];
  /** The highest version offered that exists: 0x0301 … 0x0304. */
  version = 0;

  #memory: Uint8Array = NOTHING;
  #at = 0;
  #end = 0;
  /** Fragments put together, when there are several. */
  readonly #joined = new Uint8Array(HELLO_BYTES_MAX + MESSAGE_HEADER_BYTES);

  /**
   * Reads `[start, end)` of `memory`, which begins with the connection's first byte: the number of bytes up to the end of the
   * record that completes the message, HELLO_MORE, or why not.
   */
  read(memory: Uint8Array, start: number, end: number): number {
    if (end - start < RECORD_HEADER_BYTES) return partOfRecord(memory, start, end);
    let at = start;
    let joined = 0;
    for (let records = 0; records < RECORDS_MAX; records++) {
      if (end - at < RECORD_HEADER_BYTES) return records === 0 ? partOfRecord(memory, at, end) : HELLO_MORE;
      const refused = checkHeader(memory, at, records === 0);
      if (refused !== 0) return refused;
      const length = u16(memory, at + 3);
      const fragment = at + RECORD_HEADER_BYTES;
      const there = Math.min(length, end - fragment);
      // What there is no room for stands behind the longest message that is taken.
      const taken = Math.min(there, this.#joined.length - joined);
      this.#joined.set(memory.subarray(fragment, fragment + taken), joined);
      joined += taken;
      const whole = this.#messageBytes(joined);
      if (whole < 0) return whole;
      at = fragment + length;
      if (whole > 0 && joined >= whole) return this.#parse(whole) ? Math.min(at, end) - start : HELLO_MALFORMED;
      if (there < length) return HELLO_MORE;
    }
    return HELLO_TOO_LONG;
  }

  /** Length of the message with its header, 0 when that can't be told yet, or why not. */
  #messageBytes(joined: number): number {
    if (joined < 1) return 0;
    if (this.#joined[0] !== CLIENT_HELLO) return HELLO_MALFORMED;
    if (joined < MESSAGE_HEADER_BYTES) return 0;
    const length = ((this.#joined[1] as number) << 16) | u16(this.#joined, 2);
    return length > HELLO_BYTES_MAX ? HELLO_TOO_LONG : length + MESSAGE_HEADER_BYTES;
  }

  /** The whole message stands in `#joined`. False when it is malformed. */
  #parse(end: number): boolean {
    this.serverName = "";
    this.alpn = [];
    this.#memory = this.#joined;
    this.#at = MESSAGE_HEADER_BYTES;
    this.#end = end;
    if (end - this.#at < 34) return false;
    this.version = Math.min(u16(this.#memory, this.#at), 0x0303);
    this.#at += 34;
    if (!this.#skip(1) || !this.#skip(2) || !this.#skip(1)) return false;
    // RFC 5246 §7.4.1.2: extensions may be absent altogether.
    if (this.#at === end) return true;
    if (end - this.#at < 2 || u16(this.#memory, this.#at) !== end - this.#at - 2) return false;
    this.#at += 2;
    return this.#extensions();
  }

  /** Over a vector with a length of `width` bytes. */
  #skip(width: 1 | 2): boolean {
    if (this.#end - this.#at < width) return false;
    const length = width === 1 ? (this.#memory[this.#at] as number) : u16(this.#memory, this.#at);
    this.#at += width + length;
    return this.#at <= this.#end;
  }

  #extensions(): boolean {
    const memory = this.#memory;
    // RFC 8446 §4.2: no type twice. Only those that are read matter here.
    let seen = 0;
    while (this.#at < this.#end) {
      if (this.#end - this.#at < 4) return false;
      const type = u16(memory, this.#at);
      const from = this.#at + 4;
      const to = from + u16(memory, this.#at + 2);
      if (to > this.#end) return false;
      this.#at = to;
      const bit =
        type === EXTENSION_SERVER_NAME ? 1 : type === EXTENSION_ALPN ? 2 : type === EXTENSION_VERSIONS ? 4 : 0;
      if ((seen & bit) !== 0) return false;
      seen |= bit;
      if (bit === 1 && !this.#serverName(from, to)) return false;
      if (bit === 2 && !this.#protocols(from, to)) return false;
      if (bit === 4 && !this.#versions(from, to)) return false;
    }
    return true;
  }

  /** RFC 6066 §3: ServerNameList server_name_list<1..2^16-1>, at most one name of each type. */
  #serverName(from: number, to: number): boolean {
    const memory = this.#memory;
    if (to - from < 5 || u16(memory, from) !== to - from - 2) return false;
    let at = from + 2;
    let named = false;
    while (at < to) {
      if (to - at < 3) return false;
      const type = memory[at];
      const name = at + 3;
      const end = name + u16(memory, at + 1);
      if (end > to || end === name) return false;
      if (type === NAME_TYPE_HOST) {
        if (named) return false;
        named = true;
        this.serverName = hostName(memory, name, end);
      }
      at = end;
    }
    return true;
  }

  /** RFC 7301 §3.1: ProtocolName protocol_name_list<2..2^16-1>, each 1 to 255 bytes. */
  #protocols(from: number, to: number): boolean {
    const memory = this.#memory;
    if (to - from < 4 || u16(memory, from) !== to - from - 2) return false;
    let at = from + 2;
    while (at < to) {
      const length = memory[at] as number;
      if (length === 0 || at + 1 + length > to) return false;
      this.alpn.push(latin1(memory, at + 1, at + 1 + length));
      at += 1 + length;
    }
    return true;
  }

  /** RFC 8446 §4.2.1: ProtocolVersion versions<2..254>; replaces what the old field says. */
  #versions(from: number, to: number): boolean {
    const memory = this.#memory;
    const length = memory[from] as number;
    if (to - from < 3 || length !== to - from - 1 || length % 2 !== 0) return false;
    let highest = 0;
    for (let at = from + 1; at < to; at += 2) {
      const version = u16(memory, at);
      if (version >= 0x0301 && version <= 0x0304 && version > highest) highest = version;
    }
    this.version = highest;
    return true;
  }
}

const NOTHING = new Uint8Array(0);

function u16(memory: Uint8Array, at: number): number {
  return ((memory[at] as number) << 8) | (memory[at + 1] as number);
}

/** The first bytes, fewer than a record's header: more, unless they are already none. */
function partOfRecord(memory: Uint8Array, start: number, end: number): number {
  if (end === start) return HELLO_MORE;
  if (memory[start] !== RECORD_HANDSHAKE)
    return isMethodByte(memory[start] as number) ? httpOrNot(memory, start, end) : HELLO_NOT_TLS;
  return end - start > 1 && memory[start + 1] !== 3 ? HELLO_NOT_TLS : HELLO_MORE;
}

function checkHeader(memory: Uint8Array, at: number, first: boolean): number {
  if (memory[at] !== RECORD_HANDSHAKE || memory[at + 1] !== 3) {
    if (!first) return HELLO_MALFORMED;
    return isMethodByte(memory[at] as number) ? httpOrNot(memory, at, at + RECORD_HEADER_BYTES) : HELLO_NOT_TLS;
  }
  const length = u16(memory, at + 3);
  // An empty handshake record is none (RFC 8446 §5.1).
  if (length === 0) return HELLO_MALFORMED;
  return length > FRAGMENT_BYTES_MAX ? HELLO_TOO_LONG : 0;
}

function isMethodByte(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

/** Upper-case letters, with a space at most behind them: the beginning of a request line. */
function httpOrNot(memory: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = memory[at] as number;
    if (byte === 0x20 && at > start) return HELLO_PLAIN_HTTP;
    if (!isMethodByte(byte)) return HELLO_NOT_TLS;
  }
  return end - start < RECORD_HEADER_BYTES ? HELLO_MORE : HELLO_PLAIN_HTTP;
}

/** Lower-cased, without a trailing dot. Empty for what can't be a host name: letters, digits, `-`, `_` and dots (RFC 1123 §2.1). */
function hostName(memory: Uint8Array, start: number, end: number): string {
  if (end - start > 1 && memory[end - 1] === 0x2e) end--;
  if (end - start > 253) return "";
  let name = "";
  for (let at = start; at < end; at++) {
    let byte = memory[at] as number;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    const letter = byte >= 0x61 && byte <= 0x7a;
    const digit = byte >= 0x30 && byte <= 0x39;
    if (!letter && !digit && byte !== 0x2d && byte !== 0x2e && byte !== 0x5f) return "";
    name += String.fromCharCode(byte);
  }
  return name;
}

function latin1(memory: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCharCode(memory[at] as number);
  return text;
}
