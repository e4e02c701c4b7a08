/** Where one stream goes: the upstream, the endpoint being tried, and how many are left to try. */
import type { WorkerContext } from "#proxy/context.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import type { Upstream } from "#upstream/upstream.ts";
import { NO_ENDPOINT, NO_ORIGINAL, type StreamOutcome } from "./outcomes.ts";
import type { StreamRoute } from "./stream-route.ts";

/** Endpoints one stream may try to connect to. */
const TRIES_MAX = 3;
/** A steered client waits no longer than it would have. */
const ORIGINAL_CONNECT_MS = 5000;
const CHOSEN = -1;

export class StreamTarget {
  #upstream: Upstream | null = null;
  #endpoint: Endpoint | null = null;
  #index = 0;
  #tries = 0;

  /** −1, or why there is nowhere to go. `original`: a steered client's destination. */
  choose(worker: WorkerContext, route: StreamRoute, original: string | null): StreamOutcome | -1 {
    if (route.split === null) {
      if (original === null) return NO_ORIGINAL;
      this.#endpoint = worker.endpoints.dynamic(original);
      return CHOSEN;
    }
    this.#upstream = pick(route);
    this.#index = this.#upstream.balancer.pick();
    if (this.#index < 0) return NO_ENDPOINT;
    this.#endpoint = this.#upstream.balancer.at(this.#index);
    return CHOSEN;
  }

  /** After a failed connect: another endpoint, if there is one that was not tried. */
  next(): boolean {
    const upstream = this.#upstream;
    this.#tries++;
    if (upstream === null || this.#tries >= Math.min(upstream.balancer.size, TRIES_MAX)) return false;
    this.#index = upstream.balancer.after(this.#index);
    this.#endpoint = upstream.balancer.at(this.#index);
    return true;
  }

  /** struct sockaddr of the endpoint. */
  get sockaddr(): Uint8Array {
    return (this.#endpoint as Endpoint).sockaddr;
  }

  /** For the log; empty before `choose`. */
  get address(): string {
    return this.#endpoint?.address ?? "";
  }

  get connectMs(): number {
    return this.#upstream?.timeouts.connectMs ?? ORIGINAL_CONNECT_MS;
  }

  get proxyProtocol(): "v1" | "v2" | null {
    return this.#upstream?.proxyProtocol ?? null;
  }

  /** A connection to the endpoint is being made or in use; to be told again, with −1, when it is not. */
  count(change: 1 | -1): void {
    const endpoint = this.#endpoint as Endpoint;
    endpoint.active += change;
  }
}

function pick(route: StreamRoute): Upstream {
  const split = route.split ?? [];
  const last = split.length - 1;
  let ticket = last > 0 ? Math.random() * route.splitSum : 0;
  for (let i = 0; i < last; i++) {
    const one = split[i] as (typeof split)[number];
    ticket -= one.weight;
    if (ticket < 0) return one.upstream;
  }
  return (split[last] as (typeof split)[number]).upstream;
}
