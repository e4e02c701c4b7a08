/**
 * One direction of a fake connection: what was written and not yet read, with the time each piece arrives. Arrival never
 * overtakes: it is the one order that TCP promises. Holds at most `capacity` bytes, send and receive buffer in one.
 *
 *     writer ─push─▶ [ piece at 3 ms │ piece at 3 ms │ piece at 7 ms ] end or error at 9 ms ─take─▶ reader
 */
import { assert, defined } from "#core/assert.ts";

interface Piece {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** Who is told when the pipe can be used again. */
export interface PipeEnds {
  /** To the reader: something arrives at that time. */
  arrives: (at: number) => void;
  /** To the writer: there is room. */
  room: () => void;
}

export class Pipe {
  readonly capacity: number;
  readonly ends: PipeEnds = { arrives: () => {}, room: () => {} };
  /** Nobody will read any more: what is pushed answers a reset. */
  readerGone = false;
  readonly #pieces: Piece[] = [];
  #held = 0;
  /** Bytes of the first piece already taken. */
  #taken = 0;
  #lastAt = 0;
  #endAt = Infinity;
  #endError = 0;
  #endTaken = false;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get room(): number {
    return this.capacity - this.#held;
  }

  /** Written and not read. */
  get held(): number {
    return this.#held;
  }

  /** Whether the writer has said its last. */
  get ended(): boolean {
    return this.#endAt !== Infinity;
  }

  /** `bytes` becomes the pipe's own; at most `room` of them, and none after the end. */
  push(bytes: Uint8Array, at: number): void {
    assert(bytes.length <= this.room && !this.ended, "pushed beyond the pipe's room or end");
    this.#held += bytes.length;
    this.#pieces.push({ bytes, at: this.#inOrder(at) });
    this.ends.arrives(this.#lastAt);
  }

  /** After all that was pushed comes the end, or the error. An error may replace an end, and come after one. */
  end(at: number, error: number): void {
    if (this.ended && (error === 0 || this.#endError !== 0)) return;
    this.#endAt = this.#inOrder(at);
    this.#endError = error;
    this.#endTaken = false;
    this.ends.arrives(this.#endAt);
  }

  /** When there is, or was, the next thing to read; Infinity when nothing is on its way. */
  get nextMs(): number {
    return this.#pieces[0]?.at ?? (this.#endTaken ? Infinity : this.#endAt);
  }

  /** Bytes that have arrived. */
  arrived(nowMs: number): number {
    let sum = -this.#taken;
    for (const piece of this.#pieces) {
      if (piece.at > nowMs) break;
      sum += piece.bytes.length;
    }
    return Math.max(0, sum);
  }

  /** Moves up to `most` arrived bytes to `into`; answers how many. */
  take(into: Uint8Array, most: number, nowMs: number): number {
    const wanted = Math.min(most, into.length, this.arrived(nowMs));
    let done = 0;
    while (done < wanted) {
      const { bytes } = defined(this.#pieces[0], "arrived piece");
      const count = Math.min(bytes.length - this.#taken, wanted - done);
      into.set(bytes.subarray(this.#taken, this.#taken + count), done);
      done += count;
      this.#taken += count;
      if (this.#taken < bytes.length) continue;
      this.#pieces.shift();
      this.#taken = 0;
    }
    this.#held -= done;
    if (done > 0) this.ends.room();
    return done;
  }

  /** Takes the end, which must be what comes next: 0 or the errno. */
  takeEnd(): number {
    assert(this.#pieces.length === 0 && this.ended, "the end comes last");
    this.#endTaken = true;
    return this.#endError;
  }

  /** Whether an error has arrived, behind bytes or not: from then on writing the other way fails. */
  broken(nowMs: number): boolean {
    return this.#endError !== 0 && this.#endAt <= nowMs;
  }

  #inOrder(at: number): number {
    this.#lastAt = Math.max(this.#lastAt, at);
    return this.#lastAt;
  }
}
