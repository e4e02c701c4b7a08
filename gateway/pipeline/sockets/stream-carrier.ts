/** A stream of a pipeline that carries a connection (`#net/stream-transport.ts`): bytes one way, back-pressure the other. */
import { ECONNRESET } from "#core/errno.ts";
import { Connection } from "#net/connection.ts";
import { carriedSocket, STREAM_TRANSPORT, type StreamCarrier } from "#net/stream-transport.ts";
import { ENDED, FINISHED, RESET, type Ending } from "#pipeline/events/ending.ts";
import { NOWHERE, type Sink } from "#pipeline/events/sink.ts";
import { NOBODY, type Source } from "#pipeline/flow.ts";
import type { Runtime } from "#pipeline/runtime.ts";

export class StreamEnds implements StreamCarrier, Sink {
  readonly connection: Connection;
  readonly #runtime: Runtime;
  /** Where what the connection sends goes. */
  #out: Sink;
  /** Who brings what the connection receives; the one that is stopped. */
  #source: Source = NOBODY;
  #stopped: Source | null = null;

  constructor(runtime: Runtime, out: Sink) {
    this.#runtime = runtime;
    this.#out = out;
    this.connection = new Connection(runtime.loop, runtime.gather);
    this.connection.adopt(carriedSocket(this), null);
    this.connection.transport = STREAM_TRANSPORT;
  }

  // What comes.

  messageStart(): void {}

  data(buffer: number, start: number, end: number): void {
    this.#source = this.#runtime.flow.current;
    const { socket } = this.connection;
    if (socket !== null) socket.handler?.onReceive(socket, buffer, start, end);
  }

  messageEnd(): void {}

  streamEnd(ending: Ending): void {
    const { socket } = this.connection;
    if (socket === null) return;
    if (ending === ENDED || ending === FINISHED) socket.handler?.onEnd(socket);
    else socket.handler?.onError(socket, ECONNRESET);
  }

  // What the connection asks for.

  send(buffer: number, start: number, end: number): void {
    this.#out.data(buffer, start, end);
  }

  shutdown(): void {
    this.#end(ENDED);
  }

  close(): void {
    this.resume();
    this.#end(FINISHED);
  }

  reset(): void {
    this.resume();
    this.#end(RESET);
  }

  pause(): void {
    if (this.#stopped !== null) return;
    this.#stopped = this.#source;
    this.#stopped.pause();
  }

  resume(): void {
    const stopped = this.#stopped;
    this.#stopped = null;
    stopped?.resume();
  }

  #end(ending: Ending): void {
    const out = this.#out;
    this.#out = NOWHERE;
    out.streamEnd(ending);
  }
}
