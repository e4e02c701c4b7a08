/**
 * Two connections joined byte for byte, after an upgrade. Each side's end is passed on as an end (half-close); a broken
 * side closes both. A slow reader stops the other side's receive.
 */
import { HIGH_WATERMARK_BYTES, type Connection, type Protocol } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";

interface Side {
  readonly connection: Connection;
  readonly held: HeldRegions;
}

/** The client's side tells its listener when the tunnel has closed. */
interface ClientSide extends Side {
  left(): void;
}

/** Without a byte in either direction for this long, a tunnel is closed. */
const IDLE_MS = 10 * 60_000;

/** Takes both over; what was received behind the heads goes first. */
export function startTunnel(down: ClientSide, up: Side): void {
  const first = new TunnelSide(down.connection, up.connection, down);
  const second = new TunnelSide(up.connection, down.connection, down);
  first.peer = second;
  second.peer = first;
  first.start(down.held);
  second.start(up.held);
}

class TunnelSide implements Protocol {
  readonly #connection: Connection;
  readonly #other: Connection;
  readonly #client: ClientSide;
  peer: TunnelSide | null = null;
  #ended = false;
  #paused = false;

  constructor(connection: Connection, other: Connection, client: ClientSide) {
    this.#connection = connection;
    this.#other = other;
    this.#client = client;
  }

  start(held: HeldRegions): void {
    this.#connection.protocol = this;
    while (held.shift()) {
      this.onBytes(held.buffer, held.start, held.end);
      this.#connection.buffers.release(held.buffer);
    }
    if (!this.#connection.open) return;
    if (!this.#paused) this.#connection.resume();
    this.#connection.expireBy(this.#connection.loop.nowMs + IDLE_MS);
  }

  onConnected(): void {}

  onBytes(buffer: number, start: number, end: number): void {
    this.#touch();
    if (!this.#other.write(buffer, start, end)) {
      this.#closeBoth();
      return;
    }
    if (this.#other.queuedBytes > HIGH_WATERMARK_BYTES && !this.#paused) {
      this.#paused = true;
      this.#connection.pause();
    }
  }

  onEnd(): void {
    this.#ended = true;
    if (this.peer?.hasEnded === true) this.#closeDrained();
    else this.#other.end();
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** What the other side sent is in the kernel: read on there; or close, when that was the last of it. */
  onDrained(): void {
    this.peer?.otherDrained();
    if (this.#ended && this.peer?.hasEnded === true) this.#closeDrained();
  }

  otherDrained(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.resume();
  }

  onBroken(): void {
    this.#closeBoth();
  }

  onDeadline(nowMs: number): void {
    if (nowMs >= this.#connection.deadlineMs) this.#closeBoth();
  }

  #touch(): void {
    const deadlineMs = this.#connection.loop.nowMs + IDLE_MS;
    this.#connection.deadlineMs = deadlineMs;
    this.#other.deadlineMs = deadlineMs;
  }

  /** Both have ended: close as soon as both queues are empty. */
  #closeDrained(): void {
    this.#connection.flush();
    this.#other.flush();
    if (this.#connection.queuedBytes === 0 && this.#other.queuedBytes === 0) this.#closeBoth();
    else this.#other.end();
  }

  #closeBoth(): void {
    this.#connection.close();
    this.#other.close();
    this.#client.left();
  }
}
