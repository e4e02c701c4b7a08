/** A body put together from its pieces, up to a bound. Owns a copy, which outlives the pieces. */
import { Data } from "#pipeline/events/data.ts";

/** Of a whole body, where a filter is told no other bound. */
export const WHOLE_BYTES_MAX = 1024 * 1024;

export class Collector {
  readonly #bytesMax: number;
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False: it would be longer than is allowed, and is given up. */
  add(memory: Uint8Array, start: number, end: number): boolean {
    this.#bytes += end - start;
    if (this.#bytes > this.#bytesMax) {
      this.#pieces.length = 0;
      return false;
    }
    this.#pieces.push(memory.slice(start, end));
    return true;
  }

  /** What has come, and a new beginning. */
  take(): Data {
    const whole = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
    this.#pieces.length = 0;
    this.#bytes = 0;
    return new Data(whole);
  }
}
