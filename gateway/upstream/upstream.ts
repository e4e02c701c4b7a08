/** A named group of endpoints as one snapshot has it. */
import type { UpstreamSpec } from "#snapshot/snapshot.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";
import { RoundRobin } from "./round-robin.ts";
import type { UpstreamTimeouts } from "./stream.ts";

export class Upstream {
  readonly name: string;
  /** Connections begin with a header that names the client; null: they don't. */
  readonly proxyProtocol: "v1" | "v2" | null;
  readonly timeouts: UpstreamTimeouts;
  readonly balancer: RoundRobin;
  readonly #endpoints: readonly Endpoint[];

  constructor(spec: UpstreamSpec, endpoints: Endpoints) {
    this.name = spec.name;
    this.proxyProtocol = spec.proxyProtocol ?? null;
    this.timeouts = spec.timeouts;
    this.#endpoints = spec.endpoints.map((one) => endpoints.acquire(one.address, spec.idleConnectionsMax));
    this.balancer = new RoundRobin(
      spec.endpoints.map((one, i) => ({ endpoint: this.#endpoints[i] as Endpoint, weight: one.weight })),
    );
  }

  /** The snapshot is no longer in force and none of its requests is left. */
  dispose(endpoints: Endpoints): void {
    for (const endpoint of this.#endpoints) endpoints.release(endpoint);
  }
}
