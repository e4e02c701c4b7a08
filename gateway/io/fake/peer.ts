/**
 * The other end of a driver's socket: a client or an upstream, played by a test. Its handler is called within the
 * driver's turns; its methods may be called at any time.
 */
import type { End } from "./connection.ts";
import type { World } from "./world.ts";

/** What a peer is told. */
export interface PeerHandler {
  /** A piece of what the driver has sent, cut anywhere. The bytes are the handler's own. */
  onData(peer: FakePeer, bytes: Uint8Array): void;
  /** FIN: the driver's side has shut down or closed. */
  onEnd(peer: FakePeer): void;
  /** The connection is broken; nothing follows. */
  onReset(peer: FakePeer, error: number): void;
}

/** The most that one read hands over: 64 KiB, so that large bodies arrive in pieces in a calm network too. */
const READ_BYTES = 65_536;

export class FakePeer {
  /** The driver's socket comes from here, or goes there: the text of a socket address. */
  readonly address: string;
  readonly #world: World;
  readonly #end: End;
  #handler: PeerHandler | null = null;
  /** Written and not yet in the pipe. */
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #endWanted = false;
  #paused = false;
  #readPlanned = false;
  #gone = false;

  constructor(world: World, end: End, address: string) {
    this.address = address;
    this.#world = world;
    this.#end = end;
    end.incoming.ends.arrives = (at) => this.#readAt(at);
    end.outgoing.ends.room = () => this.#flush();
  }

  /** To be called once, by who made the peer, before anything arrives. */
  handle(handler: PeerHandler): void {
    this.#handler = handler;
    this.#readAt(this.#end.incoming.nextMs);
  }

  /** Sends a copy of `bytes` after all that was written before. Never fails: a broken connection swallows it. */
  write(bytes: Uint8Array): void {
    if (this.#gone || this.#endWanted || bytes.length === 0) return;
    this.#queue.push(bytes.slice());
    this.#queuedBytes += bytes.length;
    this.#flush();
  }

  /** Written, and not taken by the connection yet: the driver's side does not read. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** FIN after all that was written. */
  end(): void {
    this.#endWanted = true;
    this.#flush();
  }

  /** RST, now: what was written and has not been delivered may be lost, and nothing is received any more. */
  reset(): void {
    if (this.#gone) return;
    this.#leave();
    this.#end.reset();
  }

  /** As close(2): nothing is received any more, and unread bytes turn the FIN into a reset. */
  close(): void {
    if (this.#gone) return;
    this.#leave();
    this.#end.close();
  }

  /** Reads no more, so that the driver's sends fill the connection and stop. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#readAt(this.#end.incoming.nextMs);
  }

  #leave(): void {
    this.#gone = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }

  #flush(): void {
    if (this.#gone) return;
    const { random, faults } = this.#world;
    while (this.#queue.length > 0 && this.#end.room > 0) {
      const first = this.#queue[0] as Uint8Array;
      const most = Math.min(first.length, this.#end.room);
      const count = random.chance(faults.shortWrite) ? random.upTo(most) : most;
      this.#queuedBytes -= count;
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
      this.#end.write(first.subarray(0, count));
    }
    if (this.#endWanted && this.#queue.length === 0) this.#end.finish();
  }

  #readAt(at: number): void {
    if (this.#gone || this.#paused || this.#readPlanned || this.#handler === null || at === Infinity) return;
    this.#readPlanned = true;
    const { schedule, nowMs } = this.#world;
    schedule.add(Math.max(at, nowMs + this.#world.hesitationMs()), () => {
      this.#readPlanned = false;
      this.#read();
    });
  }

  #read(): void {
    if (this.#gone || this.#paused || this.#handler === null) return;
    const { incoming } = this.#end;
    const { nowMs, random, faults } = this.#world;
    const arrived = incoming.arrived(nowMs);
    if (arrived > 0) {
      const most = Math.min(arrived, READ_BYTES);
      const bytes = new Uint8Array(random.chance(faults.shortRead) ? random.upTo(most) : most);
      incoming.take(bytes, bytes.length, nowMs);
      this.#handler.onData(this, bytes);
    } else if (incoming.nextMs <= nowMs) {
      const error = incoming.takeEnd();
      if (error === 0) {
        this.#handler.onEnd(this);
      } else {
        this.#leave();
        this.#handler.onReset(this, error);
      }
    }
    this.#readAt(incoming.nextMs);
  }
}
