/**
 * One tenant's key/value entries in memory that all workers and the supervisor map (layout and order of writes:
 * region-layout.ts). Every call holds the region's lock, for less than a microsecond as a rule; who finds it held spins,
 * lets others have the core, and gives up after LOCK_WAIT_MS.
 *
 * A holder that dies leaves the lock locked: the supervisor, which sees it die, mends the region and frees it.
 */
import { assert } from "#core/assert.ts";
import {
  KV_ANY,
  KV_BUSY,
  KV_FULL,
  KV_KEY_BYTES_MAX,
  KV_MISMATCH,
  KV_VALUE_BYTES_MAX,
  type KeyValueEntry,
  type KeyValueStore,
} from "#pipeline/tenant.ts";
import {
  BLOCK_CLASS,
  BLOCK_EXPIRY,
  BLOCK_HASH,
  BLOCK_HEADER_BYTES,
  BLOCK_KEY_BYTES,
  BLOCK_NEXT,
  BLOCK_VALUE_BYTES,
  BLOCK_VERSION,
  classBytes,
  classOf,
  CLASSES,
  HEADER_BYTES,
  MAGIC,
  WORD_BUCKETS,
  WORD_END,
  WORD_ENTRIES,
  WORD_FREE,
  WORD_LIMIT,
  WORD_LOCK,
  WORD_MAGIC,
  WORD_SEED,
  WORD_SWEPT_MS,
  WORD_USED,
  WORD_VERSION,
} from "./region-layout.ts";

/** Far above what any holder needs that runs; a holder without a core may need it. */
const LOCK_WAIT_MS = 20;
const SPINS = 200;
/** A full region is searched for expired entries at most so often: that takes a microsecond for every ten entries. */
const SWEEP_EVERY_MS = 100;

export interface RegionHost {
  /** The lock's mark: this process's id. */
  readonly pid: number;
  /** Milliseconds of CLOCK_MONOTONIC, which all processes agree on. */
  nowMs(): number;
  /** sched_yield(2). */
  yieldCore(): void;
}

export class KeyValueRegion implements KeyValueStore {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #doubles: Float64Array;
  readonly #host: RegionHost;
  readonly #bucketMask: number;
  readonly #seed: number;
  /** Where `#find` came from: a byte offset of the word that links to what it found. */
  #link = 0;
  /** The lock is ours for several calls. */
  #together = false;

  /** `memory` was formatted (region-layout.ts), and stays mapped as long as this is used. */
  constructor(memory: ArrayBuffer, host: RegionHost) {
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#doubles = new Float64Array(memory);
    this.#host = host;
    assert(this.#words[WORD_MAGIC] === MAGIC, "a region that was formatted");
    this.#bucketMask = this.#word(WORD_BUCKETS) - 1;
    this.#seed = this.#word(WORD_SEED);
  }

  /** Of the heap, live blocks only. */
  get usedBytes(): number {
    return this.#word(WORD_USED);
  }

  get entries(): number {
    return this.#word(WORD_ENTRIES);
  }

  get(key: Uint8Array): KeyValueEntry | null {
    if (!this.#lock()) return null;
    try {
      const block = this.#find(key);
      return block === 0 ? null : this.#entryAt(block);
    } finally {
      this.#unlock();
    }
  }

  put(key: Uint8Array, value: Uint8Array, ttlMs: number, expected: number): number {
    assert(
      key.length > 0 && key.length <= KV_KEY_BYTES_MAX && value.length <= KV_VALUE_BYTES_MAX,
      "sizes were checked",
    );
    if (!this.#lock()) return KV_BUSY;
    try {
      const expiry = ttlMs > 0 ? this.#host.nowMs() + ttlMs : 0;
      return this.#put(key, value, expiry, expected);
    } finally {
      this.#unlock();
    }
  }

  delete(key: Uint8Array, expected: number): boolean {
    if (!this.#lock()) return false;
    try {
      const block = this.#find(key);
      if (block === 0 || (expected !== KV_ANY && expected !== this.#blockWord(block, BLOCK_VERSION))) return false;
      this.#unlink(block);
      return true;
    } finally {
      this.#unlock();
    }
  }

  increment(key: Uint8Array, delta: bigint, ttlMs: number): bigint | null {
    if (!this.#lock()) return null;
    try {
      const block = this.#find(key);
      const counts = block !== 0 && this.#blockWord(block, BLOCK_VALUE_BYTES) === 8;
      const before = counts ? this.#entryAt(block).value : new Uint8Array(8);
      const value = new DataView(before.buffer);
      const sum = BigInt.asIntN(64, value.getBigInt64(0, true) + delta);
      value.setBigInt64(0, sum, true);
      const fresh = ttlMs > 0 ? this.#host.nowMs() + ttlMs : 0;
      const expiry = counts ? (this.#doubles[block / 8 + BLOCK_EXPIRY] as number) : fresh;
      return this.#put(key, before, expiry, KV_ANY) > 0 ? sum : null;
    } finally {
      this.#unlock();
    }
  }

  together(run: () => void): boolean {
    if (this.#together || !this.#lock()) return false;
    this.#together = true;
    try {
      run();
    } finally {
      this.#together = false;
      this.#unlock();
    }
    return true;
  }

  /** At most `limit` entries, for people: in the order of buckets. Null: busy. */
  list(limit: number): { readonly key: Uint8Array; readonly entry: KeyValueEntry; readonly expiryMs: number }[] | null {
    if (!this.#lock()) return null;
    try {
      const found: { key: Uint8Array; entry: KeyValueEntry; expiryMs: number }[] = [];
      this.#each((block) => {
        const at = block + BLOCK_HEADER_BYTES;
        const key = this.#bytes.slice(at, at + this.#blockWord(block, BLOCK_KEY_BYTES));
        const expiryMs = this.#doubles[block / 8 + BLOCK_EXPIRY] as number;
        if (!this.#isExpired(block)) found.push({ key, entry: this.#entryAt(block), expiryMs });
        return found.length < limit;
      });
      return found;
    } finally {
      this.#unlock();
    }
  }

  /** As many of another region's entries as there is room for. Versions are new ones. */
  copyFrom(other: KeyValueRegion): void {
    const nowMs = this.#host.nowMs();
    for (const { key, entry, expiryMs } of other.list(Infinity) ?? []) {
      this.put(key, entry.value, expiryMs === 0 ? 0 : Math.max(1, expiryMs - nowMs), KV_ANY);
    }
  }

  /** Every entry goes. False: busy. */
  clear(): boolean {
    if (!this.#lock()) return false;
    try {
      for (let bucket = 0; bucket <= this.#bucketMask; bucket++) {
        this.#link = HEADER_BYTES + 4 * bucket;
        for (let block = this.#linked(); block !== 0; block = this.#linked()) this.#unlink(block);
      }
      return true;
    } finally {
      this.#unlock();
    }
  }

  #put(key: Uint8Array, value: Uint8Array, expiry: number, expected: number): number {
    const hash = this.#hash(key);
    let old = this.#find(key, hash);
    if (expected !== KV_ANY && expected !== (old === 0 ? 0 : this.#blockWord(old, BLOCK_VERSION))) return KV_MISMATCH;
    const size = classOf(BLOCK_HEADER_BYTES + key.length + value.length);
    const block = this.#allocate(size, old);
    if (block === 0) return KV_FULL;
    // Making room may have taken out what was expired, this key's neighbours among it.
    old = this.#find(key, hash);
    const version = this.#nextVersion();
    const at = block >> 2;
    this.#words[at + BLOCK_HASH] = hash;
    this.#words[at + BLOCK_VERSION] = version;
    this.#words[at + BLOCK_KEY_BYTES] = key.length;
    this.#words[at + BLOCK_VALUE_BYTES] = value.length;
    this.#doubles[block / 8 + BLOCK_EXPIRY] = expiry;
    this.#bytes.set(key, block + BLOCK_HEADER_BYTES);
    this.#bytes.set(value, block + BLOCK_HEADER_BYTES + key.length);
    this.#words[at + BLOCK_NEXT] = old === 0 ? this.#linked() : this.#blockWord(old, BLOCK_NEXT);
    // From here on it is the entry.
    this.#words[this.#link >> 2] = block;
    if (old === 0) this.#words[WORD_ENTRIES] = this.entries + 1;
    else this.#release(old);
    return version;
  }

  /** The block of a live entry, or 0; `#link` is what leads to it, or to the head of its bucket. */
  #find(key: Uint8Array, hash = this.#hash(key)): number {
    const head = HEADER_BYTES + 4 * (hash & this.#bucketMask);
    this.#link = head;
    for (let block = this.#linked(); block !== 0; block = this.#linked()) {
      if (this.#blockWord(block, BLOCK_HASH) === hash && this.#isKey(block, key)) {
        if (!this.#isExpired(block)) return block;
        this.#unlink(block);
        break;
      }
      this.#link = block + 4 * BLOCK_NEXT;
    }
    this.#link = head;
    return 0;
  }

  #linked(): number {
    return this.#word(this.#link >> 2);
  }

  /** Takes the block that `#link` leads to out of the map. */
  #unlink(block: number): void {
    this.#words[this.#link >> 2] = this.#blockWord(block, BLOCK_NEXT);
    this.#words[WORD_ENTRIES] = this.entries - 1;
    this.#release(block);
  }

  #release(block: number): void {
    const size = this.#blockWord(block, BLOCK_CLASS);
    this.#words[(block >> 2) + BLOCK_NEXT] = this.#word(WORD_FREE + size);
    this.#words[WORD_FREE + size] = block;
    this.#words[WORD_USED] = this.usedBytes - classBytes(size);
  }

  /** A block of this class that belongs to nobody yet, or 0. What `replaced` takes will be free when it is in use. */
  #allocate(size: number, replaced: number): number {
    if (size >= CLASSES) return 0;
    const given = replaced === 0 ? 0 : classBytes(this.#blockWord(replaced, BLOCK_CLASS));
    const fits = () => this.usedBytes - given + classBytes(size) <= this.#word(WORD_LIMIT);
    if (!fits()) {
      this.#sweep();
      if (!fits()) return 0;
    }
    const block = this.#fromFree(size) || this.#fromEnd(size) || this.#fromLarger(size);
    if (block !== 0) this.#words[WORD_USED] = this.usedBytes + classBytes(size);
    return block;
  }

  #fromFree(size: number): number {
    const block = this.#word(WORD_FREE + size);
    if (block !== 0) this.#words[WORD_FREE + size] = this.#blockWord(block, BLOCK_NEXT);
    return block;
  }

  #fromEnd(size: number): number {
    const block = this.#word(WORD_END);
    if (block + classBytes(size) > this.#bytes.length) return 0;
    this.#words[(block >> 2) + BLOCK_CLASS] = size;
    this.#words[WORD_END] = block + classBytes(size);
    return block;
  }

  /** Halves a larger block until it has the size; the other halves are free ones. */
  #fromLarger(size: number): number {
    let larger = size + 1;
    while (larger < CLASSES && this.#word(WORD_FREE + larger) === 0) larger++;
    if (larger >= CLASSES) return 0;
    const block = this.#fromFree(larger);
    for (let half = larger - 1; half >= size; half--) {
      const other = block + classBytes(half);
      this.#words[(other >> 2) + BLOCK_CLASS] = half;
      this.#words[(other >> 2) + BLOCK_NEXT] = this.#word(WORD_FREE + half);
      this.#words[(block >> 2) + BLOCK_CLASS] = half;
      this.#words[WORD_FREE + half] = other;
    }
    return block;
  }

  #sweep(): void {
    const nowMs = this.#host.nowMs() | 0;
    if (Math.abs(nowMs - this.#word(WORD_SWEPT_MS)) < SWEEP_EVERY_MS) return;
    this.#words[WORD_SWEPT_MS] = nowMs;
    for (let bucket = 0; bucket <= this.#bucketMask; bucket++) {
      this.#link = HEADER_BYTES + 4 * bucket;
      for (let block = this.#linked(); block !== 0; block = this.#linked()) {
        if (this.#isExpired(block)) this.#unlink(block);
        else this.#link = block + 4 * BLOCK_NEXT;
      }
    }
  }

  #each(visit: (block: number) => boolean): void {
    for (let bucket = 0; bucket <= this.#bucketMask; bucket++) {
      let block = this.#word((HEADER_BYTES >> 2) + bucket);
      for (; block !== 0; block = this.#blockWord(block, BLOCK_NEXT)) if (!visit(block)) return;
    }
  }

  #isKey(block: number, key: Uint8Array): boolean {
    if (this.#blockWord(block, BLOCK_KEY_BYTES) !== key.length) return false;
    const at = block + BLOCK_HEADER_BYTES;
    for (let index = 0; index < key.length; index++) if (this.#bytes[at + index] !== key[index]) return false;
    return true;
  }

  #isExpired(block: number): boolean {
    const expiry = this.#doubles[block / 8 + BLOCK_EXPIRY] as number;
    return expiry !== 0 && expiry <= this.#host.nowMs();
  }

  #entryAt(block: number): { value: Uint8Array<ArrayBuffer>; version: number } {
    const at = block + BLOCK_HEADER_BYTES + this.#blockWord(block, BLOCK_KEY_BYTES);
    const value = this.#bytes.slice(at, at + this.#blockWord(block, BLOCK_VALUE_BYTES));
    return { value: value as Uint8Array<ArrayBuffer>, version: this.#blockWord(block, BLOCK_VERSION) };
  }

  /** 1 … 2³¹−1, and again from 1. */
  #nextVersion(): number {
    const version = (this.#word(WORD_VERSION) + 1) & 0x7fff_ffff || 1;
    this.#words[WORD_VERSION] = version;
    return version;
  }

  /** FNV-1a from a seed that is the region's own. */
  #hash(key: Uint8Array): number {
    let hash = this.#seed;
    for (const byte of key) hash = Math.imul(hash ^ byte, 0x0100_0193);
    return hash ^ (hash >>> 15);
  }

  #word(index: number): number {
    return this.#words[index] as number;
  }

  #blockWord(block: number, index: number): number {
    return this.#words[(block >> 2) + index] as number;
  }

  #lock(): boolean {
    if (this.#together) return true;
    const { pid } = this.#host;
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.#words, WORD_LOCK, 0, pid) === 0) return true;
      Atomics.pause();
    }
    const until = performance.now() + LOCK_WAIT_MS;
    while (performance.now() < until) {
      this.#host.yieldCore();
      if (Atomics.compareExchange(this.#words, WORD_LOCK, 0, pid) === 0) return true;
    }
    return false;
  }

  #unlock(): void {
    if (!this.#together) Atomics.store(this.#words, WORD_LOCK, 0);
  }
}
