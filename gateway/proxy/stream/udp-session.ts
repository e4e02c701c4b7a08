/**
 * One client's datagrams: a socket of its own towards the upstream, so that answers find their way back without looking at
 * them. Ends when nothing has come from either side for the idle time, when ICMP says that nobody listens, when the table
 * needs its place, or when the worker leaves.
 */
import { formatAddress } from "#core/address.ts";
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from "#core/errno.ts";
import { DATAGRAM_BYTES_MAX, type DatagramHandler, type DatagramSocket } from "#io/datagram.ts";
import type { Timed } from "#io/timers.ts";
import {
  UDP_BYTES_RECEIVED,
  UDP_BYTES_SENT,
  UDP_DATAGRAMS_DROPPED,
  UDP_DATAGRAMS_RECEIVED,
  UDP_DATAGRAMS_SENT,
} from "#observe/stream-counters.ts";
import { CLOSE, FROM_CLIENT, FROM_UPSTREAM, HOLD, PASS, type StreamLine } from "#pipeline/stream-filter.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Engine } from "#proxy/engine.ts";
import { logStream } from "./log.ts";
import * as outcomes from "./outcomes.ts";
import type { Placed } from "./session-table.ts";
import type { StreamRoute } from "./stream-route.ts";
import type { Taps } from "./taps.ts";
import type { StreamTarget } from "./target.ts";

/** What a session needs of its listener. */
export interface SessionOwner {
  readonly worker: WorkerContext;
  /** Where clients are answered from; null when the listener has stopped. */
  readonly bound: DatagramSocket | null;
  answered(session: UdpSession): void;
  over(session: UdpSession, outcome: outcomes.StreamOutcome): void;
}

export interface SessionOrigin {
  readonly key: string;
  /** struct sockaddr of the client. */
  readonly client: Uint8Array;
  /** Which of our addresses it spoke to, as DatagramSocket has it; null where there is one only. */
  readonly local: Uint8Array | null;
  /** Where a steered client wanted to go, a struct sockaddr; null: to the listener. */
  readonly steeredTo: Uint8Array | null;
}

export class UdpSession implements DatagramHandler, StreamLine, Timed, Placed {
  readonly key: string;
  readonly engine: Engine;
  readonly route: StreamRoute;
  readonly target: StreamTarget;
  readonly #owner: SessionOwner;
  readonly #origin: SessionOrigin;
  readonly #idleMs: number;
  readonly #taps: Taps;
  readonly #startMs: number;
  #upstream: DatagramSocket | null = null;
  #received = 0;
  #sent = 0;

  older: Placed | null = null;
  newer: Placed | null = null;
  answered = false;
  /** The client has asked since it was last answered. */
  owed = false;

  deadlineMs = Number.POSITIVE_INFINITY;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;

  constructor(
    owner: SessionOwner,
    engine: Engine,
    route: StreamRoute,
    target: StreamTarget,
    origin: SessionOrigin,
    idleMs: number,
    taps: Taps,
  ) {
    this.key = origin.key;
    this.engine = engine;
    this.route = route;
    this.target = target;
    this.#owner = owner;
    this.#origin = origin;
    this.#idleMs = idleMs;
    this.#taps = taps;
    this.#startMs = owner.worker.loop.nowMs;
  }

  get steeredTo(): Uint8Array | null {
    return this.#origin.steeredTo;
  }

  /** False: there is no socket to be had, or no way to the endpoint. */
  open(): boolean {
    const { driver } = this.#owner.worker.loop;
    const socket = driver.connectDatagrams(this.target.sockaddr, this);
    if (typeof socket === "number") return false;
    this.#upstream = socket;
    this.#touch();
    this.#owner.worker.loop.timers.watch(this);
    if (this.#taps.any) this.#taps.attached(this);
    return true;
  }

  /** Its struct sockaddr. */
  get client(): Uint8Array {
    return this.#origin.client;
  }

  /** A datagram of the client's, in `from`. */
  forward(from: DatagramSocket): void {
    this.#takes(from.end - from.start);
    const end = this.#taps.any ? this.#tapped(FROM_CLIENT, from) : from.end;
    if (end >= 0) this.#toUpstream(from, from.start, end);
  }

  /** One that came before there was a session for it. */
  forwardLate(bytes: Uint8Array): void {
    this.#takes(bytes.length);
    const made = this.#taps.any ? this.#taps.data(FROM_CLIENT, bytes, 0, bytes.length, false) : PASS;
    if (made === CLOSE) this.close();
    else if (made !== HOLD) this.send(FROM_CLIENT, made === PASS ? bytes : made);
  }

  #takes(bytes: number): void {
    const { streams } = this.#owner.worker;
    this.#touch();
    this.owed = true;
    this.#received += bytes;
    streams.add(UDP_DATAGRAMS_RECEIVED, 1);
    streams.add(UDP_BYTES_RECEIVED, bytes);
  }

  #toUpstream(from: DatagramSocket, start: number, end: number): void {
    const result = this.#upstream?.send(from, start, end) ?? 0;
    if (result < 0) this.#failed(-result);
  }

  onDatagram(socket: DatagramSocket): void {
    const bytes = socket.end - socket.start;
    this.#touch();
    this.owed = false;
    if (!this.answered) this.target.succeeded();
    this.#owner.answered(this);
    const end = this.#taps.any ? this.#tapped(FROM_UPSTREAM, socket) : socket.end;
    if (end >= 0) this.#toClient(socket, socket.start, end, bytes);
  }

  /** `bytes`: what of them is counted. */
  #toClient(from: DatagramSocket, start: number, end: number, bytes: number): void {
    const { streams } = this.#owner.worker;
    const { client, local } = this.#origin;
    const result = this.#owner.bound?.sendTo(from, start, end, client, local) ?? -1;
    if (result < 0) {
      streams.add(UDP_DATAGRAMS_DROPPED, 1);
      return;
    }
    this.#sent += bytes;
    streams.add(UDP_DATAGRAMS_SENT, 1);
    streams.add(UDP_BYTES_SENT, bytes);
  }

  // What filters send by themselves: a datagram that has waited.

  send(direction: 0 | 1, bytes: Uint8Array): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (bytes.length === 0 || bytes.length > DATAGRAM_BYTES_MAX) {
      this.#owner.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
      return;
    }
    const start = upstream.stage(bytes);
    if (direction === FROM_CLIENT) this.#toUpstream(upstream, start, start + bytes.length);
    else this.#toClient(upstream, start, start + bytes.length, bytes.length);
  }

  end(): void {}

  pause(): void {}

  resume(): void {}

  /** By a filter: it refuses the stream. */
  close(): void {
    this.#owner.over(this, outcomes.DENIED);
  }

  /** Through the filters: where the datagram ends then, or −1: it goes no further, and neither does the session if they say so. */
  #tapped(direction: 0 | 1, { memory, start, end }: DatagramSocket): number {
    const made = this.#taps.data(direction, memory, start, end, false);
    if (made === PASS) return end;
    if (made === CLOSE) {
      this.close();
      return -1;
    }
    if (made === HOLD) return -1;
    // In the place of the one that came: it can't be longer.
    if (made.length === 0 || made.length > end - start) {
      this.#owner.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
      return -1;
    }
    memory.set(made, start);
    return start + made.length;
  }

  onDatagramError(_socket: DatagramSocket, error: number): void {
    this.#failed(error);
  }

  onDeadline(): void {
    this.#owner.over(this, outcomes.IDLE_TIMEOUT);
  }

  /** Ends it; the owner does the accounts. */
  leave(outcome: outcomes.StreamOutcome): void {
    const { worker } = this.#owner;
    worker.loop.timers.forget(this);
    this.#upstream?.close();
    this.#upstream = null;
    if (this.#taps.any) {
      this.#taps.closed({
        outcome: outcomes.STREAM_OUTCOMES[outcome] ?? "unknown",
        durationMs: worker.loop.nowMs - this.#startMs,
        bytesReceived: this.#received,
        bytesSent: this.#sent,
        endpoint: this.target.address,
      });
    }
    if (!worker.accessLog.enabled) return;
    const stream = {
      protocol: "UDP" as const,
      client: formatAddress(this.#origin.client),
      serverName: "",
      destination: this.steeredTo === null ? "" : formatAddress(this.steeredTo),
      startMs: this.#startMs,
      bytesReceived: this.#received,
      bytesSent: this.#sent,
      route: this.route.spec.name,
      upstream: this.target.address,
    };
    logStream(worker, stream, outcome);
  }

  /** What ICMP says of an earlier datagram; anything else (no room, too long for the path) costs that one datagram. */
  #failed(error: number): void {
    this.#owner.worker.streams.add(UDP_DATAGRAMS_DROPPED, 1);
    if (error === ECONNREFUSED || error === EHOSTUNREACH || error === ENETUNREACH) {
      this.target.failed();
      this.#owner.over(this, outcomes.UNREACHABLE);
    }
  }

  #touch(): void {
    this.deadlineMs = this.#owner.worker.loop.nowMs + this.#idleMs;
  }
}
