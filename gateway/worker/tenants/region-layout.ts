/**
 * The memory of one tenant's key/value entries, as all processes that map it see it. Little-endian, as the platforms are.
 *
 *     0        4096            4096 + 4·buckets
 *     header   bucket heads    heap: blocks of 64, 128, … 131072 bytes, one behind the other
 *
 *     header   u32 each: magic, lock (pid of the holder, 0: free), limit and use of the heap in bytes, entries, last version,
 *              end of the used heap, number of buckets, seed of the hash, ms of the last sweep; from word 16 on a list of free
 *              blocks for each size
 *     block    next u32 · hash u32 · class u32 · version u32 · expiry f64 · bytes of the key u32 · of the value u32 · key · value
 *
 * Offsets are bytes from the start of the region, 0 none. A block becomes part of the map by one store (its bucket's or its
 * predecessor's link), after all of it is written: whoever dies in the middle of a change leaves a map that is whole, and at
 * most a block that belongs to nobody, which `recover` (region-recovery.ts) finds again.
 */
export const MAGIC = 0x5056_4b31;

export const WORD_MAGIC = 0;
export const WORD_LOCK = 1;
export const WORD_LIMIT = 2;
export const WORD_USED = 3;
export const WORD_ENTRIES = 4;
export const WORD_VERSION = 5;
export const WORD_END = 6;
export const WORD_BUCKETS = 7;
export const WORD_SEED = 8;
export const WORD_SWEPT_MS = 9;
export const WORD_FREE = 16;

export const HEADER_BYTES = 4096;
export const BLOCK_HEADER_BYTES = 32;
export const CLASS_BYTES_MIN = 64;
/** 64 … 131072 bytes: a key and a value of the largest sizes, and the header. */
export const CLASSES = 12;

/** Words of a block, from its own start. */
export const BLOCK_NEXT = 0;
export const BLOCK_HASH = 1;
export const BLOCK_CLASS = 2;
export const BLOCK_VERSION = 3;
/** In units of eight bytes. */
export const BLOCK_EXPIRY = 2;
export const BLOCK_KEY_BYTES = 6;
export const BLOCK_VALUE_BYTES = 7;

/** One for every four of the smallest blocks. */
const BYTES_PER_BUCKET = 256;
const BUCKETS_MIN = 256;
const BUCKETS_MAX = 65_536;
/** How much of the heap may be blocks of sizes that nobody wants any more, in limits. */
const HEAP_PER_LIMIT = 4;
const PAGE_BYTES = 4096;

export function classBytes(size: number): number {
  return CLASS_BYTES_MIN << size;
}

/** The smallest class that holds so many bytes; CLASSES when none does. */
export function classOf(bytes: number): number {
  let size = 0;
  while (size < CLASSES && classBytes(size) < bytes) size++;
  return size;
}

export function bucketsFor(limitBytes: number): number {
  let buckets = BUCKETS_MIN;
  while (buckets < BUCKETS_MAX && buckets * BYTES_PER_BUCKET < limitBytes) buckets *= 2;
  return buckets;
}

/** Bytes of a region, a multiple of the page. Pages that were never written to take no memory. */
export function regionBytes(limitBytes: number): number {
  const bytes = heapStart(bucketsFor(limitBytes)) + HEAP_PER_LIMIT * limitBytes;
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

export function heapStart(buckets: number): number {
  return HEADER_BYTES + 4 * buckets;
}

/** Whether a region of that size stands there, laid out as above: another version may have another magic. */
export function isRegion(region: ArrayBuffer, limitBytes: number): boolean {
  const words = new Uint32Array(region, 0, WORD_LIMIT + 1);
  return words[WORD_MAGIC] === MAGIC && words[WORD_LIMIT] === limitBytes;
}

/** Makes an empty map of memory that is all zero. `seed` must not be known to tenants: keys that collide are slow. */
export function formatRegion(memory: ArrayBuffer, limitBytes: number, seed: number): void {
  const words = new Int32Array(memory);
  const buckets = bucketsFor(limitBytes);
  words[WORD_LIMIT] = limitBytes;
  words[WORD_BUCKETS] = buckets;
  words[WORD_SEED] = seed | 0;
  words[WORD_END] = heapStart(buckets);
  words[WORD_MAGIC] = MAGIC;
}
