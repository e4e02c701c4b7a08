/**
 * The arena's memory and where the kernel finds it. The mapping is anonymous, private and not populated: a page costs
 * memory only once something was received into it. It lives as long as the process.
 */
import { assert } from "#core/assert.ts";
import { mapMemory } from "#sys/memory.ts";
import { Buffers, BUFFER_BYTES } from "./buffers.ts";

export interface Arena {
  readonly buffers: Buffers;
  /** Address of `buffers.memory[0]` in this process: a region's address is this plus its offset. */
  readonly address: bigint;
}

/** Maps `bytes` (a positive multiple of BUFFER_BYTES) for buffers. Throws SystemCallError where the address space is bounded. */
export function createArena(bytes: number): Arena {
  assert(bytes > 0 && bytes % BUFFER_BYTES === 0, `an arena of ${bytes} bytes is no whole number of buffers`);
  const mapping = mapMemory(bytes);
  return { buffers: new Buffers(mapping.bytes), address: mapping.address };
}
