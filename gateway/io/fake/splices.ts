/** Bulk in the fake: bytes in a pipe between two sockets, which nobody sees. What its driver does with them stands there. */
import type { Socket } from "#io/socket.ts";
import type { SpliceHandler } from "#io/splice.ts";

export interface FakeSplice {
  readonly from: Socket;
  readonly to: Socket;
  readonly handler: SpliceHandler;
  /** In the pipe. */
  held: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export class FakeSplices {
  readonly #from = new Map<Socket, FakeSplice>();
  readonly #to = new Map<Socket, FakeSplice>();

  /** False: either has a part in one already. */
  begin(from: Socket, to: Socket, handler: SpliceHandler): boolean {
    if (this.#from.has(from) || this.#to.has(to)) return false;
    const splice = { from, to, handler, held: NOTHING };
    this.#from.set(from, splice);
    this.#to.set(to, splice);
    return true;
  }

  end({ from, to, held }: FakeSplice): void {
    this.#from.delete(from);
    this.#to.delete(to);
    to.queuedBytes -= held.length;
  }

  from(socket: Socket): FakeSplice | undefined {
    return this.#from.get(socket);
  }

  to(socket: Socket): FakeSplice | undefined {
    return this.#to.get(socket);
  }
}
