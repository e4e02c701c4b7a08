/** One listening socket of a program: every accepted connection becomes an InboundStream. */
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { TlsAcceptor } from "#net/tls/acceptor.ts";
import type { ServerTls } from "#net/tls/server-tls.ts";
import { CONNECTIONS_ACCEPTED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import type { ListenSpec } from "#pipeline/program.ts";
import { ConnectionInfo } from "#pipeline/sockets/connection-info.ts";
import { InboundStream } from "#pipeline/sockets/inbound-stream.ts";
import { isShort } from "#proxy/admission.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { ScriptRuntime } from "./script-runtime.ts";

const STREAMS_MAX = 65_536;
const IDLE_MS = 600_000;

/** What accepted connections of a listen are given to. `tls`: null: they are plain. */
export function handlerOf(
  worker: WorkerContext,
  runtime: ScriptRuntime,
  spec: ListenSpec,
  tls: ServerTls | null,
): ConnectionHandler {
  const plain = new ScriptListener(worker, runtime, spec);
  return tls === null ? plain : encrypted(worker, tls, plain, spec.address);
}

export class ScriptListener implements ConnectionHandler {
  readonly #worker: WorkerContext;
  readonly #runtime: ScriptRuntime;
  readonly #spec: ListenSpec;
  #open = 0;
  readonly #left = (stream: InboundStream): void => {
    if (!this.#runtime.left(stream)) return;
    this.#open--;
    this.#worker.counters.add(CONNECTIONS_OPEN, -1);
  };

  constructor(worker: WorkerContext, runtime: ScriptRuntime, spec: ListenSpec) {
    this.#worker = worker;
    this.#runtime = runtime;
    this.#spec = spec;
  }

  onConnection(connection: Connection, socket: Socket, peer: Peer): void {
    const { counters, banned } = this.#worker;
    const { pipeline, options } = this.#spec;
    counters.add(CONNECTIONS_ACCEPTED, 1);
    if (banned(peer) || this.#open >= (options.streamsMax ?? STREAMS_MAX)) {
      counters.add(CONNECTIONS_REFUSED, 1);
      connection.reset();
      return;
    }
    counters.add(CONNECTIONS_OPEN, 1);
    const transparent = options.transparent === true || options.steer !== undefined;
    const original = transparent ? this.#runtime.destinations.of(peer, socket.fd) : null;
    const inbound = new ConnectionInfo(connection, peer, this.#runtime, original);
    const idleMs = options.idleTimeoutMs ?? IDLE_MS;
    const stream = new InboundStream(connection, inbound, pipeline, this.#runtime, idleMs, this.#left);
    this.#runtime.streams.add(stream);
    this.#open++;
    stream.start();
  }
}

function encrypted(worker: WorkerContext, server: ServerTls, plain: ConnectionHandler, address: string): TlsAcceptor {
  return new TlsAcceptor(
    {
      records: worker.tls,
      speaksHttp: true,
      settings: () => server,
      admit: (peer) => !worker.banned(peer),
      left: () => {},
      isShort: () => isShort(worker.buffers),
      refused: (peer, reason, detail) =>
        worker.log(`script ${address}, client ${peer.ip}: TLS handshake refused (${reason}): ${detail}`),
    },
    plain,
  );
}
