/** Whether an endpoint accepts a connection, and shakes hands where it speaks TLS. */
import { Connection, type Protocol } from "#net/connection.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import { connectFault, type Probe } from "./probe.ts";

/** How long an endpoint may take to take that. */
const PATIENCE_MS = 1000;

export class TcpProbe implements Probe, Protocol {
  readonly #endpoint: Endpoint;
  readonly #connection: Connection;
  readonly #introduction: Uint8Array | null;
  readonly #told: (fault: string) => void;

  constructor(
    endpoint: Endpoint,
    context: UpstreamContext,
    introduction: Uint8Array | null,
    told: (fault: string) => void,
  ) {
    this.#endpoint = endpoint;
    this.#introduction = introduction;
    this.#connection = new Connection(context.loop, context.gather);
    this.#told = told;
  }

  start(): void {
    this.#endpoint.connectStream(this.#connection, this);
    // Without TLS nothing is said, so nobody has to be named. Without a buffer the handshake fails, which is the fault then.
    if (this.#introduction !== null && this.#endpoint.tls !== null) this.#connection.sendAhead(this.#introduction);
  }

  cancel(): void {
    this.#connection.close();
  }

  onConnected(error: number): void {
    // The last of a handshake is on its way: the endpoint is to see it, and that this is all.
    if (error === 0 && this.#connection.tls !== null) this.#connection.linger(PATIENCE_MS);
    else this.#connection.close();
    this.#told(error === 0 ? "" : connectFault(error));
  }

  onBroken(error: number): void {
    this.#told(connectFault(error));
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrained(): void {}
  onDeadline(): void {}
}
