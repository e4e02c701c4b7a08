/** What a listener's connections are given to: the protocol of its specification, behind a PROXY header where it asks for one. */
import { defined } from "#core/assert.ts";
import type { ConnectionHandler } from "#net/listener.ts";
import { TlsAcceptor } from "#net/tls/acceptor.ts";
import { ProxyReceiver } from "#net/proxy-protocol/receiver.ts";
import { CONNECTIONS_OPEN } from "#observe/counters.ts";
import { PROXY_HEADERS, PROXY_HEADERS_REFUSED } from "#observe/stream-counters.ts";
import { isShort } from "#proxy/admission.ts";
import type { ListenerContext } from "#proxy/context.ts";
import type { ExchangePool } from "#proxy/exchange-pool.ts";
import { Http1Listener } from "#proxy/http1-listener.ts";
import { TcpListener } from "#proxy/stream/tcp-listener.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";

/** For connections from now on; of the engine that `listener` has now, and of those that follow. */
export function connectionHandler(listener: ListenerContext, exchanges: ExchangePool): ConnectionHandler {
  const spec = specOf(listener);
  const http = spec === undefined || spec.protocol === "http";
  const plain = http ? new Http1Listener(listener, exchanges) : new TcpListener(listener);
  const handler = spec?.tls === undefined ? plain : encrypted(listener, http, plain);
  if (spec?.proxyProtocol === undefined) return handler;
  const { worker, connections } = listener;
  return new ProxyReceiver(
    handler,
    { ...spec.proxyProtocol, timeoutMs: () => headerTimeoutMs(listener) },
    {
      waiting: (one) => {
        connections.add(one);
        worker.counters.add(CONNECTIONS_OPEN, 1);
      },
      settled: (one) => {
        worker.counters.add(CONNECTIONS_OPEN, -1);
        connections.delete(one);
        if (connections.size === 0) listener.emptied();
      },
      accepted: () => worker.streams.add(PROXY_HEADERS, 1),
      refused: () => worker.streams.add(PROXY_HEADERS_REFUSED, 1),
    },
  );
}

function specOf({ engine, index }: ListenerContext): ListenerSpec | undefined {
  return engine.snapshot.listeners[index];
}

/** TLS behind it has what is left of its own time, not another one. */
function headerTimeoutMs(listener: ListenerContext): number {
  const { headTimeoutMs } = listener.engine.snapshot.settings;
  return Math.min(headTimeoutMs, specOf(listener)?.tls?.handshakeTimeoutMs ?? headTimeoutMs);
}

/** Of the engine in force when a client says what it wants. */
function encrypted(listener: ListenerContext, speaksHttp: boolean, plain: ConnectionHandler): ConnectionHandler {
  const { worker } = listener;
  return new TlsAcceptor(
    {
      records: worker.tls,
      speaksHttp,
      settings: () => defined(listener.engine.tls.servers[listener.index], "TLS of a listener"),
      admit: (peer) => !worker.banned(peer) && worker.clients.admit(peer.ip, listener.engine.snapshot.settings),
      left: (peer) => worker.clients.left(peer.ip),
      isShort: () => isShort(worker.buffers),
      refused: (peer, reason, detail) =>
        worker.log(`listener ${listener.name}, client ${peer.ip}: TLS handshake refused (${reason}): ${detail}`),
    },
    plain,
  );
}

/** Whether a listener that keeps its socket needs another handler. */
export function speaksOtherwise(before: ListenerSpec | undefined, after: ListenerSpec | undefined): boolean {
  const meaning = (spec: ListenerSpec | undefined) =>
    JSON.stringify([spec?.protocol, spec?.proxyProtocol, spec?.tls === undefined]);
  return meaning(before) !== meaning(after);
}
