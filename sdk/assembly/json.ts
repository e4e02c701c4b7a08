// JSON without a tree: members of an object are found in the text itself, and put or taken out there. Enough for tokens' claims and small bodies.
// RFC 8259; what is malformed is answered as absent.

const QUOTE: i32 = 0x22;
const BACKSLASH: i32 = 0x5c;

/** Where the last member that was found begins (at its name) and ends, and its value's beginning. */
let memberStart: i32 = 0;
let valueStart: i32 = 0;
let valueEnd: i32 = 0;

/** The code at `at`, which must lie in the text: `charCodeAt` without its checks, of which a long body would pay millions. */
// @ts-ignore: decorator
@inline
function codeAt(text: string, at: i32): i32 {
  return load<u16>(changetype<usize>(text) + (<usize>at << 1));
}

function skipSpace(text: string, at: i32): i32 {
  const length = text.length;
  while (at < length) {
    const code = codeAt(text, at);
    if (code != 0x20 && code != 0x09 && code != 0x0a && code != 0x0d) break;
    at++;
  }
  return at;
}

/** Behind a string that begins at `at`, or −1. */
function skipString(text: string, at: i32): i32 {
  const start = changetype<usize>(text);
  const end = start + (<usize>text.length << 1);
  let from = start + (<usize>at << 1);
  if (from >= end || load<u16>(from) != QUOTE) return -1;
  for (from += 2; from < end; from += 2) {
    const code = load<u16>(from);
    if (code == QUOTE) return <i32>((from - start) >> 1) + 1;
    if (code == BACKSLASH) from += 2;
  }
  return -1;
}

/** Behind the value that begins at `at`, or −1. */
function skipValue(text: string, at: i32): i32 {
  const length = text.length;
  let depth = 0;
  while (at < length) {
    const code = codeAt(text, at);
    if (code == QUOTE) {
      at = skipString(text, at);
      if (at < 0) return -1;
      if (depth == 0) return at;
      continue;
    }
    if (code == 0x7b || code == 0x5b) depth++;
    else if (code == 0x7d || code == 0x5d) {
      if (depth == 0) return at;
      depth--;
      if (depth == 0) return at + 1;
    } else if (depth == 0 && (code == 0x2c || code <= 0x20)) return at;
    at++;
  }
  return depth == 0 ? at : -1;
}

/** Finds the member of this name in the object that the text is. */
function find(text: string, name: string): bool {
  let at = skipSpace(text, 0);
  if (at >= text.length || text.charCodeAt(at) != 0x7b) return false;
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) != 0x7d) {
    const start = at;
    const nameEnd = skipString(text, at);
    if (nameEnd < 0) return false;
    at = skipSpace(text, nameEnd);
    if (at >= text.length || text.charCodeAt(at) != 0x3a) return false;
    at = skipSpace(text, at + 1);
    const end = skipValue(text, at);
    if (end < 0) return false;
    if (nameEnd - start - 2 == name.length && text.substring(start + 1, nameEnd - 1) == name) {
      memberStart = start;
      valueStart = at;
      valueEnd = end;
      return true;
    }
    at = skipSpace(text, end);
    if (at < text.length && text.charCodeAt(at) == 0x2c) at = skipSpace(text, at + 1);
    else break;
  }
  return false;
}

function unescaped(text: string): string {
  if (text.indexOf("\\") < 0) return text;
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code != BACKSLASH) {
      out += String.fromCharCode(code);
      continue;
    }
    at++;
    const kind = at < text.length ? text.charCodeAt(at) : 0;
    if (kind == 0x75 && at + 4 < text.length) {
      out += String.fromCharCode(<i32>parseInt(text.substring(at + 1, at + 5), 16));
      at += 4;
    } else if (kind == 0x6e) out += "\n";
    else if (kind == 0x74) out += "\t";
    else if (kind == 0x72) out += "\r";
    else if (kind == 0x62) out += "\b";
    else if (kind == 0x66) out += "\f";
    else out += String.fromCharCode(kind);
  }
  return out;
}

export namespace json {
  /** The value of a member as it stands in the text, or null. */
  export function raw(text: string, name: string): string | null {
    return find(text, name) ? text.substring(valueStart, valueEnd) : null;
  }

  /** The value of a member that is a string, or null. */
  export function text(object: string, name: string): string | null {
    if (!find(object, name) || object.charCodeAt(valueStart) != QUOTE) return null;
    return unescaped(object.substring(valueStart + 1, valueEnd - 1));
  }

  /** The value of a member that is a number; NaN for anything else. */
  export function number(object: string, name: string): f64 {
    if (!find(object, name)) return NaN;
    const code = object.charCodeAt(valueStart);
    return code == 0x2d || (code >= 0x30 && code <= 0x39) ? parseFloat(object.substring(valueStart, valueEnd)) : NaN;
  }

  /** The object with this member set; `value` is JSON itself. The text as it was, when it is no object. */
  export function set(object: string, name: string, value: string): string {
    if (find(object, name)) return object.substring(0, valueStart) + value + object.substring(valueEnd);
    const open = skipSpace(object, 0);
    if (open >= object.length || object.charCodeAt(open) != 0x7b) return object;
    const first = skipSpace(object, open + 1);
    const comma = first < object.length && object.charCodeAt(first) == 0x7d ? "" : ",";
    return object.substring(0, open + 1) + quote(name) + ":" + value + comma + object.substring(first);
  }

  /** The object without this member. */
  export function remove(object: string, name: string): string {
    if (!find(object, name)) return object;
    let from = memberStart;
    let to = skipSpace(object, valueEnd);
    if (to < object.length && object.charCodeAt(to) == 0x2c) {
      to = skipSpace(object, to + 1);
    } else {
      // The last one: with the comma before it.
      to = valueEnd;
      while (from > 0 && object.charCodeAt(from - 1) <= 0x20) from--;
      if (from > 0 && object.charCodeAt(from - 1) == 0x2c) from--;
    }
    return object.substring(0, from) + object.substring(to);
  }

  /** A text as JSON. */
  export function quote(text: string): string {
    let out = '"';
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code == QUOTE || code == BACKSLASH) out += "\\" + String.fromCharCode(code);
      else if (code >= 0x20) out += String.fromCharCode(code);
      else out += "\\u00" + (code < 16 ? "0" : "1") + (code & 15).toString(16);
    }
    return out + '"';
  }
}
