/** TCP, and TLS passed through, on a listener: every accepted connection becomes a TcpSession. */
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { CONNECTIONS_ACCEPTED, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import { isShort } from "#proxy/admission.ts";
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
    const { settings } = this.#listener.engine.snapshot;
    if (worker.banned(peer) || isShort(worker.buffers) || !worker.clients.admit(peer.ip, settings)) {
      worker.counters.add(CONNECTIONS_REFUSED, 1);
      // By RST: a refused connection must not leave a port behind that waits for its end.
      connection.reset();
      return;
    }
    new TcpSession(this.#listener, connection, peer).start();
  }
}
