// The heap of the stub runtime only grows. What was allocated before the first request (top level, onConfigure) stays;
// what a hook allocates is given back when it ends, by moving the end of the heap back to a mark.
//
//     | static data | kept: top level, onConfigure, caches | one hook's garbage → given back |
//                                                          ^ mark

// @ts-ignore: decorator
@lazy let mark: usize = 0;
// @ts-ignore: decorator
@lazy let keep: bool = false;

/** Bytes before a block: its size (std/assembly/rt/common). */
const BLOCK_OVERHEAD: usize = 4;

/** Everything allocated so far stays. */
export function setMark(): void {
  mark = heap.alloc(0);
}

/** Something allocated in this hook must stay, so all of it does: for caches that fill once. */
export function keepThisHook(): void {
  keep = true;
}

/**
 * Gives back what was allocated since the mark. The block at the mark is stretched to the end of the heap and then freed
 * as the last block, which is the one operation of the stub runtime that moves the end back.
 */
export function resetHeap(): void {
  if (keep) {
    keep = false;
    setMark();
    return;
  }
  const end = heap.alloc(0);
  if (end == mark) return;
  const lastSize = load<usize>(end - BLOCK_OVERHEAD);
  store<usize>(mark - BLOCK_OVERHEAD, end + lastSize - mark);
  heap.free(mark);
  mark = heap.alloc(0);
}
