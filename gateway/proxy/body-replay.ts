/**
 * What was sent of one request's body, kept so that another attempt can send it again: the regions as they were received,
 * without a copy, bounded in bytes and in regions, since each holds a whole buffer, and a copy of its trailers. Past a bound
 * all of it is let go, and there is no second attempt.
 */
import type { Head } from "#http/head.ts";
import type { Buffers } from "#io/buffers.ts";
import type { HeadPool } from "#pipeline/http/head-pool.ts";
import type { UpstreamStream } from "#upstream/stream.ts";

/** A body that drips holds a buffer of 32 KiB for each drop: at most 1 MiB. */
const REGIONS_MAX = 32;

export class BodyReplay {
  readonly #buffers: Buffers;
  readonly #sections: HeadPool;
  readonly #regions: number[] = [];
  #trailers: Head | null = null;
  #bytes = 0;
  #bytesMax = 0;
  #keeping = false;
  #complete = true;
  #ended = false;

  /** `sections`: of trailers. */
  constructor(buffers: Buffers, sections: HeadPool) {
    this.#buffers = buffers;
    this.#sections = sections;
  }

  /** Everything that has been sent of the body can be sent again. */
  get complete(): boolean {
    return this.#complete;
  }

  /** What comes from here on is kept, up to `bytesMax`. */
  begin(bytesMax: number): void {
    this.#keeping = true;
    this.#bytesMax = bytesMax;
  }

  data(buffer: number, start: number, end: number): void {
    this.#bytes += end - start;
    const fits = this.#bytes <= this.#bytesMax && this.#regions.length < REGIONS_MAX * 3;
    if (!this.#keeping || !fits) {
      this.#complete = false;
      this.forget();
      return;
    }
    this.#buffers.retain(buffer);
    this.#regions.push(buffer, start, end);
  }

  end(trailers: Head | null): void {
    this.#ended = true;
    if (trailers === null) return;
    if (this.#keeping) this.#trailers = this.#sections.take();
    if (this.#trailers?.addFrom(trailers) === true) return;
    this.#complete = false;
    this.forget();
  }

  /** Sends again what was sent before. */
  sendTo(stream: UpstreamStream): void {
    const regions = this.#regions;
    for (let i = 0; i < regions.length; i += 3) {
      stream.sendData(regions[i] as number, regions[i + 1] as number, regions[i + 2] as number);
    }
    if (this.#ended) stream.sendEnd(this.#trailers);
  }

  /** There will be no further attempt: keeps nothing any more. */
  forget(): void {
    this.#keeping = false;
    const regions = this.#regions;
    for (let i = 0; i < regions.length; i += 3) this.#buffers.release(regions[i] as number);
    regions.length = 0;
    if (this.#trailers !== null) this.#sections.give(this.#trailers);
    this.#trailers = null;
  }

  reset(): void {
    this.forget();
    this.#bytes = 0;
    this.#complete = true;
    this.#ended = false;
  }
}
