/** Bulk within the kernel over epoll: a socket that is readable, or writable again, is spliced where it would be received or sent. */
import type { Socket, Splice } from "#io/socket.ts";
import { EMPTY, FULL, type SpliceHandler, Splices } from "#io/splice.ts";

/** What the driver does for it. */
export interface SplicingDriver {
  /** Tries it in the next turn. */
  receiveSoon(socket: Socket): void;
  finish(socket: Socket): void;
  /** The last event of the socket has said that something stands behind its bytes. */
  tellsMore(socket: Socket): boolean;
  /** Something was told. */
  dispatched(): void;
}

export class Splicer {
  readonly #driver: SplicingDriver;
  readonly #splices = new Splices();

  constructor(driver: SplicingDriver) {
    this.#driver = driver;
  }

  begin(from: Socket, to: Socket, handler: SpliceHandler): void {
    const splice = from.fd < 0 || to.fd < 0 ? null : this.#splices.begin(from, to, handler);
    if (splice !== null && from.receiving && !from.receiveArmed) this.#driver.receiveSoon(from);
  }

  /** What is queued on the receiver goes first: when it has left, the sender is listed again. */
  step(splice: Splice): void {
    const { from, to } = splice;
    if (splice.held === 0 && (!from.receiving || to.queueLength > 0)) return;
    const answer = splice.step();
    if (splice.held === 0 && to.shutdownWanted) this.#driver.finish(to);
    if (answer === FULL) {
      to.sendArmed = true;
      return;
    }
    this.#driver.dispatched();
    if (this.#splices.ended(splice, answer)) return;
    if (answer === EMPTY && !this.#driver.tellsMore(from)) from.receiveArmed = true;
    // Told of more, and yet nothing: urgent data, which only a receive takes.
    else if (answer === EMPTY || splice.idles) this.end(splice);
    else this.#driver.receiveSoon(from);
  }

  /** Goes back to receiving. */
  end(splice: Splice | null): void {
    if (splice === null) return;
    this.#splices.end(splice);
    if (splice.from.receiving && !splice.from.receiveArmed) this.#driver.receiveSoon(splice.from);
  }
}
