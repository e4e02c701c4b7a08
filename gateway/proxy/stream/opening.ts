/** A stream that begins, as the filters of its route see it; they may send it elsewhere until its endpoint is chosen. */
import type { Peer } from "#net/listener.ts";
import type { TlsPeer } from "#net/tls/peer.ts";
import type { OpeningStream } from "#pipeline/stream-filter.ts";
import { detourTo, type Detour } from "#proxy/detour.ts";
import type { Engine } from "#proxy/engine.ts";

export class Opening implements OpeningStream {
  readonly #engine: Engine;
  readonly protocol: OpeningStream["protocol"];
  readonly clientIp: Uint8Array;
  readonly clientPort: number;
  readonly serverName: string;
  readonly originalDestination: string;
  readonly routeName: string;
  readonly tls: TlsPeer | null;
  detour: Detour | null = null;

  constructor(
    engine: Engine,
    protocol: OpeningStream["protocol"],
    client: Pick<Peer, "ipBytes" | "port">,
    serverName: string,
    original: string | null,
    routeName: string,
    tls: TlsPeer | null,
  ) {
    this.#engine = engine;
    this.protocol = protocol;
    this.clientIp = client.ipBytes;
    this.clientPort = client.port;
    this.serverName = serverName;
    this.originalDestination = original ?? "";
    this.routeName = routeName;
    this.tls = tls;
  }

  routeTo(upstream: string, endpoint: string): boolean {
    this.detour = detourTo(this.#engine, upstream, endpoint);
    return this.detour !== null;
  }
}
