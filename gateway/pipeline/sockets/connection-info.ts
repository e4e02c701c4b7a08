/** `ctx.inbound` of a connection: made with it, worked out when a script asks. */
import { formatIp, ipOf, portOf } from "#core/address.ts";
import type { Connection } from "#net/connection.ts";
import type { Peer } from "#net/listener.ts";
import type { Inbound, RawSocket } from "#pipeline/layout/context.ts";
import type { Runtime } from "#pipeline/runtime.ts";

const NOWHERE = new Uint8Array(0);

export class ConnectionInfo implements Inbound {
  readonly #connection: Connection;
  readonly #peer: Peer;
  readonly #runtime: Runtime;
  readonly originalDestination: string | null;

  constructor(connection: Connection, peer: Peer, runtime: Runtime, originalDestination: string | null) {
    this.#connection = connection;
    this.#peer = peer;
    this.#runtime = runtime;
    this.originalDestination = originalDestination;
  }

  get remoteAddress(): string {
    return this.#peer.ip;
  }

  get remotePort(): number {
    return this.#peer.port;
  }

  get localAddress(): string {
    const address = this.#local();
    return address.length === 0 ? "" : formatIp(ipOf(address));
  }

  get localPort(): number {
    const address = this.#local();
    return address.length === 0 ? 0 : portOf(address);
  }

  get serverName(): string | null {
    return this.#connection.tls?.serverName ?? null;
  }

  get socket(): RawSocket {
    return this.#runtime.rawSocket(this.#connection.socket?.fd ?? -1);
  }

  /** Empty for a Unix socket, and once the connection is closed. */
  #local(): Uint8Array {
    const { socket, loop } = this.#connection;
    if (this.#peer.destination !== undefined && this.#peer.destination !== null) return this.#peer.destination;
    return socket === null || this.#peer.ip === "" ? NOWHERE : loop.driver.localAddress(socket);
  }
}
