/** The filters of one stream that look at its bytes: from the client through the first to the last, back from the last to the first. */
import {
  CLOSE,
  FROM_CLIENT,
  HOLD,
  PASS,
  type StreamEnd,
  type StreamLine,
  type StreamTap,
  type TapVerdict,
} from "#pipeline/stream-filter.ts";

export class Taps {
  readonly #taps: readonly StreamTap[];
  #closed = false;

  constructor(taps: readonly StreamTap[]) {
    this.#taps = taps;
  }

  get any(): boolean {
    return this.#taps.length > 0;
  }

  /** The stream runs: what the taps send by themselves goes to `line`, behind the taps that come later. */
  attached(line: StreamLine): void {
    for (let index = 0; index < this.#taps.length; index++) {
      this.#taps[index]?.attached?.({
        send: (direction, bytes) => {
          const made = this.#pass(this.#stepOf(direction, index) + 1, direction, bytes, 0, bytes.length, false);
          if (made === CLOSE) line.close();
          else if (made !== HOLD) line.send(direction, made === PASS ? bytes : made);
        },
        end: (direction) => {
          const made = this.#pass(this.#stepOf(direction, index) + 1, direction, NOTHING, 0, 0, true);
          if (made === HOLD) return;
          if (made === CLOSE) line.close();
          else if (made !== PASS) line.send(direction, made);
          line.end(direction);
        },
        pause: (direction) => line.pause(direction),
        resume: (direction) => line.resume(direction),
        close: () => line.close(),
      });
    }
  }

  /** PASS: the region as it is. CLOSE: the stream ends. HOLD: its direction's end waits. Else what goes in its place. */
  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    return this.#pass(0, direction, memory, start, end, last);
  }

  /** `from`: the step in this direction to begin at. */
  #pass(from: number, direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    let bytes: Uint8Array | null = null;
    for (let step = from; step < this.#taps.length; step++) {
      const tap = this.#taps[this.#stepOf(direction, step)] as StreamTap;
      const made: TapVerdict =
        bytes === null
          ? tap.data(direction, memory, start, end, last)
          : tap.data(direction, bytes, 0, bytes.length, last);
      if (made === CLOSE || made === HOLD) return made;
      if (made !== PASS) bytes = made;
    }
    return bytes ?? PASS;
  }

  /** The index of a step, and the step of an index. */
  #stepOf(direction: 0 | 1, index: number): number {
    return direction === FROM_CLIENT ? index : this.#taps.length - 1 - index;
  }

  closed(end: StreamEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const tap of this.#taps) tap.closed(end);
  }
}

const NOTHING = new Uint8Array(0);

export const NO_TAPS = new Taps([]);
