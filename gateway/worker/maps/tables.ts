/** What the user-space map keeps its entries in: by exact key, with or without eviction, or by longest prefix. */

export interface EntryTable {
  readonly size: number;
  /** The value for a lookup: for prefixes, the longest that fits. */
  find(key: Uint8Array): Uint8Array | undefined;
  /** Whether this very key is there. */
  has(key: Uint8Array): boolean;
  /** Whether it is a key at all. */
  accepts(key: Uint8Array): boolean;
  set(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): boolean;
  /** Makes room by dropping what was used longest ago; false where that is not this table's way. */
  evict(): boolean;
  entries(): IterableIterator<[Uint8Array, Uint8Array]>;
}

export class ExactTable implements EntryTable {
  /** Keys as one character a byte. In order of use where entries are evicted. */
  readonly #entries = new Map<string, Uint8Array>();
  readonly #evicting: boolean;

  constructor(evicting: boolean) {
    this.#evicting = evicting;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(key: Uint8Array): Uint8Array | undefined {
    const text = textOf(key);
    const value = this.#entries.get(text);
    if (this.#evicting && value !== undefined) {
      this.#entries.delete(text);
      this.#entries.set(text, value);
    }
    return value;
  }

  has(key: Uint8Array): boolean {
    return this.#entries.has(textOf(key));
  }

  accepts(): boolean {
    return true;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const text = textOf(key);
    if (this.#evicting) this.#entries.delete(text);
    this.#entries.set(text, value);
  }

  delete(key: Uint8Array): boolean {
    return this.#entries.delete(textOf(key));
  }

  evict(): boolean {
    if (!this.#evicting) return false;
    for (const oldest of this.#entries.keys()) return this.#entries.delete(oldest);
    return false;
  }

  *entries(): IterableIterator<[Uint8Array, Uint8Array]> {
    for (const [text, value] of this.#entries) yield [Buffer.from(text, "latin1"), value];
  }
}

/** Where the address begins in a prefix key: after its number of bits. */
const ADDRESS_AT = 4;

/** One table for each length in use, asked from the longest down: fine for the handful of lengths that lists have. */
export class PrefixTable implements EntryTable {
  readonly #byLength = new Map<number, Map<string, Uint8Array>>();
  /** Longest first. */
  #lengths: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(key: Uint8Array): Uint8Array | undefined {
    const bits = bitsOf(key);
    for (const length of this.#lengths) {
      if (length > bits) continue;
      const value = this.#byLength.get(length)?.get(masked(key, length));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  has(key: Uint8Array): boolean {
    return this.#byLength.get(bitsOf(key))?.has(masked(key, bitsOf(key))) ?? false;
  }

  accepts(key: Uint8Array): boolean {
    return bitsOf(key) <= (key.length - ADDRESS_AT) * 8;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    const bits = bitsOf(key);
    const table = this.#byLength.get(bits) ?? this.#newLength(bits);
    const text = masked(key, bits);
    if (!table.has(text)) this.#size++;
    table.set(text, value);
  }

  delete(key: Uint8Array): boolean {
    const bits = bitsOf(key);
    const table = this.#byLength.get(bits);
    if (table === undefined || !table.delete(masked(key, bits))) return false;
    this.#size--;
    if (table.size === 0) {
      this.#byLength.delete(bits);
      this.#lengths = this.#lengths.filter((each) => each !== bits);
    }
    return true;
  }

  evict(): boolean {
    return false;
  }

  *entries(): IterableIterator<[Uint8Array, Uint8Array]> {
    for (const [bits, table] of this.#byLength) {
      for (const [text, value] of table) {
        const key = Buffer.alloc(ADDRESS_AT + text.length);
        key.writeUInt32LE(bits, 0);
        key.write(text, ADDRESS_AT, "latin1");
        yield [key, value];
      }
    }
  }

  #newLength(bits: number): Map<string, Uint8Array> {
    const table = new Map<string, Uint8Array>();
    this.#byLength.set(bits, table);
    this.#lengths = [...this.#lengths, bits].toSorted((a, b) => b - a);
    return table;
  }
}

function bitsOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(0, true);
}

/** The address with all bits behind the prefix cleared, as text. */
function masked(key: Uint8Array, bits: number): string {
  const address = Buffer.from(key.subarray(ADDRESS_AT));
  const whole = bits >> 3;
  if (whole < address.length) {
    address[whole] = (address[whole] as number) & (0xff00 >> (bits & 7));
    address.fill(0, whole + 1);
  }
  return address.toString("latin1");
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
