/** Where one exchange goes: the upstream, the endpoint being tried, and how many are left to try. */
import { UPSTREAM_CONNECTS } from "#observe/counters.ts";
import { Connection } from "#net/connection.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import { Http1Upstream } from "#upstream/http1-upstream.ts";
import type { ResponseSink, UpstreamStream, UpstreamTimeouts } from "#upstream/stream.ts";
import type { Upstream } from "#upstream/upstream.ts";
import type { WorkerContext } from "./context.ts";
import type { Engine, Route } from "./engine.ts";
import { NO_ENDPOINT, NO_ORIGINAL, OK, type Outcome } from "./outcomes.ts";

/** Endpoints one exchange may try to connect to. */
const TRIES_MAX = 3;

const ORIGINAL_TIMEOUTS: UpstreamTimeouts = { connectMs: 5000, requestMs: 60_000, idleMs: 30_000 };

export class Target {
  readonly #worker: WorkerContext;
  #upstream: Upstream | null = null;
  #endpoint: Endpoint | null = null;
  #index = 0;
  #tries = 0;
  #fresh = false;
  /** The connection of `acquire` is established. */
  connected = false;

  constructor(worker: WorkerContext) {
    this.#worker = worker;
  }

  /** The endpoint being used, for the log; empty before `choose`. */
  get address(): string {
    return this.#endpoint?.address ?? "";
  }

  /** OK, or why there is nowhere to go. `original`: a steered client's destination. */
  choose(route: Route, original: string | null): Outcome {
    if (route.split === null) {
      if (original === null) return NO_ORIGINAL;
      this.#endpoint = this.#worker.endpoints.dynamic(original);
      return OK;
    }
    return this.#use(pick(route));
  }

  /** The same for an upstream given by its index in the snapshot. */
  chooseUpstream(engine: Engine, index: number): Outcome {
    const upstream = engine.upstreams[index];
    return upstream === undefined ? NO_ENDPOINT : this.#use(upstream);
  }

  #use(upstream: Upstream): Outcome {
    this.#upstream = upstream;
    this.#index = upstream.balancer.pick();
    if (this.#index < 0) return NO_ENDPOINT;
    this.#endpoint = upstream.balancer.at(this.#index);
    return OK;
  }

  /** A connection to the chosen endpoint: an idle one, or a new one that `sink` hears of. */
  acquire(sink: ResponseSink, engine: Engine): UpstreamStream {
    const endpoint = this.#endpoint as Endpoint;
    const timeouts = this.#upstream === null ? ORIGINAL_TIMEOUTS : this.#upstream.timeouts;
    const idle = this.#fresh ? undefined : endpoint.take(this.#worker.loop.turns);
    if (idle !== undefined) {
      idle.begin(sink, timeouts);
      this.connected = true;
      return idle;
    }
    const { loop, gather, counters, scratch } = this.#worker;
    counters.add(UPSTREAM_CONNECTS, 1);
    const stream = new Http1Upstream(endpoint, new Connection(loop, gather), timeouts, engine.limits, scratch);
    this.connected = false;
    stream.dial(sink);
    return stream;
  }

  /** After a failed connect: the next endpoint, if there is one that was not tried. */
  next(): boolean {
    const upstream = this.#upstream;
    this.#tries++;
    if (upstream === null || this.#tries >= Math.min(upstream.balancer.size, TRIES_MAX)) return false;
    this.#index = upstream.balancer.after(this.#index);
    this.#endpoint = upstream.balancer.at(this.#index);
    return true;
  }

  /** After an idle connection turned out to be dead: the same endpoint over a fresh one, once. */
  again(): boolean {
    if (this.#fresh) return false;
    this.#fresh = true;
    return true;
  }

  reset(): void {
    this.#upstream = null;
    this.#endpoint = null;
    this.#tries = 0;
    this.#fresh = false;
    this.connected = false;
  }
}

function pick(route: Route): Upstream {
  const split = route.split ?? [];
  const last = split.length - 1;
  if (last > 0) {
    let ticket = Math.random() * route.splitSum;
    for (let i = 0; i < last; i++) {
      const one = split[i] as (typeof split)[number];
      ticket -= one.weight;
      if (ticket < 0) return one.upstream;
    }
  }
  return (split[last] as (typeof split)[number]).upstream;
}
