/**
 * Bulk moved from one socket to another within the kernel, through a pipe, for the drivers that have a kernel: the state of
 * one direction, and a driver's pipes.
 *
 *     from ──splice──▶ pipe ──splice──▶ to          the pipe is emptied before it is filled again
 *
 * What is in the pipe counts as queued on `to`. A pipe lives as long as its splice: opening one costs some microseconds, once in
 * some hundred KiB.
 */
import { EAGAIN } from "#core/errno.ts";
import { closePipe, openPipe, type Pipe, splice } from "#sys/splice.ts";
import type { Socket, Splice } from "./socket.ts";

/** A direction that has moved this much is worth a pipe. */
export const BULK_BYTES = 256 * 1024;

/** Bytes of a pipe, and of one step: from 64 KiB to this a MiB costs a third less, and as much again changes nothing. */
const PIPE_BYTES = 256 * 1024;

/**
 * In use at a time. 64 pipes of 64 pages are a quarter of what a user may have (pipe-user-pages-soft: 16 384), and 128
 * descriptors; beyond, streams are copied as ever.
 */
const PIPES_MAX = 64;

/** So many steps in a row that move less than this, and the stream is no bulk any more: copying is cheaper for what is small. */
const SMALL_BYTES = 8 * 1024;
const SMALL_STEPS_MAX = 16;

/** Told of what has been moved. It may ask nothing of a driver then. */
export interface SpliceHandler {
  onSpliced(bytes: number): void;
}

/** What a step answers. */
export const MOVED = 0;
/** Nothing has come. */
export const EMPTY = 1;
/** The receiver's kernel takes no more. */
export const FULL = 2;
/** FIN, behind everything. */
const ENDED = 3;
const FROM_BROKE = 4;
const TO_BROKE = 5;

class PipedSplice implements Splice {
  readonly from: Socket;
  readonly to: Socket;
  readonly #pipe: Pipe;
  readonly #handler: SpliceHandler;
  held = 0;
  error = 0;
  readAwaited = false;
  writeAwaited = false;
  #smallSteps = 0;

  constructor(from: Socket, to: Socket, pipe: Pipe, handler: SpliceHandler) {
    this.from = from;
    this.to = to;
    this.#pipe = pipe;
    this.#handler = handler;
    from.splicedTo = this;
    to.splicedFrom = this;
  }

  get idles(): boolean {
    return this.#smallSteps >= SMALL_STEPS_MAX;
  }

  /** Fills the pipe when it is empty, then empties it as far as may be. */
  step(): number {
    if (this.held === 0) {
      const read = splice(this.from.fd, this.#pipe.into, PIPE_BYTES);
      if (read === 0) return ENDED;
      if (read === -EAGAIN) return EMPTY;
      if (read < 0) return this.#broke(read, FROM_BROKE);
      this.#smallSteps = read < SMALL_BYTES ? this.#smallSteps + 1 : 0;
      this.#hold(read);
    }
    while (this.held > 0) {
      const written = splice(this.#pipe.out, this.to.fd, this.held);
      if (written === -EAGAIN) return FULL;
      if (written <= 0) return this.#broke(written, TO_BROKE);
      this.#hold(-written);
      this.#handler.onSpliced(written);
    }
    return MOVED;
  }

  close(): void {
    this.from.splicedTo = null;
    this.to.splicedFrom = null;
    this.to.queuedBytes -= this.held;
    closePipe(this.#pipe);
  }

  #hold(bytes: number): void {
    this.held += bytes;
    this.to.queuedBytes += bytes;
  }

  #broke(result: number, answer: number): number {
    this.error = -result;
    return answer;
  }
}

/** The splices of one driver. */
export class Splices {
  #inUse = 0;

  /** Null: no pipe is free, or either socket has a part in one already. */
  begin(from: Socket, to: Socket, handler: SpliceHandler): Splice | null {
    if (from.splicedTo !== null || to.splicedFrom !== null || this.#inUse === PIPES_MAX) return null;
    const pipe = openPipe(PIPE_BYTES);
    if (pipe === null) return null;
    this.#inUse++;
    return new PipedSplice(from, to, pipe, handler);
  }

  /** Where `answer` of a step is an end, or an error: ends the splice and tells whose it is. */
  ended(splice: Splice, answer: number): boolean {
    const { from, to, error } = splice;
    if (answer === TO_BROKE) {
      this.end(splice);
      to.handler?.onError(to, error);
    } else if (answer === ENDED || answer === FROM_BROKE) {
      from.receiving = false;
      this.end(splice);
      if (answer === ENDED) from.handler?.onEnd(from);
      else from.handler?.onError(from, error);
    }
    return answer >= ENDED;
  }

  end(splice: Splice): void {
    this.#inUse--;
    splice.close();
  }
}
