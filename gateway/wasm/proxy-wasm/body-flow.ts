/**
 * One body on its way past a plugin. The guest sees each piece as it comes, together with what it has held back; CONTINUE
 * sends all of it on, PAUSE holds it. A body that the guest leaves alone is not copied.
 *
 *     source ─▶ [ visible: what the guest is asked about or holds ] ─▶ [ out: let go, behind a full link ] ─▶ next stage
 *
 * Three states:
 *
 *     waiting    the head is paused for an answer: the source is stopped; what was under way is kept, the guest not asked
 *     holding    the guest has paused: more is taken, up to HELD_BYTES_MAX, so that it can have the whole body
 *     passing    back-pressure is that of what follows
 */
import { defined } from "#core/assert.ts";
import type { Head } from "#http/head.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";
import { HELD_BYTES_MAX } from "./calls/buffers.ts";
import { type Direction, type Flow, HEAD_PASSED, HEAD_PAUSED } from "./contexts.ts";
import { GuestBuffer } from "./guest-buffer.ts";

/** What is written to a link at once, before it is asked again whether it is full. */
const WRITE_BYTES = 64 * 1024;

export interface FlowOwner {
  /** Asks the guest about what is visible. True: it may go on. */
  bodySeen(flow: BodyFlow, length: number, last: boolean): boolean;
  /** The same about the trailers that have come behind it. */
  trailersSeen(flow: BodyFlow, trailers: Head): boolean;
  /** The guest has let the body go on while its head was paused: the head goes first. */
  headReleased(flow: BodyFlow): void;
  /** The guest has changed the body to another length. False: it is too late for that. */
  lengthChanged(flow: BodyFlow): boolean;
}

export class BodyFlow implements BodyStage, Flow {
  readonly direction: Direction;
  /** The status that a body gets which is too much for the guest. */
  readonly #tooLong: number;
  readonly #owner: FlowOwner;
  readonly #buffer = new GuestBuffer();
  #link: BodyLink | null = null;
  #out: Uint8Array[] = [];
  #asking = false;
  #holding = false;
  /** The head is paused, and the guest is not to be asked before it goes on. */
  #waiting = false;
  /** Something has come that the guest has not been asked about. */
  #unseen = false;
  #ended = false;
  #endSeen = false;
  #endSent = false;
  /** No guest any more: what comes goes on. */
  #free = false;
  /** It is not wanted any more, or over. */
  #dropped = false;

  constructor(direction: Direction, tooLong: number, owner: FlowOwner) {
    this.direction = direction;
    this.#tooLong = tooLong;
    this.#owner = owner;
  }

  get holds(): boolean {
    return this.#holding || this.direction.head === HEAD_PAUSED;
  }

  get visible(): GuestBuffer | null {
    return this.#asking || this.#holding || this.direction.head === HEAD_PAUSED ? this.#buffer : null;
  }

  /** Stops the source until `resumeAsking`: an answer that the head waits for is under way. */
  wait(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.link.pause();
  }

  /** The guest is asked again; about what has come meanwhile first. */
  resumeAsking(): void {
    if (!this.#waiting || this.#dropped) return;
    this.#waiting = false;
    if (this.#unseen || (this.#ended && !this.#endSeen)) this.#ask(null);
    this.link.resume();
  }

  attach(link: BodyLink): void {
    this.#link = link;
  }

  get link(): BodyLink {
    return defined(this.#link, "a stage that is attached");
  }

  data(buffer: number, start: number, end: number): void {
    const { memory } = this.link;
    if (this.#dropped) return;
    if (this.#free) {
      this.#send(memory, start, end, buffer);
      return;
    }
    if (this.#buffer.length === 0 && !this.#waiting) this.#buffer.show(memory, start, end);
    else this.#buffer.append(memory, start, end);
    this.#unseen = true;
    if (!this.#waiting) this.#ask({ buffer, start, end });
    if (this.#buffer.length > 0) this.#hold();
  }

  end(): void {
    this.#ended = true;
    if (this.#dropped) return;
    if (this.#free) this.#finish();
    else if (!this.#waiting) this.#ask(null);
  }

  /** What is held must be the flow's own when the region goes away. */
  #hold(): void {
    this.#buffer.keep();
    if (this.#buffer.length <= HELD_BYTES_MAX) return;
    this.#buffer.clear();
    this.link.fail(this.#tooLong, "body-too-long", `a plugin holds at most ${HELD_BYTES_MAX} bytes of a body`);
  }

  #ask(region: { buffer: number; start: number; end: number } | null): void {
    this.#unseen = false;
    const last = this.#ended;
    this.#endSeen = last;
    this.#asking = true;
    const goesOn = this.#seen(last);
    this.#asking = false;
    if (this.#dropped || this.#free) return;
    if (!goesOn) {
      this.#holding = true;
      return;
    }
    this.#letGo(region);
  }

  /** Trailers come behind the body: the guest is asked about both, and can add some where there are none until it lets go. */
  #seen(last: boolean): boolean {
    if (last) this.direction.trailing = this.link;
    const { trailers } = this.link;
    if (!last || trailers === null) return this.#owner.bodySeen(this, this.#buffer.length, last);
    return this.#owner.trailersSeen(this, trailers);
  }

  /** `proxy_continue_stream`, for a paused head: it goes on, and what has come behind it is the guest's to see. */
  released(): void {
    if (this.#dropped || this.#free) return;
    if (!this.#waiting && !this.#unseen) {
      this.#letGo(null);
      return;
    }
    this.#owner.headReleased(this);
    this.resumeAsking();
  }

  /** `proxy_continue_stream`, for a body that was held. */
  release(): void {
    if (this.#dropped || this.#free) return;
    this.#letGo(null);
  }

  #letGo(region: { buffer: number; start: number; end: number } | null): void {
    this.#holding = false;
    const { lengthChanged, isRegion, length } = this.#buffer;
    if (lengthChanged && !this.#owner.lengthChanged(this)) {
      this.#buffer.clear();
      this.link.fail(502, "body-length", "a plugin changed the body of a message whose length was already sent");
      return;
    }
    if (this.direction.head === HEAD_PAUSED) {
      this.#buffer.keep();
      this.#owner.headReleased(this);
      if (this.#dropped) return;
    }
    if (length > 0 && isRegion && this.#buffer.isRegion && region !== null) {
      this.#buffer.clear();
      this.#send(this.link.memory, region.start, region.end, region.buffer);
    } else if (length > 0) {
      this.#out.push(this.#buffer.view.slice());
      this.#buffer.clear();
      this.#flush();
    }
    if (this.#ended && this.#endSeen) this.#finish();
  }

  /** A region as it is; behind what waits, a copy of it. */
  #send(memory: Uint8Array, start: number, end: number, buffer: number): void {
    if (this.#out.length === 0 && this.direction.head === HEAD_PASSED) {
      this.link.data(buffer, start, end);
      return;
    }
    this.#out.push(memory.slice(start, end));
    this.#flush();
  }

  #finish(): void {
    if (this.#out.length > 0 || this.#endSent) return;
    this.#endSent = true;
    this.direction.trailing = null;
    this.link.end();
  }

  /** As much of what was let go as the link takes. */
  #flush(): void {
    while (this.#out.length > 0 && !this.link.full && !this.#dropped) {
      const piece = this.#out[0] as Uint8Array;
      if (piece.length > WRITE_BYTES) this.#out[0] = piece.subarray(WRITE_BYTES);
      else this.#out.shift();
      this.link.write(piece.subarray(0, WRITE_BYTES));
    }
  }

  drained(): void {
    if (this.#dropped || this.#out.length === 0) return;
    this.#flush();
    const ended = this.#free ? this.#ended : this.#endSeen && !this.#holding && this.#buffer.length === 0;
    if (this.#out.length === 0 && ended) this.#finish();
  }

  /** Another answer takes the place of this body: what still comes of it is nobody's. */
  drop(): void {
    this.#dropped = true;
    this.direction.trailing = null;
    this.#buffer.clear();
    this.#out = [];
  }

  /** The guest has ended. */
  abandon(fails: boolean): void {
    if (this.#dropped || this.#free || this.#endSent) return;
    this.#free = true;
    if (fails) {
      this.#buffer.clear();
      this.link.fail(503, "plugin-failed", "the route's plugin failed");
      return;
    }
    if (this.#buffer.length > 0) this.#out.push(this.#buffer.view.slice());
    this.#buffer.clear();
    this.#flush();
    if (this.#ended) this.#finish();
    if (this.#waiting) this.link.resume();
  }

  dispose(): void {
    this.drop();
  }
}
