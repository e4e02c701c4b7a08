// Addresses and prefixes from text to the 16 bytes that maps are keyed by, IPv4 mapped (::ffff:a.b.c.d).
// RFC 4291 section 2.2 for the text of IPv6; no zone, no embedded dotted quad but after ::ffff:.

const DOT: i32 = 0x2e;
const COLON: i32 = 0x3a;
const SLASH: i32 = 0x2f;

/** u32 length of 128, then 16 bytes. */
export const prefixBuffer: usize = memory.data(20, 8);
const groups: usize = memory.data(16, 8);

function hexDigit(code: i32): i32 {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** A decimal number without leading zeros in [start, end), at most `max`; −1 for anything else. */
function decimal(text: string, start: i32, end: i32, max: i32): i32 {
  if (start >= end || end - start > 3) return -1;
  if (end - start > 1 && text.charCodeAt(start) == 0x30) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= max ? value : -1;
}

/** Four octets at `out`. */
function parseIpv4(text: string, start: i32, end: i32, out: usize): bool {
  let octet = 0;
  let from = start;
  for (let at = start; at <= end; at++) {
    if (at < end && text.charCodeAt(at) != DOT) continue;
    const value = decimal(text, from, at, 255);
    if (value < 0 || octet > 3) return false;
    store<u8>(out + octet, <u8>value);
    octet++;
    from = at + 1;
  }
  return octet == 4;
}

/** Sixteen octets at `out`. Groups before `::` are written at once, those behind it are moved to the end. */
function parseIpv6(text: string, end: i32, out: usize): bool {
  let count = 0;
  let gap = -1;
  let at = 0;
  if (end >= 2 && text.charCodeAt(0) == COLON) {
    if (text.charCodeAt(1) != COLON) return false;
    gap = 0;
    at = 2;
  }
  while (at < end) {
    let value = 0;
    let digits = 0;
    const from = at;
    while (at < end && digits < 5) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = (value << 4) | digit;
      digits++;
      at++;
    }
    if (at < end && text.charCodeAt(at) == DOT) {
      if (count > 6 || !parseIpv4(text, from, end, groups + (count << 1))) return false;
      count += 2;
      at = end;
      break;
    }
    if (digits == 0 || digits > 4 || count > 7) return false;
    store<u8>(groups + (count << 1), <u8>(value >> 8));
    store<u8>(groups + (count << 1) + 1, <u8>value);
    count++;
    if (at == end) break;
    if (text.charCodeAt(at) != COLON) return false;
    at++;
    if (at < end && text.charCodeAt(at) == COLON) {
      if (gap >= 0) return false;
      gap = count;
      at++;
    } else if (at == end) {
      return false;
    }
  }
  if (gap < 0 ? count != 8 : count > 7) return false;
  memory.fill(out, 0, 16);
  const before = (gap < 0 ? 8 : gap) << 1;
  memory.copy(out, groups, before);
  const after = gap < 0 ? 0 : (count - gap) << 1;
  memory.copy(out + 16 - after, groups + before, after);
  return true;
}

/** Sixteen bytes at `out`; false when the text is no address. */
export function parseAddress(text: string, end: i32, out: usize): bool {
  for (let at = 0; at < end; at++) {
    if (text.charCodeAt(at) == COLON) return parseIpv6(text, end, out);
  }
  memory.fill(out, 0, 10);
  store<u16>(out + 10, 0xffff);
  return parseIpv4(text, 0, end, out + 12);
}

/** A prefix, or an address as one of full length, to `prefixBuffer`. Bits behind the prefix must be zero. */
export function parsePrefix(text: string): bool {
  const slash = text.indexOf("/");
  const end = slash < 0 ? text.length : slash;
  const bytes = prefixBuffer + 4;
  if (!parseAddress(text, end, bytes)) return false;
  let bits = 128;
  if (slash >= 0) {
    const offset = text.indexOf(":") < 0 ? 96 : 0;
    const length = decimal(text, slash + 1, text.length, 128 - offset);
    if (length < 0) return false;
    bits = length + offset;
  }
  for (let bit = bits; bit < 128; bit++) {
    if ((load<u8>(bytes + (bit >> 3)) & (0x80 >> (bit & 7))) != 0) return false;
  }
  store<u32>(prefixBuffer, bits);
  return true;
}
