/**
 * A relay's bytes moved by the kernel, from one socket to the other where they arrive (bpf/src/splice.bpf.c). The relay goes on as
 * if that were not so: what the kernel leaves to it, it passes on. Two things are needed of it, and are kept here:
 *
 *     order    what it has received goes behind what the kernel moved before, which may still be on its way to the other's queue
 *     place    it says when it has nothing in its hands: only then may the kernel go on where it ends
 *
 * At the end of a side all that its peer has sent must have been moved or received. The kernel may say the end before it has put all
 * that it let pass where it is received from: then it is asked for the rest; and if that does not come, the relay breaks rather than end.
 */
import type { Connection } from "#net/connection.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { Alarm } from "#net/alarm.ts";
import { HeldRegions } from "#net/held.ts";

/** A connected socket as a relay takes it over. It may be received from at this moment, and sent to. */
export interface JoinEnd {
  readonly fd: number;
  /** Bytes of its peer before those that the relay is given. */
  readonly begin: number;
  /** Bytes that were written to it before the relay's. */
  readonly written: number;
  /** Not all of those are in the kernel yet. */
  readonly busy: boolean;
}

/** One for a worker. */
export interface Sockmap {
  /** Null: the kernel refuses, and all goes through the process. */
  join(first: JoinEnd, second: JoinEnd): JoinedSockets | null;
}

/** Two sockets that are joined. Sides are 0 and 1; bytes are those received from that side since it was joined. */
export interface JoinedSockets {
  /** All `bytes` that the process has received are in the kernel again. */
  empty(side: number, bytes: number): void;
  /** Bytes that the kernel has moved. */
  moved(side: number): number;
  /** Whether all that was moved stands in the other's queue. `written`, `queued`: what the process has written there, and what of it waits in the process. */
  inOrder(side: number, written: number, queued: number): boolean;
  /** After its end: whether everything that the side sent was received, `bytes`, or moved. */
  whole(side: number, bytes: number): boolean;
  /** After its end: what is still to be received, up to `length` bytes to `start` of `memory`; how many came, or not above 0. */
  receive(side: number, memory: Uint8Array, start: number, length: number): number;
  /** Both sockets are closed, or about to be. */
  leave(): void;
}

/** How soon it is looked again whether the kernel has put what it moved into the queue; its own worker is at it meanwhile. */
const LOOK_AGAIN_MS = 1;
/** Looks for the rest of a stream that has ended. */
const LOOKS_MAX = 2000;

export interface JoinedOwner {
  /** May go on now, in order. */
  forward(buffer: number, start: number, end: number): void;
  forwardEnd(): void;
  /** Nothing is kept any more: it may be received again, unless the other reads too slowly. */
  goOn(): void;
  /** Received behind the owner's back, and its turn. */
  late(buffer: number, start: number, end: number): void;
  /** Bytes are missing. */
  lost(): void;
}

/** One direction of a relay. */
export class JoinedSide {
  readonly #sockets: JoinedSockets;
  readonly #side: number;
  readonly #from: Connection;
  readonly #to: Connection;
  readonly #owner: JoinedOwner;
  readonly #held: HeldRegions;
  readonly #alarm: Alarm;
  #received = 0;
  #written = 0;
  #ended = false;
  #looks = 0;
  /** Of `moved`, when it was found in order. */
  #movedInOrder = 0;

  constructor(sockets: JoinedSockets, side: number, from: Connection, to: Connection, owner: JoinedOwner) {
    this.#sockets = sockets;
    this.#side = side;
    this.#from = from;
    this.#to = to;
    this.#owner = owner;
    this.#held = new HeldRegions(from.buffers);
    this.#alarm = new Alarm(from.loop, () => this.#look());
  }

  get moved(): number {
    return this.#sockets.moved(this.#side);
  }

  /** True: it is its turn. False: it is kept, and the owner is given it later. */
  admit(buffer: number, start: number, end: number): boolean {
    this.#received += end - start;
    if (this.#held.empty && this.#inOrder()) {
      this.#written += end - start;
      return true;
    }
    this.#held.push(buffer, start, end);
    this.#from.pause();
    this.#alarm.set(LOOK_AGAIN_MS);
    return false;
  }

  /** The same of its end. */
  admitEnd(): boolean {
    this.#ended = true;
    if (this.#held.empty && this.#inOrder() && this.#sockets.whole(this.#side, this.#received)) return true;
    this.#alarm.set(LOOK_AGAIN_MS);
    return false;
  }

  /** All that was written to the other is in the kernel. */
  drained(): void {
    if (this.#held.empty && !this.#ended) this.#sockets.empty(this.#side, this.#received);
  }

  close(): void {
    this.#alarm.cancel();
    this.#held.clear();
  }

  #look(): void {
    if (!this.#inOrder()) {
      this.#alarm.set(LOOK_AGAIN_MS);
      return;
    }
    while (this.#held.shift()) {
      const { buffer, start, end } = this.#held;
      this.#written += end - start;
      this.#owner.forward(buffer, start, end);
      this.#from.buffers.release(buffer);
    }
    if (this.#ended) this.#lookForRest();
    else this.#owner.goOn();
  }

  #lookForRest(): void {
    if (this.#sockets.whole(this.#side, this.#received)) {
      this.#owner.forwardEnd();
    } else if (++this.#looks > LOOKS_MAX) {
      this.#owner.lost();
    } else {
      this.#alarm.set(LOOK_AGAIN_MS);
      this.#receive();
    }
  }

  #receive(): void {
    const { buffers } = this.#from;
    const buffer = buffers.allocate();
    if (buffer < 0) return;
    const start = buffer * BUFFER_BYTES;
    const came = this.#sockets.receive(this.#side, buffers.memory, start, BUFFER_BYTES);
    if (came > 0) {
      this.#received += came;
      this.#written += came;
      this.#owner.late(buffer, start, start + came);
    }
    buffers.release(buffer);
  }

  #inOrder(): boolean {
    const moved = this.moved;
    if (moved === this.#movedInOrder) return true;
    if (!this.#sockets.inOrder(this.#side, this.#written, this.#to.queuedBytes)) return false;
    this.#movedInOrder = moved;
    return true;
  }
}
