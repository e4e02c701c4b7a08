/**
 * Two connections joined byte for byte, in both directions, until both have ended. Owns both from `start` on.
 *
 *     end of one side   passed on as an end behind everything it sent (half-close); the other direction goes on
 *     both have ended   closed once everything is in the kernel
 *     a reset           passed on as a reset: neither peer must take what it has for the whole
 *     a slow reader     stops the receive on the other side above the high watermark, until it has drained
 *
 * Received bytes go out as the regions they came in: nothing is copied but small pieces. Bulk that no filter looks at does not come here
 * at all: the driver moves it within the kernel. Or a program does, from where it arrives, and what comes here is the rest (`sockmap.ts`).
 */
import { HIGH_WATERMARK_BYTES, type Connection, type Protocol } from "#net/connection.ts";
import type { SpliceHandler } from "#io/splice.ts";
import type { HeldRegions } from "#net/held.ts";
import { CLOSE, HOLD, PASS, type StreamLine, type TapVerdict } from "#pipeline/stream-filter.ts";
import { JoinedSide, type JoinedOwner, type JoinedSockets, type JoinEnd, type Sockmap } from "./sockmap.ts";
import { NO_TAPS, type Taps } from "./taps.ts";

/** How a relay ends; which side, where there is one, is the side that did it. */
export type RelayEnd = "closed" | "reset" | "idle" | "no-buffers" | "refused";

export interface RelayOwner {
  /** Both connections are closed by now. `side`: FIRST or SECOND. */
  onRelayEnd(end: RelayEnd, side: number): void;
}

export const FIRST = 0;
export const SECOND = 1;

export class Relay implements StreamLine {
  readonly #owner: RelayOwner;
  readonly #idleMs: number;
  readonly #sides: readonly [RelaySide, RelaySide];
  readonly #sockmap: Sockmap | null;
  #joined: JoinedSockets | null = null;
  #movedSeen = 0;
  #over = false;

  /** Filters that look at the bytes; the first connection is the client's. */
  readonly taps: Taps;

  /** `sockmap`: null where no program is to move bytes. Filters have to see them, and so does TLS. */
  constructor(
    first: Connection,
    second: Connection,
    idleMs: number,
    owner: RelayOwner,
    taps: Taps = NO_TAPS,
    sockmap: Sockmap | null = null,
  ) {
    this.#owner = owner;
    this.#idleMs = idleMs;
    this.taps = taps;
    this.#sockmap = taps.any ? null : sockmap;
    this.#sides = [new RelaySide(this, FIRST, first, second), new RelaySide(this, SECOND, second, first)];
  }

  /** What each side has sent before goes first; `held` may be null for none. */
  start(firstHeld: HeldRegions | null, secondHeld: HeldRegions | null): void {
    const [first, second] = this.#sides;
    first.connection.protocol = first;
    second.connection.protocol = second;
    // Whatever deadline the second had (of its connect), the relay's stands at the first.
    second.connection.deadlineMs = Number.POSITIVE_INFINITY;
    second.connection.loop.timers.forget(second.connection);
    this.touch();
    // Before anything moves: what was held may end it, and a closed connection must not be watched.
    first.connection.expireBy(first.connection.deadlineMs);
    if (this.taps.any) this.taps.attached(this);
    this.#join(firstHeld, secondHeld);
    first.begin(firstHeld);
    second.begin(secondHeld);
  }

  #join(firstHeld: HeldRegions | null, secondHeld: HeldRegions | null): void {
    const [first, second] = this.#sides;
    const [one, two] = [first.connection, second.connection];
    if (this.#sockmap === null) return;
    const [from, to] = [joinEnd(one, firstHeld), joinEnd(two, secondHeld)];
    if (from === null || to === null) return;
    this.#joined = this.#sockmap.join(from, to);
    if (this.#joined === null) return;
    first.joined = new JoinedSide(this.#joined, FIRST, one, two, first);
    second.joined = new JoinedSide(this.#joined, SECOND, two, one, second);
  }

  // What filters send by themselves.

  send(direction: 0 | 1, bytes: Uint8Array): void {
    if (!this.#over) this.#sides[direction].pass(bytes);
  }

  end(direction: 0 | 1): void {
    if (!this.#over) this.#sides[direction].passEnd();
  }

  pause(direction: 0 | 1): void {
    if (!this.#over) this.#sides[direction].hold();
  }

  resume(direction: 0 | 1): void {
    if (!this.#over) this.#sides[direction].unhold();
  }

  close(): void {
    this.finish("refused", FIRST);
  }

  /** Bytes that side has sent. */
  bytesFrom(side: number): number {
    return (side === FIRST ? this.#sides[FIRST] : this.#sides[SECOND]).bytes;
  }

  /** Those, of both sides, that moved within the kernel. */
  get bytesSpliced(): number {
    return this.#sides[FIRST].spliced + this.#sides[SECOND].spliced;
  }

  /** Something has moved. One deadline for both, on the first connection: a store. */
  touch(): void {
    const { connection } = this.#sides[FIRST];
    connection.deadlineMs = connection.loop.nowMs + this.#idleMs;
  }

  /** The deadline has passed: a reader that is slow but moves keeps a relay alive. */
  expire(): void {
    const [first, second] = this.#sides;
    const byProgram = (first.joined?.moved ?? 0) + (second.joined?.moved ?? 0);
    const moved = [first.connection.tookSome(), second.connection.tookSome(), byProgram > this.#movedSeen].includes(
      true,
    );
    this.#movedSeen = byProgram;
    if (!moved) {
      this.finish("idle", FIRST);
      return;
    }
    this.touch();
    first.connection.expireBy(first.connection.deadlineMs);
  }

  peerOf(side: number): RelaySide {
    return side === FIRST ? this.#sides[SECOND] : this.#sides[FIRST];
  }

  finishWhenDrained(): void {
    const [first, second] = this.#sides;
    if (!first.endPassed || !second.endPassed) return;
    first.connection.flush();
    second.connection.flush();
    if (first.connection.queuedBytes === 0 && second.connection.queuedBytes === 0) this.finish("closed", FIRST);
  }

  finish(end: RelayEnd, side: number): void {
    if (this.#over) return;
    this.#over = true;
    for (const one of this.#sides) one.leave();
    this.#joined?.leave();
    for (const one of this.#sides) {
      if (end === "closed" || end === "idle") one.connection.close();
      else one.connection.reset();
    }
    this.#owner.onRelayEnd(end, side);
  }
}

/** Null: there is no socket, or TLS on it. `held`: what was received from it, and is still to be relayed. */
function joinEnd(connection: Connection, held: HeldRegions | null): JoinEnd | null {
  connection.flush();
  const { socket, transport, loop } = connection;
  if (socket === null || transport !== loop.driver) return null;
  const { fd, receivedBytes, writtenBytes, queuedBytes } = socket;
  return { fd, begin: receivedBytes - (held?.bytes ?? 0), written: writtenBytes, busy: queuedBytes > 0 };
}

class RelaySide implements Protocol, SpliceHandler, JoinedOwner {
  readonly #relay: Relay;
  readonly #side: number;
  readonly connection: Connection;
  readonly #other: Connection;
  bytes = 0;
  spliced = 0;
  /** Null: the process moves all there is. */
  joined: JoinedSide | null = null;
  /** It has sent FIN. */
  ended = false;
  /** And the other side has been sent it. */
  endPassed = false;
  /** The other side's peer is slow. */
  #paused = false;
  /** Filters that can't take more. */
  #holders = 0;
  /** Bytes since the beginning, or since it was last tried to have them moved within the kernel. */
  #copied = 0;

  constructor(relay: Relay, side: number, connection: Connection, other: Connection) {
    this.#relay = relay;
    this.#side = side;
    this.connection = connection;
    this.#other = other;
  }

  begin(held: HeldRegions | null): void {
    while (held !== null && this.connection.open && held.shift()) {
      this.onBytes(held.buffer, held.start, held.end);
      this.connection.buffers.release(held.buffer);
    }
    if (!this.connection.open) return;
    if (this.connection.peerEnded) this.onEnd();
    else this.goOn();
  }

  onConnected(): void {}

  onBytes(buffer: number, start: number, end: number): void {
    this.bytes += end - start;
    this.#relay.touch();
    if (this.joined === null || this.joined.admit(buffer, start, end)) this.forward(buffer, start, end);
  }

  forward(buffer: number, start: number, end: number): void {
    const made = this.#relay.taps.any ? this.#tapped(start, end, false) : PASS;
    if (made === CLOSE) {
      this.#relay.finish("refused", this.#side);
    } else if (made === PASS || made === HOLD ? !this.#other.write(buffer, start, end) : !this.#other.writeCopy(made)) {
      this.#relay.finish("no-buffers", this.#side);
    } else if (!this.#paused && this.#other.queuedBytes > HIGH_WATERMARK_BYTES) {
      this.#paused = true;
      this.connection.pause();
    }
    this.#copied += end - start;
    if (this.#copied >= this.connection.loop.driver.bulkBytes && !this.#relay.taps.any && this.joined === null)
      this.#splice();
  }

  /** Bulk need not come here: it goes on within the kernel, where that can be, until the driver finds it is none. */
  #splice(): void {
    this.#copied = 0;
    this.connection.splice(this.#other, this);
  }

  onSpliced(bytes: number): void {
    this.bytes += bytes;
    this.spliced += bytes;
    this.#relay.touch();
  }

  onEnd(): void {
    if (this.ended) return;
    this.ended = true;
    this.#relay.touch();
    const made = this.#relay.taps.any ? this.#tapped(0, 0, true) : PASS;
    if (made === HOLD || this.joined?.admitEnd() === false) return;
    if (made === CLOSE || (made !== PASS && !this.#other.writeCopy(made))) {
      this.#relay.finish(made === CLOSE ? "refused" : "no-buffers", this.#side);
      return;
    }
    this.passEnd();
  }

  pass(bytes: Uint8Array): void {
    this.#relay.touch();
    if (!this.#other.writeCopy(bytes)) this.#relay.finish("no-buffers", this.#side);
    else this.#other.flush();
  }

  passEnd(): void {
    if (!this.ended || this.endPassed) return;
    this.endPassed = true;
    this.#other.end();
    this.#relay.finishWhenDrained();
  }

  #tapped(start: number, end: number, last: boolean): TapVerdict {
    return this.#relay.taps.data(this.#side === FIRST ? 0 : 1, this.connection.memory, start, end, last);
  }

  late(buffer: number, start: number, end: number): void {
    this.bytes += end - start;
    this.forward(buffer, start, end);
  }

  forwardEnd(): void {
    this.passEnd();
  }

  goOn(): void {
    if (!this.#paused && this.#holders === 0) this.connection.resume();
  }

  hold(): void {
    if (this.#holders++ === 0) this.connection.pause();
  }

  unhold(): void {
    if (--this.#holders === 0) this.goOn();
  }

  lost(): void {
    this.#relay.finish("reset", this.#side);
  }

  /** What the other side has sent is in the kernel: read on there. */
  onDrained(): void {
    const other = this.#relay.peerOf(this.#side);
    this.#relay.touch();
    other.resume();
    other.joined?.drained();
    this.#relay.finishWhenDrained();
  }

  /** Nothing more is moved. */
  leave(): void {
    const moved = this.joined?.moved ?? 0;
    this.bytes += moved;
    this.spliced += moved;
    this.joined?.close();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.goOn();
  }

  onBroken(): void {
    this.#relay.finish("reset", this.#side);
  }

  onDeadline(): void {
    this.#relay.expire();
  }
}
