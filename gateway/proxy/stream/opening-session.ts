/** A client of UDP whose session a filter still thinks about: what it has sent waits, in order, up to a bound. */
import type { DatagramSocket } from "#io/datagram.ts";
import type { Engine } from "#proxy/engine.ts";
import type { Admitting } from "./stream-route.ts";

/** Of one client: a burst, as a resolver or a handshake sends it. What comes beyond is dropped, as by a full socket. */
const DATAGRAMS_MAX = 16;
const BYTES_MAX = 64 * 1024;

export class OpeningSession {
  readonly #engine: Engine;
  readonly #admitting: Admitting;
  readonly datagrams: Uint8Array[] = [];
  #bytes = 0;

  /** `engine`: retained, until it is abandoned or decided. */
  constructor(engine: Engine, admitting: Admitting) {
    this.#engine = engine;
    this.#admitting = admitting;
  }

  /** False: there is no room for it. */
  keep({ memory, start, end }: DatagramSocket): boolean {
    const bytes = end - start;
    if (this.datagrams.length >= DATAGRAMS_MAX || this.#bytes + bytes > BYTES_MAX) return false;
    this.#bytes += bytes;
    this.datagrams.push(memory.slice(start, end));
    return true;
  }

  abandon(): void {
    this.#admitting.abandon();
    this.#engine.release();
  }
}
