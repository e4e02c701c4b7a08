/**
 * Bodies through filters. A filter that wants the body of one exchange gives it a stage, from its head hook; whoever gives
 * none costs nothing. The stages of one direction stand in a row, in the order in which their filters see the head:
 *
 *     client ─▶ [stage] ─▶ [stage] ─▶ upstream        request: first filter first
 *     client ◀─ [stage] ◀─ [stage] ◀─ upstream        response: last filter first
 *
 * Bytes come as regions of the data plane's memory (`buffer`, `start`, `end`), valid for the call; who keeps one longer
 * retains its buffer by the link. They leave by the link, within the call or later. Nothing is copied on the way.
 *
 * Back-pressure: `link.full` says that what follows has enough; a stage that produces by itself then waits for `drained`.
 * A stage whose own hands are full calls `pause`, and `resume` when they are free: what lies before it stops, down to the
 * receive of the socket. What is on its way already still comes, at most one batch of receives (256 KiB).
 *
 * Trailers belong to the body, not to the call: the link has them from the stage's `end` on, as the stages before have left
 * them, until the stage ends the body itself, at once or later.
 */
import type { Head } from "#http/head.ts";

/** The fields that go behind a body. */
export interface Trailing {
  /** Null: there are none. */
  readonly trailers: Head | null;
  /**
   * The same to be changed: made where there are none. Null: this message can't have any, since it leaves with a length or
   * goes to HTTP/1.0. Whoever wants to add some to a message of known length adds a `Trailer` field to its head, or asks
   * here before the head has left.
   */
  makeTrailers(): Head | null;
}

/** A stage's way out. Calls after the exchange has ended, or after `end` and `fail`, do nothing. */
export interface BodyLink extends Trailing {
  /** What regions are offsets into. */
  readonly memory: Uint8Array;
  /** The next stage, or the peer, has more than it can pass on. What is passed on nevertheless is not lost. */
  readonly full: boolean;
  /** Passes a region on. */
  data(buffer: number, start: number, end: number): void;
  /** The same for bytes from elsewhere: copied into buffers of `memory`. */
  write(bytes: Uint8Array): void;
  /** The body is whole. Its trailers go behind it. */
  end(): void;
  /** Nothing more can be taken, until `resume`. */
  pause(): void;
  resume(): void;
  /** A buffer that is kept beyond the call it came with, and given back. */
  retain(buffer: number): void;
  release(buffer: number): void;
  /**
   * The body can't be what it should be. Answers a problem document while nothing of a response has been sent; else the
   * exchange is cut off, so that nobody takes half a body for a whole one.
   */
  fail(status: number, code: string, detail: string): void;
}

export interface BodyStage {
  /**
   * True for a stage that keeps what it is given while what follows is full: a request body is then read although
   * its head has not left yet. Such a stage has a bound of its own, and pauses at it.
   */
  readonly holds: boolean;
  /** The first call, once. A stage of a request may be given data before later filters have seen the head. */
  attach(link: BodyLink): void;
  data(buffer: number, start: number, end: number): void;
  /** The body is whole, and the link has its trailers. */
  end(): void;
  /** What follows is no longer full. Also the first call after the head has left: a source begins here. */
  drained(): void;
  /** The exchange is over, or this body is not wanted any more: the last call, once, whatever happened before. */
  dispose(): void;
}

/** What a stage does to the length that the head announces. */
export const SAME_LENGTH = 0;
/** The content goes on in chunks; a Content-Length field is removed. */
export const UNKNOWN_LENGTH = 1;
export type LengthEffect = 0 | 1;

/** Stages that only look, or only produce, need a part of the methods. */
export abstract class PassingStage implements BodyStage {
  readonly holds: boolean = false;
  protected link: BodyLink = NO_LINK;

  attach(link: BodyLink): void {
    this.link = link;
  }

  data(buffer: number, start: number, end: number): void {
    this.link.data(buffer, start, end);
  }

  end(): void {
    this.link.end();
  }

  drained(): void {}

  dispose(): void {}
}

const NO_LINK: BodyLink = {
  memory: new Uint8Array(0),
  full: true,
  trailers: null,
  makeTrailers: () => null,
  data: () => {},
  write: () => {},
  end: () => {},
  pause: () => {},
  resume: () => {},
  retain: () => {},
  release: () => {},
  fail: () => {},
};
