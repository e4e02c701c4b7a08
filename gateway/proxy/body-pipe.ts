/**
 * The stages of one body between its source and its drain (see `pipeline/body.ts`). Made when the first filter of an
 * exchange wants the body, and disposed with the exchange.
 *
 *     source ─▶ link 0 ─▶ stage 0 ─▶ link 1 ─▶ stage 1 ─▶ drain
 *
 * A stage is full when it is paused, or, unless it holds, when what follows it is full. Calls of the owner never come
 * back into the stage that made them, but for `drained`, which a stage expects at any time.
 */
import type { Head } from "#http/head.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";

/** Where the body comes from and goes to. */
export interface BodyEnds {
  /** The peer has more than it takes, or is not there yet. */
  readonly drainFull: boolean;
  drainData(buffer: number, start: number, end: number): void;
  drainEnd(trailers: Head | null): void;
  /** Something can be taken again. */
  resumeSource(): void;
  pauseSource(): void;
  bodyFailed(status: number, code: string, detail: string): void;
}

export class BodyPipe {
  readonly #buffers: Buffers;
  readonly #ends: BodyEnds;
  readonly #links: Link[] = [];
  #closed = false;

  constructor(buffers: Buffers, ends: BodyEnds) {
    this.#buffers = buffers;
    this.#ends = ends;
  }

  get buffers(): Buffers {
    return this.#buffers;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Behind those that are there. */
  add(stage: BodyStage): void {
    const link = new Link(this, stage, this.#links.length);
    this.#links.push(link);
    stage.attach(link);
  }

  /** The source must wait. */
  get full(): boolean {
    return this.fullFrom(0);
  }

  /** The first stage takes what comes, whatever follows. */
  get holds(): boolean {
    return this.#links[0]?.stage.holds === true;
  }

  data(buffer: number, start: number, end: number): void {
    this.dataTo(0, buffer, start, end);
  }

  end(trailers: Head | null): void {
    this.endTo(0, trailers);
  }

  /** The drain can take something: told from the last stage to the first, up to one that is full again. */
  drained(): void {
    this.#tell(this.#links.length - 1);
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { stage } of this.#links) stage.dispose();
  }

  // What links ask.

  fullFrom(index: number): boolean {
    for (let i = index; i < this.#links.length; i++) {
      const { paused, stage } = this.#links[i] as Link;
      if (paused) return true;
      if (stage.holds) return false;
    }
    return this.#ends.drainFull;
  }

  dataTo(index: number, buffer: number, start: number, end: number): void {
    if (this.#closed || start >= end) return;
    const link = this.#links[index];
    if (link === undefined) this.#ends.drainData(buffer, start, end);
    else link.stage.data(buffer, start, end);
  }

  endTo(index: number, trailers: Head | null): void {
    if (this.#closed) return;
    const link = this.#links[index];
    if (link === undefined) this.#ends.drainEnd(trailers);
    else link.stage.end(trailers);
  }

  paused(): void {
    if (!this.#closed) this.#ends.pauseSource();
  }

  resumed(index: number): void {
    if (!this.#closed && !this.fullFrom(index)) this.#tell(index - 1);
  }

  failed(status: number, code: string, detail: string): void {
    if (!this.#closed) this.#ends.bodyFailed(status, code, detail);
  }

  #tell(last: number): void {
    for (let i = last; i >= 0; i--) {
      if (this.#closed || this.fullFrom(i + 1)) return;
      (this.#links[i] as Link).stage.drained();
    }
    if (!this.#closed && !this.full) this.#ends.resumeSource();
  }
}

class Link implements BodyLink {
  readonly #pipe: BodyPipe;
  readonly #index: number;
  readonly stage: BodyStage;
  readonly memory: Uint8Array;
  paused = false;
  #ended = false;

  constructor(pipe: BodyPipe, stage: BodyStage, index: number) {
    this.#pipe = pipe;
    this.#index = index;
    this.stage = stage;
    this.memory = pipe.buffers.memory;
  }

  get full(): boolean {
    return this.#pipe.fullFrom(this.#index + 1);
  }

  data(buffer: number, start: number, end: number): void {
    if (!this.#ended) this.#pipe.dataTo(this.#index + 1, buffer, start, end);
  }

  write(bytes: Uint8Array): void {
    const { buffers } = this.#pipe;
    for (let from = 0; from < bytes.length && !this.#pipe.closed; from += BUFFER_BYTES) {
      const piece = bytes.subarray(from, from + BUFFER_BYTES);
      const buffer = buffers.allocate();
      if (buffer < 0) {
        this.fail(503, "overloaded", "the gateway is at its memory bound");
        return;
      }
      const start = buffer * BUFFER_BYTES;
      buffers.memory.set(piece, start);
      this.data(buffer, start, start + piece.length);
      buffers.release(buffer);
    }
  }

  end(trailers: Head | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.endTo(this.#index + 1, trailers);
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.#pipe.paused();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#pipe.resumed(this.#index);
  }

  retain(buffer: number): void {
    this.#pipe.buffers.retain(buffer);
  }

  release(buffer: number): void {
    this.#pipe.buffers.release(buffer);
  }

  fail(status: number, code: string, detail: string): void {
    this.#ended = true;
    this.#pipe.failed(status, code, detail);
  }
}
