/** Scratch regions for heads: buffers of the arena. */
import type { Scratch } from "#http/head.ts";
import { BUFFER_BYTES, BUFFER_SHIFT, type Buffers } from "#io/buffers.ts";

export function headScratch(buffers: Buffers): Scratch {
  return {
    memory: buffers.memory,
    regionBytes: BUFFER_BYTES,
    allocate: () => {
      const buffer = buffers.allocate();
      return buffer < 0 ? -1 : buffer * BUFFER_BYTES;
    },
    free: (offset) => {
      buffers.release(offset >>> BUFFER_SHIFT);
    },
  };
}
