/** A driver's sockets by index, pooled: a closed one serves again, with `generation` one higher. */
import { assert, defined } from "#core/assert.ts";
import { Socket } from "./socket.ts";

export class SocketTable {
  readonly #sockets: Socket[] = [];
  readonly #free: Socket[] = [];
  /** Connects that failed before the kernel saw them: pairs to report in the next turn. */
  readonly #failed: { socket: Socket; error: number }[] = [];

  /** Sockets that are not in the pool. */
  get taken(): number {
    return this.#sockets.length - this.#free.length;
  }

  /** A socket for descriptor `fd` (−1: none yet), all fields at their beginning. */
  take(fd: number): Socket {
    let socket = this.#free.pop();
    if (socket === undefined) {
      socket = new Socket(this.#sockets.length);
      this.#sockets.push(socket);
    }
    socket.fd = fd;
    return socket;
  }

  at(index: number): Socket {
    return defined(this.#sockets[index], "socket of a completion");
  }

  /** Back to the pool. Nothing may be pending, no handler set, the queue empty. */
  give(socket: Socket): void {
    assert(socket.pending === 0 && socket.handler === null && socket.queueLength === 0, "socket given back in use");
    socket.generation = (socket.generation + 1) & 0x7f_ffff;
    socket.fd = -1;
    socket.receiving = false;
    socket.receiveArmed = false;
    socket.sendArmed = false;
    socket.shutdownWanted = false;
    socket.connecting = false;
    socket.queueHead = 0;
    socket.queuedBytes = 0;
    socket.receivedBytes = 0;
    socket.writtenBytes = 0;
    this.#free.push(socket);
  }

  /** Notes a connect that failed at once: `onConnect` must come from within a turn. */
  fail(socket: Socket, error: number): void {
    this.#failed.push({ socket, error });
  }

  get hasFailed(): boolean {
    return this.#failed.length > 0;
  }

  /** Reports the connects noted by `fail`; answers how many. */
  reportFailed(): number {
    const failed = this.#failed.splice(0);
    for (const { socket, error } of failed) {
      socket.connecting = false;
      if (socket.handler === null) this.give(socket);
      else socket.handler.onConnect(socket, error);
    }
    return failed.length;
  }
}
