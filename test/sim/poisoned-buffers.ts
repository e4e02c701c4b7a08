/** Buffers that are overwritten the moment nobody holds them: who reads one later reads nonsense, and is found out. */
import { BUFFER_BYTES, Buffers } from "#io/buffers.ts";

/** No byte of any message. */
const POISON = 0xdd;

export class PoisonedBuffers extends Buffers {
  override release(id: number): void {
    super.release(id);
    if (this.references(id) === 0) this.memory.fill(POISON, id * BUFFER_BYTES, (id + 1) * BUFFER_BYTES);
  }
}
