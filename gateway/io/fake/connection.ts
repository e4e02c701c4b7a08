/** The two ends of a fake connection, and the rules of TCP that tie its two directions together. */
import { ECONNRESET } from "#core/errno.ts";
import { Pipe } from "./pipe.ts";
import type { World } from "./world.ts";

export class End {
  readonly incoming: Pipe;
  readonly outgoing: Pipe;
  readonly #world: World;

  constructor(world: World, incoming: Pipe, outgoing: Pipe) {
    this.#world = world;
    this.incoming = incoming;
    this.outgoing = outgoing;
  }

  /** How much `write` takes now. */
  get room(): number {
    return this.outgoing.room;
  }

  /** A reset has arrived: what is written from now on goes nowhere. */
  get broken(): boolean {
    return this.incoming.broken(this.#world.nowMs);
  }

  /** Sends a copy of at most `room` bytes. Towards an end that is closed they are answered by a reset. */
  write(bytes: Uint8Array): void {
    if (this.outgoing.ended) return;
    if (this.outgoing.readerGone) this.incoming.end(this.#world.arrivalMs(), ECONNRESET);
    else this.outgoing.push(bytes.slice(), this.#world.arrivalMs());
  }

  /** FIN. */
  finish(): void {
    this.outgoing.end(this.#world.arrivalMs(), 0);
  }

  /** close(2): FIN, or a reset when unread bytes are thrown away by it (RFC 9293 §3.6.1, RFC 2525 §2.17). */
  close(): void {
    this.incoming.readerGone = true;
    this.outgoing.end(this.#world.arrivalMs(), this.incoming.held > 0 ? ECONNRESET : 0);
  }

  /** RST. */
  reset(): void {
    this.incoming.readerGone = true;
    this.outgoing.end(this.#world.arrivalMs(), ECONNRESET);
  }
}

/** A connection: its two ends. */
export function connectEnds(world: World): [End, End] {
  const there = new Pipe(world.faults.capacityBytes);
  const back = new Pipe(world.faults.capacityBytes);
  return [new End(world, back, there), new End(world, there, back)];
}
