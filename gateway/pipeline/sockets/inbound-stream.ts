/** One accepted connection with its pipeline, from the first byte to the last. Owns both. */
import type { Connection } from "#net/connection.ts";
import { ABANDONED } from "#pipeline/events/ending.ts";
import type { Context, Inbound } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import { SocketStream, type SocketOwner } from "./socket-stream.ts";

export class InboundStream implements SocketOwner {
  readonly #stream: SocketStream;
  readonly #instance: Instance;
  readonly #left: (stream: InboundStream) => void;

  /** `left`: the connection is closed. */
  constructor(
    connection: Connection,
    inbound: Inbound,
    pipeline: Pipeline,
    runtime: Runtime,
    idleMs: number,
    left: (stream: InboundStream) => void,
  ) {
    this.#left = left;
    this.#stream = new SocketStream(connection, runtime, this, idleMs);
    const context: Context<object> = { inbound };
    this.#instance = new Instance(pipeline, context, runtime, this.#stream);
    connection.protocol = this.#stream;
  }

  start(): void {
    this.#stream.receiver = this.#instance;
    this.#instance.start();
    this.#stream.begin();
  }

  connected(): void {}

  closed(): void {
    this.#instance.dispose();
    this.#left(this);
  }

  /** The worker leaves: what is under way had its time. */
  abandon(): void {
    this.#instance.break(ABANDONED);
  }
}
