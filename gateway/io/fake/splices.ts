/** Bulk in the fake: from a socket into a pipe and out of it again, in pieces as the seed decides, and with nobody to see it. */
import type { Socket } from "#io/socket.ts";
import type { SpliceHandler } from "#io/splice.ts";
import type { End } from "./connection.ts";
import type { World } from "./world.ts";

/** Of a pipe. */
const PIPE_BYTES = 10_000;
const NOTHING = new Uint8Array(0);

export interface FakeSplice {
  readonly from: Socket;
  readonly to: Socket;
  readonly handler: SpliceHandler;
  /** In the pipe. */
  held: Uint8Array;
}

/** What the driver does for it. */
export interface SplicingNetwork {
  /** Looks again at what has come for a socket. */
  receiveSoon(from: Socket): void;
  sendSoon(to: Socket): void;
  /** Something was told. */
  dispatched(): void;
}

export class FakeSplices {
  readonly #world: World;
  readonly #network: SplicingNetwork;
  readonly #from = new Map<Socket, FakeSplice>();
  readonly #to = new Map<Socket, FakeSplice>();

  constructor(world: World, network: SplicingNetwork) {
    this.#world = world;
    this.#network = network;
  }

  begin(from: Socket, to: Socket, handler: SpliceHandler): void {
    if (from.fd < 0 || to.fd < 0 || this.#from.has(from) || this.#to.has(to)) return;
    const splice = { from, to, handler, held: NOTHING };
    this.#from.set(from, splice);
    this.#to.set(to, splice);
  }

  from(socket: Socket): FakeSplice | undefined {
    return this.#from.get(socket);
  }

  to(socket: Socket): FakeSplice | undefined {
    return this.#to.get(socket);
  }

  /** Received bytes into the pipe, which is empty. */
  fill(splice: FakeSplice, { incoming }: End): void {
    const { random, faults, nowMs } = this.#world;
    const most = Math.min(PIPE_BYTES, incoming.arrived(nowMs));
    splice.held = new Uint8Array(random.chance(faults.shortRead) ? random.upTo(most) : most);
    incoming.take(splice.held, splice.held.length, nowMs);
    splice.to.queuedBytes += splice.held.length;
    this.#network.sendSoon(splice.to);
  }

  /** Out of the pipe, as much as there is room for. */
  drain(splice: FakeSplice, end: End): void {
    const { random, faults } = this.#world;
    const { from, to, held, handler } = splice;
    const most = Math.min(held.length, end.room);
    const count = most > 0 && random.chance(faults.shortWrite) ? random.upTo(most) : most;
    if (count > 0) {
      end.write(held.subarray(0, count));
      splice.held = held.subarray(count);
      to.queuedBytes -= count;
      this.#network.dispatched();
      handler.onSpliced(count);
    }
    if (to.queuedBytes > 0) {
      if (end.room > 0) this.#network.sendSoon(to);
      return;
    }
    if (to.shutdownWanted) end.finish();
    if (random.chance(faults.spliceEnd)) this.end(splice);
    else this.#network.receiveSoon(from);
  }

  /** Goes back to receiving. */
  end(splice: FakeSplice | undefined): void {
    if (splice === undefined) return;
    const { from, to, held } = splice;
    this.#from.delete(from);
    this.#to.delete(to);
    to.queuedBytes -= held.length;
    this.#network.receiveSoon(from);
  }
}
