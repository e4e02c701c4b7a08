/** One listening socket of a program: every accepted connection becomes an InboundStream. */
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { CONNECTIONS_ACCEPTED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED } from "#observe/counters.ts";
import type { ListenSpec } from "#pipeline/program.ts";
import { ConnectionInfo } from "#pipeline/sockets/connection-info.ts";
import { InboundStream } from "#pipeline/sockets/inbound-stream.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { ScriptRuntime } from "./script-runtime.ts";

const STREAMS_MAX = 65_536;
const IDLE_MS = 600_000;

export class ScriptListener implements ConnectionHandler {
  readonly #worker: WorkerContext;
  readonly #runtime: ScriptRuntime;
  readonly #spec: ListenSpec;
  readonly streams = new Set<InboundStream>();
  readonly #left = (stream: InboundStream): void => {
    if (this.streams.delete(stream)) this.#worker.counters.add(CONNECTIONS_OPEN, -1);
  };

  constructor(worker: WorkerContext, runtime: ScriptRuntime, spec: ListenSpec) {
    this.#worker = worker;
    this.#runtime = runtime;
    this.#spec = spec;
  }

  onConnection(connection: Connection, socket: Socket, peer: Peer): void {
    const { counters, banned, originalOf } = this.#worker;
    const { pipeline, options } = this.#spec;
    counters.add(CONNECTIONS_ACCEPTED, 1);
    if (banned(peer) || this.streams.size >= (options.streamsMax ?? STREAMS_MAX)) {
      counters.add(CONNECTIONS_REFUSED, 1);
      connection.reset();
      return;
    }
    counters.add(CONNECTIONS_OPEN, 1);
    const original = options.transparent === true ? originalOf(peer, socket.fd) : null;
    const inbound = new ConnectionInfo(connection, peer, this.#runtime, original);
    const idleMs = options.idleTimeoutMs ?? IDLE_MS;
    const stream = new InboundStream(connection, inbound, pipeline, this.#runtime, idleMs, this.#left);
    this.streams.add(stream);
    stream.start();
  }
}
