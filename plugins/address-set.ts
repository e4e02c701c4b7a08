/**
 * A set of IP addresses, made of prefixes: sorted ranges that don't overlap, searched by halves. Addresses are four
 * unsigned words in network order, IPv4 mapped into IPv6; a look-up allocates nothing.
 *
 *     starts  [ w0 w1 w2 w3 | w0 w1 w2 w3 | … ]     ends  the same, both ends included
 */
import { parsePrefix, type Prefix } from "#core/address.ts";

const MAPPED_FIRST = 0xffff_0000_0000n;
const MAPPED_LAST = 0xffff_ffff_ffffn;
const MAPPED_BITS = 96;
const WORDS = 4;

interface Range {
  readonly first: bigint;
  last: bigint;
}

export class AddressSet {
  readonly #count: number;
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;

  /** Texts such as `203.0.113.0/24`. Throws PENSTOCK_ADDRESS_PREFIX. */
  constructor(prefixes: readonly string[]) {
    const ranges = merged(prefixes.flatMap((text) => rangesOf(parsePrefix(text))));
    this.#count = ranges.length;
    this.#starts = new Uint32Array(ranges.length * WORDS);
    this.#ends = new Uint32Array(ranges.length * WORDS);
    for (const [index, { first, last }] of ranges.entries()) {
      for (let word = 0; word < WORDS; word++) {
        const shift = BigInt(96 - 32 * word);
        this.#starts[index * WORDS + word] = Number((first >> shift) & 0xffff_ffffn);
        this.#ends[index * WORDS + word] = Number((last >> shift) & 0xffff_ffffn);
      }
    }
  }

  get empty(): boolean {
    return this.#count === 0;
  }

  /** `ip`: 16 bytes. */
  has(ip: Uint8Array): boolean {
    // The last range that starts at or before the address is the only one it can be in.
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#starts, middle, ip) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && compare(this.#ends, low - 1, ip) >= 0;
  }
}

/** Sign of the difference of an entry and an address. */
function compare(words: Uint32Array, index: number, ip: Uint8Array): number {
  for (let word = 0; word < WORDS; word++) {
    const at = word << 2;
    const high = ((ip[at] as number) << 24) | ((ip[at + 1] as number) << 16);
    const mine = (high | ((ip[at + 2] as number) << 8) | (ip[at + 3] as number)) >>> 0;
    const theirs = words[index * WORDS + word] as number;
    if (theirs !== mine) return theirs < mine ? -1 : 1;
  }
  return 0;
}

/** A prefix of IPv6 holds no IPv4, although IPv4 is mapped into the same space: `::/0` has a hole. */
function rangesOf({ ip, bits }: Prefix): Range[] {
  const first = ip.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const last = first | ((1n << BigInt(128 - bits)) - 1n);
  if (bits >= MAPPED_BITS || last < MAPPED_FIRST || first > MAPPED_LAST) return [{ first, last }];
  const parts: Range[] = [];
  if (first < MAPPED_FIRST) parts.push({ first, last: MAPPED_FIRST - 1n });
  if (last > MAPPED_LAST) parts.push({ first: MAPPED_LAST + 1n, last });
  return parts;
}

function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const before = result.at(-1);
    if (before !== undefined && range.first <= before.last) {
      if (range.last > before.last) before.last = range.last;
    } else {
      result.push({ ...range });
    }
  }
  return result;
}
