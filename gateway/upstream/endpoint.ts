/**
 * One address that requests can be sent to, with its idle connections. It outlives snapshots: an endpoint that stays in
 * the configuration keeps its connections when the configuration changes.
 *
 * Idle connections are kept last in, first out: the one used last is the least likely to have been closed, and what is
 * not needed ages and goes. Between two exchanges a connection rests for a turn of the loop, in which the kernel is asked
 * whether it is still what it seems: closed ones leave, and so do those on which something came that nobody had asked for.
 */
import type { ClientTls } from "#net/tls/client-tls.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import type { UpstreamStream } from "./stream.ts";

/** Is told when a place may have become free. */
interface PlaceWatcher {
  wake(): void;
}

export interface EndpointTls {
  readonly client: ClientTls;
  /** The name that its certificate must have, or its address; unless `client` says another. */
  readonly host: string;
}

export class Endpoint {
  /** As configured: `127.0.0.1:9001`, `unix:/run/app.sock`. */
  readonly address: string;
  /** Address and identity: what tells it from others. */
  readonly key: string;
  /** struct sockaddr. */
  readonly sockaddr: Uint8Array;
  /** How connections are encrypted, and what the endpoint is called there; null: they are not. */
  readonly tls: EndpointTls | null;
  readonly #idle: UpstreamStream[] = [];
  /** Put back under the number of turn `#restingTurn`: not to be taken under the same. */
  #resting: UpstreamStream[] = [];
  #restingTurn = -1;
  readonly #queues: PlaceWatcher[] = [];
  /** Connections being made or in use. */
  active = 0;
  /** Idle connections kept; the most recent snapshot's value. */
  idleMax: number;
  /** Snapshots that name it; at 0 nothing is kept. */
  references = 0;

  constructor(address: string, sockaddr: Uint8Array, idleMax: number, key = address, tls: EndpointTls | null = null) {
    this.address = address;
    this.key = key;
    this.sockaddr = sockaddr;
    this.tls = tls;
    this.idleMax = idleMax;
  }

  /** Connects, and shakes hands where that is asked for; then `protocol.onConnected` is told 0, an errno, TLS_FAILED or TLS_UNTRUSTED. */
  connect(connection: Connection, protocol: Protocol): void {
    const { tls, sockaddr } = this;
    if (tls === null) connection.adopt(connection.loop.driver.connect(sockaddr, connection), protocol);
    else tls.client.dial(connection, sockaddr, tls.host, protocol);
  }

  /** The same for a stream that is not HTTP, and does not say that it is. */
  connectStream(connection: Connection, protocol: Protocol): void {
    const { tls, sockaddr } = this;
    if (tls === null) this.connect(connection, protocol);
    else tls.client.dialStream(connection, sockaddr, tls.host, protocol);
  }

  /** Idle connections. */
  get idleCount(): number {
    return this.#idle.length + this.#resting.length;
  }

  /**
   * An idle connection, or undefined. `turn`: of the loop. One that came back under this number has not been idle while
   * the kernel was asked: bytes that stand behind its last response may be on their way up.
   */
  take(turn: number): UpstreamStream | undefined {
    if (this.#restingTurn !== turn) this.#rested();
    return this.#idle.pop();
  }

  /** Keeps a connection that has served; the one idle for the longest time goes when there are too many. */
  put(connection: UpstreamStream, turn: number): void {
    if (this.#restingTurn !== turn) this.#rested();
    this.#restingTurn = turn;
    this.#resting.push(connection);
    if (this.idleCount > this.idleMax) (this.#idle.shift() ?? this.#resting.shift())?.discard();
  }

  /** Forgets an idle connection that is no more. */
  drop(connection: UpstreamStream): void {
    for (const list of [this.#resting, this.#idle]) {
      const at = list.lastIndexOf(connection);
      if (at >= 0) list.splice(at, 1);
    }
  }

  /** A connection is made, or taken into use. */
  enter(): void {
    this.active++;
  }

  /** One is not in use any more: somebody may wait for that. */
  leave(): void {
    this.active--;
    this.wake();
  }

  /** Upstreams whose requests may wait for this endpoint are told that there may be a place. */
  wake(): void {
    if (this.#queues.length === 0) return;
    for (const queue of this.#queues) queue.wake();
  }

  /** From now on `queue` hears of places that become free, until `unwatch`. */
  watch(queue: PlaceWatcher): void {
    this.#queues.push(queue);
  }

  unwatch(queue: PlaceWatcher): void {
    const at = this.#queues.indexOf(queue);
    if (at >= 0) this.#queues.splice(at, 1);
  }

  /** Closes what is idle. */
  drain(): void {
    for (const connection of [...this.#idle.splice(0), ...this.#resting.splice(0)]) connection.discard();
  }

  #rested(): void {
    for (let i = 0; i < this.#resting.length; i++) this.#idle.push(this.#resting[i] as UpstreamStream);
    this.#resting.length = 0;
  }
}
