/**
 * One stream connection, up or down: a socket, a deadline, and an output buffer that gathers what is written in one turn.
 * The protocol above it (HTTP/1, a tunnel) is an object that can be replaced, as after an upgrade.
 *
 * Writing: small pieces are copied into the open buffer, large regions are queued as they are, behind it, and sent
 * without a copy. The open buffer leaves when it is full, when a region must follow it, or at the end of the turn.
 *
 * Deadlines: `deadlineMs` is a plain field, and moving it later costs a store. A phase that needs it earlier says so by
 * `expireBy`. The protocol decides what an expired deadline means.
 */
import { ECONNABORTED } from "#core/errno.ts";
import type { Buffers } from "#io/buffers.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Loop } from "#io/loop.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import type { SpliceHandler } from "#io/splice.ts";
import type { Timed } from "#io/timers.ts";
import type { WriteGather } from "./gather.ts";
import type { TlsPeer } from "./tls/peer.ts";
import type { Transport } from "./transport.ts";

/** What a connection tells its protocol. */
export interface Protocol {
  /** A connect ended: 0 or an errno. Only for connections that were dialled. */
  onConnected(error: number): void;
  onBytes(buffer: number, start: number, end: number): void;
  /** The peer will send nothing more. */
  onEnd(): void;
  /** Everything written is in the kernel. */
  onDrained(): void;
  /** The connection broke. It is closed already. */
  onBroken(error: number): void;
  onDeadline(nowMs: number): void;
}

/** Regions up to this many bytes are copied into the open buffer: cheaper than a second iovec. */
const COPY_BYTES_MAX = 4096;

/** Past this many queued bytes a reader is too slow: the other side's receive is stopped until the queue has drained. */
export const HIGH_WATERMARK_BYTES = 256 * 1024;

/** How long a peer that has been sent everything, and FIN, may go on sending before it is cut off. */
const LINGER_MS = 2000;

export class Connection implements SocketHandler, Timed {
  readonly loop: Loop;
  readonly buffers: Buffers;
  readonly #gather: WriteGather;
  socket: Socket | null = null;
  protocol: Protocol | null = null;
  /** What the bytes go through: the driver itself, or TLS. */
  transport: Transport;
  /** What TLS has settled with the peer; null without TLS. */
  tls: TlsPeer | null = null;
  /** The peer has sent FIN. */
  peerEnded = false;

  /** Absolute, in the loop's milliseconds. */
  deadlineMs = Number.POSITIVE_INFINITY;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;

  /** The open output buffer: −1 when there is none. */
  #out = -1;
  #outStart = 0;
  #outEnd = 0;
  #gathered = false;
  /** Grows whenever something written is handed on: while it stands still, all that was written since is still here. */
  handed = 0;
  /** At the last `tookSome`. */
  #queuedSeen = 0;
  #takenSeen = -1;

  constructor(loop: Loop, gather: WriteGather) {
    this.loop = loop;
    this.buffers = loop.driver.buffers;
    this.transport = loop.driver;
    this.#gather = gather;
  }

  /** Takes an accepted or dialled socket into service. */
  adopt(socket: Socket, protocol: Protocol | null): void {
    this.socket = socket;
    this.protocol = protocol;
    socket.handler = this;
  }

  get open(): boolean {
    return this.socket !== null;
  }

  get memory(): Uint8Array {
    return this.buffers.memory;
  }

  resume(): void {
    if (this.socket !== null) this.transport.startReceive(this.socket);
  }

  pause(): void {
    if (this.socket !== null) this.transport.stopReceive(this.socket);
  }

  /** Sets the deadline where it may be earlier than the one in force. */
  expireBy(deadlineMs: number): void {
    this.deadlineMs = deadlineMs;
    this.loop.timers.watch(this);
  }

  /**
   * Offset of at least `bytes` (≤ BUFFER_BYTES) writable bytes of the open buffer, up to `reservedEnd`; −1 when the
   * process is out of buffers. Follow by `commit`.
   */
  reserve(bytes: number): number {
    if (this.#out >= 0) {
      if (this.reservedEnd - this.#outEnd >= bytes) return this.#outEnd;
      this.flush();
    }
    const buffer = this.buffers.allocate();
    if (buffer < 0) return -1;
    this.#out = buffer;
    this.#outStart = buffer * BUFFER_BYTES;
    this.#outEnd = this.#outStart;
    if (!this.#gathered) {
      this.#gathered = true;
      this.#gather.add(this);
    }
    return this.#outEnd;
  }

  /** First offset behind the open buffer. */
  get reservedEnd(): number {
    return (this.#out + 1) * BUFFER_BYTES;
  }

  /** What was written since `reserve` ends at `end`. */
  commit(end: number): void {
    this.#outEnd = end;
  }

  /** Writes a region; its buffer is retained for as long as it is needed. False when the process is out of buffers. */
  write(buffer: number, start: number, end: number): boolean {
    const bytes = end - start;
    if (bytes <= COPY_BYTES_MAX && (this.#out < 0 || this.reservedEnd - this.#outEnd >= bytes)) {
      const at = this.reserve(bytes);
      if (at < 0) return false;
      this.memory.copyWithin(at, start, end);
      this.#outEnd = at + bytes;
      return true;
    }
    this.flush();
    this.handed++;
    if (this.socket !== null) this.transport.send(this.socket, buffer, start, end);
    return true;
  }

  /** Straight to the socket, in front of everything that is written, TLS included. False: no buffer, or no connection. */
  sendAhead(bytes: Uint8Array): boolean {
    const buffer = this.socket === null ? -1 : this.buffers.allocate();
    if (buffer < 0 || this.socket === null) return false;
    const start = buffer * BUFFER_BYTES;
    this.memory.set(bytes, start);
    this.loop.driver.send(this.socket, buffer, start, start + bytes.length);
    this.buffers.release(buffer);
    return true;
  }

  /** Bytes from elsewhere, behind what was written. False: no buffer. */
  writeCopy(bytes: Uint8Array): boolean {
    for (let from = 0; from < bytes.length; from += BUFFER_BYTES) {
      const piece = bytes.subarray(from, from + BUFFER_BYTES);
      const buffer = this.buffers.allocate();
      if (buffer < 0) return false;
      const start = buffer * BUFFER_BYTES;
      this.memory.set(piece, start);
      const written = this.write(buffer, start, start + piece.length);
      this.buffers.release(buffer);
      if (!written) return false;
    }
    return true;
  }

  /** Hands the open buffer to the kernel. Called for every gathered connection before the loop waits. */
  flush(): void {
    if (this.#out < 0) return;
    const buffer = this.#out;
    this.#out = -1;
    this.handed++;
    if (this.socket !== null && this.#outEnd > this.#outStart) {
      this.transport.send(this.socket, buffer, this.#outStart, this.#outEnd);
    }
    this.buffers.release(buffer);
  }

  /** The gather's call at the end of the turn. */
  flushGathered(): void {
    this.#gathered = false;
    this.flush();
  }

  /** Bytes written and not yet in the kernel. */
  get queuedBytes(): number {
    return this.socket === null ? 0 : this.socket.queuedBytes + (this.#out < 0 ? 0 : this.#outEnd - this.#outStart);
  }

  /**
   * Since the last call, has the peer taken any of what it is to get? The kernel is asked: it holds megabytes for a slow
   * reader, and makes room for more of ours only when a third of that has gone.
   */
  tookSome(): boolean {
    const queued = this.queuedBytes;
    const taken = this.socket === null || queued === 0 ? -1 : this.loop.driver.acknowledgedBytes(this.socket);
    const seen = this.#takenSeen;
    const took = queued < this.#queuedSeen || (seen >= 0 && taken > seen);
    this.#queuedSeen = queued;
    this.#takenSeen = taken;
    return took;
  }

  /** What comes may go to `other` within the kernel from now on, if nothing stands between them and the driver. */
  splice(other: Connection, handler: SpliceHandler): void {
    const { driver } = this.loop;
    if (this.transport !== driver || other.transport !== driver) return;
    other.flush();
    if (this.socket !== null && other.socket !== null) driver.splice(this.socket, other.socket, handler);
  }

  /** FIN behind everything written. */
  end(): void {
    if (this.socket === null) return;
    this.flush();
    this.transport.shutdown(this.socket);
  }

  /** Closes now; what is queued and not yet in the kernel is lost. */
  close(): void {
    const socket = this.#forget();
    if (socket !== null) this.transport.close(socket);
  }

  /** Closes by RST: the peer sees that what it has is not the whole. */
  reset(): void {
    const socket = this.#forget();
    if (socket !== null) this.transport.reset(socket);
  }

  /** Ends it as if the peer had broken it: by RST, and whoever serves it is told. */
  expel(): void {
    const { protocol } = this;
    this.reset();
    protocol?.onBroken(ECONNABORTED);
  }

  #forget(): Socket | null {
    const socket = this.socket;
    if (socket === null) return null;
    this.socket = null;
    this.protocol = null;
    this.loop.timers.forget(this);
    if (this.#out >= 0) {
      this.buffers.release(this.#out);
      this.#out = -1;
    }
    return socket;
  }

  /**
   * Closes in a way that lets the peer read the answer: sends all and FIN, then discards what still comes until the peer
   * ends too, or LINGER_MS have passed. Closing at once would answer bytes on the way with RST, which destroys the answer
   * at the receiver (RFC 9112 §9.6). `patienceMs`: how long a peer may take nothing of what is still to be sent.
   */
  linger(patienceMs: number): void {
    if (this.socket === null) return;
    this.end();
    this.tookSome();
    this.protocol = new Linger(this, patienceMs);
    this.resume();
    this.expireBy(this.loop.nowMs + (this.queuedBytes > 0 ? patienceMs : LINGER_MS));
  }

  onConnect(_socket: Socket, error: number): void {
    this.protocol?.onConnected(error);
  }

  onReceive(_socket: Socket, buffer: number, start: number, end: number): void {
    this.protocol?.onBytes(buffer, start, end);
  }

  onEnd(): void {
    this.peerEnded = true;
    this.protocol?.onEnd();
  }

  onSent(): void {
    this.protocol?.onDrained();
  }

  onError(_socket: Socket, error: number): void {
    const protocol = this.protocol;
    this.close();
    protocol?.onBroken(error);
  }

  onDeadline(nowMs: number): void {
    this.protocol?.onDeadline(nowMs);
  }
}

class Linger implements Protocol {
  readonly #connection: Connection;
  readonly #patienceMs: number;
  #discarded = 0;

  constructor(connection: Connection, patienceMs: number) {
    this.#connection = connection;
    this.#patienceMs = patienceMs;
  }

  onConnected(): void {}

  onBytes(_buffer: number, start: number, end: number): void {
    this.#discarded += end - start;
    if (this.#discarded <= HIGH_WATERMARK_BYTES) return;
    if (this.#connection.queuedBytes > 0) this.#connection.pause();
    else this.#connection.close();
  }

  /** A peer that ends may well be reading still: what is queued is its answer. */
  onEnd(): void {
    if (this.#connection.queuedBytes === 0) this.#connection.close();
  }

  /** A peer that has ended already will not answer our end. */
  onDrained(): void {
    if (this.#connection.peerEnded || this.#discarded > HIGH_WATERMARK_BYTES) this.#connection.close();
    else this.#connection.expireBy(this.#connection.loop.nowMs + LINGER_MS);
  }

  onBroken(): void {}

  onDeadline(nowMs: number): void {
    if (this.#connection.queuedBytes === 0 || !this.#connection.tookSome()) {
      this.#connection.close();
      return;
    }
    this.#connection.expireBy(nowMs + this.#patienceMs);
  }
}
