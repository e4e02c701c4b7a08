/**
 * Mends a region whose lock was held by a process that has died. The map itself is whole (region-layout.ts); what may be
 * wrong are the sums and the lists of free blocks, which are made anew from the blocks that the map can't reach.
 *
 * The memory may have been written to by a process that was taken over: every offset is checked before it is followed, and
 * a chain that leads anywhere else is cut there.
 */
import {
  BLOCK_CLASS,
  BLOCK_HEADER_BYTES,
  BLOCK_KEY_BYTES,
  BLOCK_NEXT,
  BLOCK_VALUE_BYTES,
  classBytes,
  CLASSES,
  HEADER_BYTES,
  heapStart,
  WORD_END,
  WORD_ENTRIES,
  WORD_FREE,
  WORD_LOCK,
  WORD_USED,
} from "./region-layout.ts";

/** True when the region was locked by `pid` and has been freed. `buckets`: as it was formatted with. */
export function recover(memory: ArrayBuffer, buckets: number, pid: number): boolean {
  const words = new Int32Array(memory);
  if (Atomics.load(words, WORD_LOCK) !== pid) return false;
  const blocks = blocksOf(words, memory.byteLength, heapStart(buckets));
  const reached = new Set<number>();
  let used = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    let link = (HEADER_BYTES >> 2) + bucket;
    for (;;) {
      const block = words[link] ?? 0;
      const size = blocks.get(block);
      if (size === undefined || reached.has(block) || !isWhole(words, block, size)) {
        words[link] = 0;
        break;
      }
      reached.add(block);
      used += classBytes(size);
      link = (block >> 2) + BLOCK_NEXT;
    }
  }
  words.fill(0, WORD_FREE, WORD_FREE + CLASSES);
  for (const [block, size] of blocks) {
    if (reached.has(block)) continue;
    words[(block >> 2) + BLOCK_NEXT] = words[WORD_FREE + size] as number;
    words[WORD_FREE + size] = block;
  }
  words[WORD_USED] = used;
  words[WORD_ENTRIES] = reached.size;
  Atomics.store(words, WORD_LOCK, 0);
  return true;
}

/** Every block of the heap by its offset, with its class. What does not look like one ends the heap there. */
function blocksOf(words: Int32Array, bytes: number, start: number): Map<number, number> {
  const blocks = new Map<number, number>();
  const end = Math.min(words[WORD_END] ?? start, bytes);
  let at = start;
  while (at < end) {
    const size = words[(at >> 2) + BLOCK_CLASS] ?? -1;
    if (size < 0 || size >= CLASSES || at + classBytes(size) > end) break;
    blocks.set(at, size);
    at += classBytes(size);
  }
  words[WORD_END] = at;
  return blocks;
}

function isWhole(words: Int32Array, block: number, size: number): boolean {
  const at = block >> 2;
  const [keyBytes = 0, valueBytes = 0] = [words[at + BLOCK_KEY_BYTES], words[at + BLOCK_VALUE_BYTES]];
  return keyBytes > 0 && valueBytes >= 0 && BLOCK_HEADER_BYTES + keyBytes + valueBytes <= classBytes(size);
}
