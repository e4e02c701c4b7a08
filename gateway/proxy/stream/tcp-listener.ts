/** TCP, and TLS passed through, on a listener: every accepted connection becomes a TcpSession. */
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { CONNECTIONS_ACCEPTED, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import type { ListenerContext } from "#proxy/context.ts";
import { TcpSession } from "./tcp-session.ts";

export class TcpListener implements ConnectionHandler {
  readonly #listener: ListenerContext;

  constructor(listener: ListenerContext) {
    this.#listener = listener;
  }

  onConnection(connection: Connection, _socket: Socket, peer: Peer): void {
    const { worker } = this.#listener;
    worker.counters.add(CONNECTIONS_ACCEPTED, 1);
    if (worker.banned(peer)) {
      worker.counters.add(CONNECTIONS_REFUSED, 1);
      connection.close();
      return;
    }
    new TcpSession(this.#listener, connection, peer).start();
  }
}
