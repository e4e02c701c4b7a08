/**
 * One connected socket as the drivers see it. Fields of every driver stand here, so that all sockets have one shape and
 * the hot path stays monomorphic; a driver reuses the object after close, and `generation` tells stale completions apart.
 */
import type { SocketHandler } from "./driver.ts";

export class Socket {
  /** Index in the driver's table. */
  readonly index: number;
  /** Counts the lives of this object, modulo 2²³: completions carry it. */
  generation = 0;
  /** −1 when closed. */
  fd = -1;
  /** Set by the owner before anything is asked of the socket. */
  handler: SocketHandler | null = null;

  /** The owner wants to receive. */
  receiving = false;
  /** A receive is armed in the kernel. */
  receiveArmed = false;
  /** A send is in the kernel. */
  sendArmed = false;
  /** FIN once the queue has drained. */
  shutdownWanted = false;
  connecting = false;
  /** Operations the kernel still holds for this life of the object. */
  pending = 0;

  /** Send queue: triples (buffer, start, end) in a growing ring; most sockets never hold more than one. */
  queue: Int32Array = EMPTY_QUEUE;
  queueHead = 0;
  queueLength = 0;
  queuedBytes = 0;

  constructor(index: number) {
    this.index = index;
  }
}

const EMPTY_QUEUE = new Int32Array(0);
