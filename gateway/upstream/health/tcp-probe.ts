/** Whether an endpoint accepts a connection. */
import { Connection, type Protocol } from "#net/connection.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import type { Probe } from "./probe.ts";

export class TcpProbe implements Probe, Protocol {
  readonly #endpoint: Endpoint;
  readonly #connection: Connection;
  readonly #told: (fault: string) => void;

  constructor(endpoint: Endpoint, context: UpstreamContext, told: (fault: string) => void) {
    this.#endpoint = endpoint;
    this.#connection = new Connection(context.loop, context.gather);
    this.#told = told;
  }

  start(): void {
    this.#endpoint.connect(this.#connection, this);
  }

  cancel(): void {
    this.#connection.close();
  }

  onConnected(error: number): void {
    this.#connection.close();
    this.#told(error === 0 ? "" : `connect: errno ${error}`);
  }

  onBroken(error: number): void {
    this.#told(`connect: errno ${error}`);
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrained(): void {}
  onDeadline(): void {}
}
