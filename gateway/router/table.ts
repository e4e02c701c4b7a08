/**
 * An immutable hash table from byte strings to small integers, looked up with bytes that stand in somebody else's
 * memory: no string is made and nothing is allocated by a look-up.
 *
 * Open addressing with linear probing, four 32-bit cells a slot, so that a cache line holds a whole probe run of four:
 *
 *     slots   [ hash | scope | key offset | value + 1 ] …        value + 1 = 0: an empty slot
 *     keys    [ length u32 LE | bytes ] …                        at the key offset
 *
 * The scope says which table within the table a key belongs to: one table serves the paths of all hosts. A table is at
 * most half full, so that a key that is not there is nearly always refused by one line and without reading a key.
 *
 * Keys come from tenants and look-ups from clients, so the hash starts from a seed that neither knows.
 */
import { assert } from "#core/assert.ts";

const SLOT_SHIFT = 2;
const SLOTS_MIN = 8;
const LENGTH_BYTES = 4;

/** One byte into a running hash. The shift feeds the high bits back, which a bare multiplication never does. */
export function hashByte(hash: number, byte: number): number {
  const product = Math.imul(hash ^ byte, 0x9e3779b1);
  return product ^ (product >>> 15);
}

/** The hash a slot is chosen by: the scope mixed in, since equal paths of many hosts must not share a run. */
function scopedHash(hash: number, scope: number): number {
  const mixed = Math.imul(hash ^ Math.imul(scope + 1, 0x85ebca6b), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

export class ByteTable {
  readonly #slots: Int32Array;
  readonly #keys: Uint8Array;
  readonly #mask: number;

  /** `slots` and `keys` as drawn above. Made by TableBuilder. */
  constructor(slots: Int32Array, keys: Uint8Array) {
    this.#slots = slots;
    this.#keys = keys;
    this.#mask = (slots.length >>> SLOT_SHIFT) - 1;
  }

  /** The value of `memory[start, end)` in `scope`, or −1. `hash` is the running hash over exactly those bytes. */
  find(scope: number, hash: number, memory: Uint8Array, start: number, end: number): number {
    let slot = this.first(scope, hash);
    while (slot >= 0) {
      const key = this.keyStart(slot);
      if (this.keyEnd(slot) - key === end - start && this.#equals(key, memory, start, end)) return this.value(slot);
      slot = this.next(slot, scope, hash);
    }
    return -1;
  }

  /** The first slot with this hash and scope, or −1: for a key in pieces, which the caller compares itself. */
  first(scope: number, hash: number): number {
    const mixed = scopedHash(hash, scope);
    return this.#probe(mixed & this.#mask, scope, mixed);
  }

  /** The next slot after `slot` with this hash and scope, or −1. */
  next(slot: number, scope: number, hash: number): number {
    return this.#probe((slot + 1) & this.#mask, scope, scopedHash(hash, scope));
  }

  value(slot: number): number {
    return (this.#slots[(slot << SLOT_SHIFT) + 3] as number) - 1;
  }

  /** Where the key's bytes begin in `keys`. */
  keyStart(slot: number): number {
    return (this.#slots[(slot << SLOT_SHIFT) + 2] as number) + LENGTH_BYTES;
  }

  keyEnd(slot: number): number {
    const keys = this.#keys;
    const at = this.#slots[(slot << SLOT_SHIFT) + 2] as number;
    const length =
      (keys[at] as number) |
      ((keys[at + 1] as number) << 8) |
      ((keys[at + 2] as number) << 16) |
      ((keys[at + 3] as number) << 24);
    return at + LENGTH_BYTES + length;
  }

  get keys(): Uint8Array {
    return this.#keys;
  }

  #probe(from: number, scope: number, mixed: number): number {
    const slots = this.#slots;
    let slot = from;
    for (;;) {
      const at = slot << SLOT_SHIFT;
      if (slots[at + 3] === 0) return -1;
      if (slots[at] === mixed && slots[at + 1] === scope) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #equals(key: number, memory: Uint8Array, start: number, end: number): boolean {
    const keys = this.#keys;
    const shift = key - start;
    for (let i = start; i < end; i++) if (memory[i] !== keys[i + shift]) return false;
    return true;
  }
}

/** Collects keys, then lays the table out. Values are integers from 0. */
export class TableBuilder {
  readonly #hashes: number[] = [];
  readonly #scopes: number[] = [];
  readonly #values: number[] = [];
  readonly #keyStarts: number[] = [];
  #keys = new Uint8Array(1024);
  #keysUsed = 0;

  /** `key` is Latin-1 text; `hash` is the running hash over its bytes, in whatever direction the reader goes. */
  add(scope: number, hash: number, key: string, value: number): void {
    assert(value >= 0, "a value below 0 would read as absent");
    this.#reserve(LENGTH_BYTES + key.length);
    const at = this.#keysUsed;
    const keys = this.#keys;
    for (let byte = 0; byte < LENGTH_BYTES; byte++) keys[at + byte] = key.length >>> (byte << 3);
    for (let i = 0; i < key.length; i++) keys[at + LENGTH_BYTES + i] = key.charCodeAt(i);
    this.#keysUsed = at + LENGTH_BYTES + key.length;
    this.#hashes.push(scopedHash(hash, scope));
    this.#scopes.push(scope);
    this.#values.push(value);
    this.#keyStarts.push(at);
  }

  build(): ByteTable {
    let count = SLOTS_MIN;
    while (count < 2 * this.#values.length) count *= 2;
    const slots = new Int32Array(count << SLOT_SHIFT);
    for (let i = 0; i < this.#values.length; i++) {
      let slot = (this.#hashes[i] as number) & (count - 1);
      while (slots[(slot << SLOT_SHIFT) + 3] !== 0) slot = (slot + 1) & (count - 1);
      const at = slot << SLOT_SHIFT;
      slots[at] = this.#hashes[i] as number;
      slots[at + 1] = this.#scopes[i] as number;
      slots[at + 2] = this.#keyStarts[i] as number;
      slots[at + 3] = (this.#values[i] as number) + 1;
    }
    return new ByteTable(slots, this.#keys.slice(0, this.#keysUsed));
  }

  #reserve(bytes: number): void {
    if (this.#keysUsed + bytes <= this.#keys.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#keys.length, this.#keysUsed + bytes));
    grown.set(this.#keys);
    this.#keys = grown;
  }
}
