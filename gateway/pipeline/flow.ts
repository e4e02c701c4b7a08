/**
 * Back-pressure. Whoever brings events in from outside (a socket, a queue) is a source, and says so in `flow.current`
 * while it does. A sink that is full, a socket with too much unsent or a filter that waits for a promise, shuts its gate:
 * that pauses the source of the event under way, wherever in the chain it stands. So no filter in between needs to
 * know, and a chain that turns from request to response needs no second way back.
 *
 *     client ──▶ demux ──▶ handle ──▶ connect          current = the client's socket while it reads
 *     client ◀── demux ◀── handle ◀── connect          current = the target's socket while it reads
 *
 * A paused source still delivers what is on its way: at most one batch of receives (256 KiB).
 */
export interface Source {
  /** Counted: as many `resume` as `pause` make it go on. */
  pause(): void;
  resume(): void;
}

export const NOBODY: Source = { pause: () => {}, resume: () => {} };

/** One a worker. */
export class Flow {
  current: Source = NOBODY;
}

/** A sink's own: what it has stopped. */
export class Gate {
  readonly #flow: Flow;
  readonly #stopped: Source[] = [];

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  get isShut(): boolean {
    return this.#stopped.length > 0;
  }

  /** Pauses the source of the event under way, until `open`. */
  shut(): void {
    const source = this.#flow.current;
    if (this.#stopped.includes(source)) return;
    this.#stopped.push(source);
    source.pause();
  }

  open(): void {
    if (this.#stopped.length === 0) return;
    for (const source of this.#stopped.splice(0)) source.resume();
  }
}

/** Sources that can only stop and go. */
export abstract class CountedSource implements Source {
  #pauses = 0;

  get isPaused(): boolean {
    return this.#pauses > 0;
  }

  pause(): void {
    if (this.#pauses++ === 0) this.stop();
  }

  resume(): void {
    if (--this.#pauses === 0) this.go();
  }

  protected abstract stop(): void;
  protected abstract go(): void;
}

/** Stands in for another source for a while: `detach` gives that free, whoever may still hold this one. */
export class Valve extends CountedSource {
  behind: Source = NOBODY;
  #stopped: Source = NOBODY;
  #detached = false;

  detach(): void {
    if (this.isPaused && !this.#detached) this.#stopped.resume();
    this.#detached = true;
  }

  protected override stop(): void {
    if (this.#detached) return;
    this.#stopped = this.behind;
    this.#stopped.pause();
  }

  protected override go(): void {
    if (!this.#detached) this.#stopped.resume();
  }
}
