/**
 * One address that requests can be sent to, with its idle connections. It outlives snapshots: an endpoint that stays in
 * the configuration keeps its connections when the configuration changes.
 *
 * Idle connections are kept last in, first out: the one used last is the least likely to have been closed, and what is
 * not needed ages and goes.
 */
import type { UpstreamStream } from "./stream.ts";

export class Endpoint {
  /** As configured: `127.0.0.1:9001`, `unix:/run/app.sock`. */
  readonly address: string;
  /** struct sockaddr. */
  readonly sockaddr: Uint8Array;
  readonly idle: UpstreamStream[] = [];
  /** Connections being made or in use. */
  active = 0;
  /** Idle connections kept; the most recent snapshot's value. */
  idleMax: number;
  /** Snapshots that name it; at 0 nothing is kept. */
  references = 0;

  constructor(address: string, sockaddr: Uint8Array, idleMax: number) {
    this.address = address;
    this.sockaddr = sockaddr;
    this.idleMax = idleMax;
  }

  /** Closes what is idle. */
  drain(): void {
    for (const connection of this.idle.splice(0)) connection.discard();
  }
}
