/** One stream as its guest sees it: where it comes from and goes to, what is kept of it, and how it ended. */
import type { OpeningStream, StreamEnd } from "#pipeline/stream-filter.ts";
import type { Kept } from "#wasm/guest/kept.ts";

export class StreamState implements OpeningStream, Kept {
  readonly #opening: OpeningStream;
  readonly protocol: OpeningStream["protocol"];
  readonly clientIp: Uint8Array;
  readonly clientPort: number;
  readonly serverName: string;
  readonly tls: OpeningStream["tls"];
  readonly originalDestination: string;
  readonly routeName: string;
  kept: Uint8Array | null = null;
  ended: StreamEnd | null = null;

  constructor(opening: OpeningStream) {
    this.#opening = opening;
    this.protocol = opening.protocol;
    this.clientIp = opening.clientIp;
    this.clientPort = opening.clientPort;
    this.serverName = opening.serverName;
    this.tls = opening.tls;
    this.originalDestination = opening.originalDestination;
    this.routeName = opening.routeName;
  }

  routeTo(upstream: string, endpoint: string): boolean {
    return this.#opening.routeTo(upstream, endpoint);
  }
}
