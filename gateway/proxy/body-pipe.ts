/**
 * The stages of one body between its source and its drain (see `pipeline/body.ts`). Made when the first filter of an
 * exchange wants the body, and disposed with the exchange.
 *
 *     source ─▶ link 0 ─▶ stage 0 ─▶ link 1 ─▶ stage 1 ─▶ drain
 *
 * A stage is full when it is paused, or, unless it holds, when what follows it is full. Calls of the owner never come
 * back into the stage that made them, but for `drained`, which a stage expects at any time.
 *
 * Received trailers are read where the codec has them while its call lasts; a stage that ends later finds a copy. That, and
 * those that a stage makes, stand in a section of the pipe's own, which is taken when it is needed.
 */
import type { Head } from "#http/head.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";
import type { HeadPool } from "#pipeline/http/head-pool.ts";

/** Where the body comes from and goes to. */
export interface BodyEnds {
  /** The peer has more than it takes, or is not there yet. */
  readonly drainFull: boolean;
  /** Trailers can go behind this body. Asked when somebody wants to add some: a head that has not left yet can be told. */
  carriesTrailers(): boolean;
  drainData(buffer: number, start: number, end: number): void;
  drainEnd(trailers: Head | null): void;
  /** Something can be taken again. */
  resumeSource(): void;
  pauseSource(): void;
  bodyFailed(status: number, code: string, detail: string): void;
  /** Some are not sent: they can't be, or there was no memory to keep them in. */
  trailersLost(): void;
}

export class BodyPipe {
  readonly #buffers: Buffers;
  readonly #sections: HeadPool;
  readonly #ends: BodyEnds;
  readonly #links: Link[] = [];
  #closed = false;
  #trailers: Head | null = null;
  /** A section of its own. */
  #own: Head | null = null;
  #refused = false;

  /** `sections`: of trailers. */
  constructor(buffers: Buffers, sections: HeadPool, ends: BodyEnds) {
    this.#buffers = buffers;
    this.#sections = sections;
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

  /** `received`: valid for the call. */
  end(received: Head | null): void {
    if (this.#own === null) this.#trailers = received;
    else if (received !== null && !this.#own.addFrom(received)) this.#ends.trailersLost();
    this.endTo(0);
    if (received !== null && this.#trailers === received) this.#keep(received);
  }

  /** The drain can take something: told from the last stage to the first, up to one that is full again. */
  drained(): void {
    this.#tell(this.#links.length - 1);
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { stage } of this.#links) stage.dispose();
    this.#dropTrailers();
  }

  get trailers(): Head | null {
    return this.#trailers;
  }

  makeTrailers(): Head | null {
    if (this.#trailers !== null) return this.#trailers;
    if (this.#closed || this.#refused) return null;
    if (!this.#ends.carriesTrailers()) {
      this.#refused = true;
      this.#ends.trailersLost();
      return null;
    }
    return (this.#trailers = this.#own = this.#sections.take());
  }

  #keep(received: Head): void {
    const own = this.#sections.take();
    this.#trailers = this.#own = own;
    if (own.addFrom(received)) return;
    this.#dropTrailers();
    this.#ends.trailersLost();
  }

  #dropTrailers(): void {
    if (this.#own !== null) this.#sections.give(this.#own);
    this.#trailers = this.#own = null;
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

  endTo(index: number): void {
    if (this.#closed) return;
    const link = this.#links[index];
    if (link !== undefined) {
      link.stage.end();
      return;
    }
    this.#ends.drainEnd(this.#trailers);
    this.#dropTrailers();
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

  get trailers(): Head | null {
    return this.#ended ? null : this.#pipe.trailers;
  }

  makeTrailers(): Head | null {
    return this.#ended ? null : this.#pipe.makeTrailers();
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

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pipe.endTo(this.#index + 1);
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
