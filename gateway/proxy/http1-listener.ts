/** HTTP/1 on a listener: every accepted connection becomes an Http1Downstream. */
import { parsePrefix, prefixContains, type Prefix } from "#core/address.ts";
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { CONNECTIONS_ACCEPTED, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import type { ListenerContext } from "./context.ts";
import type { Engine } from "./engine.ts";
import type { ExchangePool } from "./exchange-pool.ts";
import { Http1Downstream } from "./http1-downstream.ts";

export class Http1Listener implements ConnectionHandler {
  readonly #listener: ListenerContext;
  readonly #exchanges: ExchangePool;
  /** Of which engine `#trusted` was read. */
  #engine: Engine | null = null;
  #trusted: readonly Prefix[] = [];

  constructor(listener: ListenerContext, exchanges: ExchangePool) {
    this.#listener = listener;
    this.#exchanges = exchanges;
  }

  onConnection(connection: Connection, socket: Socket, peer: Peer): void {
    const listener = this.#listener;
    const { counters } = listener.worker;
    counters.add(CONNECTIONS_ACCEPTED, 1);
    const { banned, clients } = listener.worker;
    if (banned(peer) || !clients.admit(peer.ip, listener.engine.snapshot.settings)) {
      counters.add(CONNECTIONS_REFUSED, 1);
      // By RST: a refused connection must not leave a port behind that waits for its end.
      connection.reset();
      return;
    }
    const original = listener.transparent ? listener.worker.originalOf(peer, socket.fd) : null;
    const downstream = new Http1Downstream(
      connection,
      listener,
      this.#exchanges,
      peer,
      this.#isTrusted(peer),
      original,
    );
    connection.protocol = downstream;
    downstream.start();
  }

  #isTrusted(peer: Peer): boolean {
    const engine = this.#listener.engine;
    if (engine !== this.#engine) {
      this.#engine = engine;
      this.#trusted = engine.snapshot.settings.trustedProxies.map((text) => parsePrefix(text));
    }
    return this.#trusted.some((prefix) => prefixContains(prefix, peer.ipBytes));
  }
}
