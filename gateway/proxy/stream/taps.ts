/** The filters of one stream that look at its bytes: from the client through the first to the last, back from the last to the first. */
import { CLOSE, FROM_CLIENT, PASS, type StreamEnd, type StreamTap } from "#pipeline/stream-filter.ts";

export class Taps {
  readonly #taps: readonly StreamTap[];
  #closed = false;

  constructor(taps: readonly StreamTap[]) {
    this.#taps = taps;
  }

  get any(): boolean {
    return this.#taps.length > 0;
  }

  /** PASS: the region as it is. CLOSE: the stream ends. Else what goes in its place. */
  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): 0 | 1 | Uint8Array {
    let bytes: Uint8Array | null = null;
    const count = this.#taps.length;
    for (let step = 0; step < count; step++) {
      const tap = this.#taps[direction === FROM_CLIENT ? step : count - 1 - step] as StreamTap;
      const made: 0 | 1 | Uint8Array =
        bytes === null
          ? tap.data(direction, memory, start, end, last)
          : tap.data(direction, bytes, 0, bytes.length, last);
      if (made === CLOSE) return CLOSE;
      if (made !== PASS) bytes = made;
    }
    return bytes ?? PASS;
  }

  closed(end: StreamEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const tap of this.#taps) tap.closed(end);
  }
}

export const NO_TAPS = new Taps([]);
