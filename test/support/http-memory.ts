/** One memory with a scratch allocator that counts, for tests of the HTTP room. */
import type { Scratch } from "#http/scratch.ts";

const REGION_BYTES = 32 * 1024;
const REGIONS = 8;
/** Received bytes stand below, encoded ones from here on; scratch regions after both. */
export const OUT = 256 * 1024;
const SCRATCH_START = 512 * 1024;

export class TestMemory implements Scratch {
  readonly memory = new Uint8Array(SCRATCH_START + REGIONS * REGION_BYTES);
  readonly regionBytes = REGION_BYTES;
  readonly #free: number[] = Array.from({ length: REGIONS }, (_, i) => SCRATCH_START + i * REGION_BYTES);

  allocate(): number {
    return this.#free.pop() ?? -1;
  }

  free(offset: number): void {
    if (this.#free.includes(offset)) throw new Error("region freed twice");
    this.#free.push(offset);
  }

  /** Regions nobody holds; all of them when every head was reset. */
  get freeRegions(): number {
    return this.#free.length;
  }

  /** Leaves `count` regions, as when the process is at its bound. */
  exhaust(count = 0): void {
    this.#free.length = count;
  }

  /** Writes Latin-1 text or bytes at an odd offset and answers where they stand. */
  put(message: string | Uint8Array, at = 17): { start: number; end: number } {
    const bytes = typeof message === "string" ? Buffer.from(message, "latin1") : message;
    this.memory.set(bytes, at);
    return { start: at, end: at + bytes.length };
  }

  text(start: number, end: number): string {
    return Buffer.from(this.memory.subarray(start, end)).toString("latin1");
  }
}

export const ALL_REGIONS = REGIONS;
