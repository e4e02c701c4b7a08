/**
 * Bulk within the kernel beside io_uring: the ring tells when a socket can be read or written (POLL_ADD), splice(2) itself is a call.
 * As an operation of the ring each would go to a worker thread of the kernel's (REQ_F_FORCE_ASYNC, io_uring/splice.c), whose
 * wake-up costs what splicing saves.
 *
 * Completions say which socket; the driver counts them as pending and hands them on. One step a completion: 256 KiB, then others
 * have their turn.
 */
import type { Fd } from "#core/brands.ts";
import { setBlocking } from "#sys/blocking.ts";
import { SHUT_WR, shutdown } from "#sys/socket.ts";
import type { Socket, Splice } from "#io/socket.ts";
import { EMPTY, FULL, type SpliceHandler, Splices } from "#io/splice.ts";
import { OP_POLL_ADD, type Ring } from "./ring.ts";

const POLLIN = 1;
const POLLOUT = 4;

export class Splicer {
  readonly #ring: Ring;
  readonly #splices = new Splices();
  readonly #readableKind: number;
  readonly #writableKind: number;
  readonly #armReceive: (socket: Socket) => void;

  /** The kinds: upper halves of user_data of its completions. */
  constructor(ring: Ring, readableKind: number, writableKind: number, armReceive: (socket: Socket) => void) {
    this.#ring = ring;
    this.#readableKind = readableKind;
    this.#writableKind = writableKind;
    this.#armReceive = armReceive;
  }

  /** False: it can't be. */
  begin(from: Socket, to: Socket, handler: SpliceHandler): boolean {
    if (from.fd < 0 || to.fd < 0 || this.#splices.begin(from, to, handler) === null) return false;
    // Sends and receives of the ring wait for readiness all the same.
    setBlocking(from.fd as Fd, false);
    setBlocking(to.fd as Fd, false);
    return true;
  }

  /** Asks to be told when it can go on. What was received, and what is queued, goes first, and comes here when it has gone. */
  goOn(splice: Splice | null): void {
    if (splice === null) return;
    const { from, to } = splice;
    if (splice.held > 0) {
      if (!splice.writeAwaited) this.#poll(to, POLLOUT, this.#writableKind);
      splice.writeAwaited = true;
    } else if (mayRead(splice)) {
      if (!splice.readAwaited) this.#poll(from, POLLIN, this.#readableKind);
      splice.readAwaited = true;
    }
  }

  /** A completion; of a splice that has ended meanwhile, or of none. */
  ready(splice: Splice | null, readable: boolean): void {
    if (splice === null) return;
    if (readable) splice.readAwaited = false;
    else splice.writeAwaited = false;
    if (splice.held > 0 || mayRead(splice)) this.#step(splice);
  }

  /** Goes back to receiving. */
  end(splice: Splice | null): void {
    if (splice === null) return;
    this.#splices.end(splice);
    const { from } = splice;
    if (from.receiving && !from.receiveArmed) this.#armReceive(from);
  }

  #step(splice: Splice): void {
    const answer = splice.step();
    if (splice.held === 0 && splice.to.shutdownWanted) sendFin(splice.to);
    if (this.#splices.ended(splice, answer)) return;
    // Readable, and yet nothing: urgent data, which only a receive takes.
    if (answer === EMPTY || (answer !== FULL && splice.idles)) this.end(splice);
    else this.goOn(splice);
  }

  #poll(socket: Socket, events: number, kind: number): void {
    const at = this.#ring.prepare(OP_POLL_ADD, socket.fd, socket.index, kind);
    this.#ring.sqe[at + 7] = events;
    socket.pending++;
  }
}

function mayRead({ from, to }: Splice): boolean {
  return from.receiving && !from.receiveArmed && to.queueLength === 0;
}

/**
 * By a call of its own: the ring hands SHUTDOWN to a worker thread, which looks the descriptor up when it gets to it, and
 * by then the number may belong to another connection.
 */
export function sendFin(socket: Socket): void {
  shutdown(socket.fd, SHUT_WR);
}
