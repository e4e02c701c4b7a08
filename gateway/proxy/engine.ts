/**
 * A snapshot made ready to serve: routers by listener, filter chains by route, upstreams. Immutable but for the state that
 * balancers and filters keep. It is retired when another takes its place, and disposed when its last exchange has ended.
 */
import { HOOK_END, HOOK_REQUEST_HEAD, HOOK_RESPONSE_HEAD, type Filter } from "#pipeline/filter.ts";
import type { Meter } from "#observe/meters.ts";
import type { ClientTls } from "#net/tls/client-tls.ts";
import type { ServerTls } from "#net/tls/server-tls.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import { ConnectRouter } from "#router/connect-router.ts";
import { compileRouter, type Router } from "#router/router.ts";
import { StreamRouter } from "#router/stream-router.ts";
import type { RouteSpec, Snapshot } from "#snapshot/snapshot.ts";
import type { HeadLimits } from "#http/limits.ts";
import type { Endpoints } from "#upstream/endpoints.ts";
import { Upstream } from "#upstream/upstream.ts";
import { ClientCertificateFields } from "./client-certificate.ts";
import { Splits, type Split } from "./split.ts";
import { Forwarding } from "./forwarding.ts";
import { makeStreamRoute, type StreamRoute } from "./stream/stream-route.ts";

export interface Route {
  readonly spec: RouteSpec;
  readonly chain: readonly Filter[];
  readonly hasResponseHooks: boolean;
  readonly hasEndHooks: boolean;
  readonly hasRequestHooks: boolean;
  /** Null: the original destination. */
  readonly split: Split | null;
  /** Of a request; Infinity without a bound. */
  readonly bodyBytesMax: number;
  /** From head to the end of the response; 0: without bound. */
  readonly requestTimeoutMs: number;
  /** Its own over all snapshots; null before its first request here. */
  meter: Meter | null;
}

/** By listener and by upstream; null for those without TLS. They stay their maker's. */
export interface EngineTls {
  readonly servers: readonly (ServerTls | null)[];
  readonly clients: readonly (ClientTls | null)[];
}

export interface Routing {
  /** All of the snapshot's, by the numbers that routers answer with. */
  readonly routes: readonly RouteSpec[];
  /** By listener. */
  readonly routers: readonly Router[];
}

export const NO_TLS: EngineTls = { servers: [], clients: [] };

const NO_FILTERS: readonly Filter[] = [];

export class Engine {
  readonly snapshot: Snapshot;
  readonly tls: EngineTls;
  readonly routing: Routing;
  /** By number; made at their first request, or when there is time (`settling`). */
  readonly #routes: (Route | null)[];
  readonly #chains: readonly (readonly Filter[])[];
  readonly #splits: Splits;
  /** By listener; made for their first CONNECT. */
  readonly #connectRouters: (ConnectRouter | null)[];
  /** By listener; null for those that speak HTTP. */
  readonly streamRouters: readonly (StreamRouter | null)[];
  readonly streamRoutes: readonly StreamRoute[];
  readonly upstreams: readonly Upstream[];
  readonly #upstreamsByName: ReadonlyMap<string, Upstream>;
  readonly limits: HeadLimits;
  readonly forwarding: Forwarding;
  /** Null: no listener passes clients' certificates on. */
  readonly certificateFields: ClientCertificateFields | null;
  /** Exchanges under way, and one for being in force. */
  #references = 1;

  readonly #releaseFilters: () => void;

  /**
   * `chains`, by number, and `streamFilters`: the filters of each of the snapshot's routes; they stay the caller's, who hears by `releaseFilters` when
   * the last exchange that uses them has ended. `routing`: where it is compiled already. Throws PenstockError for an endpoint address that can't be one.
   */
  constructor(
    snapshot: Snapshot,
    chains: readonly (readonly Filter[])[],
    endpoints: Endpoints,
    releaseFilters: () => void,
    streamFilters: readonly (readonly StreamFilter[])[] = [],
    tls: EngineTls = NO_TLS,
    routing: Routing = compiled(snapshot),
  ) {
    this.snapshot = snapshot;
    this.tls = tls;
    this.#releaseFilters = releaseFilters;
    this.limits = snapshot.settings;
    this.forwarding = new Forwarding(snapshot.settings.forwarding);
    this.certificateFields = ClientCertificateFields.of(snapshot.listeners);
    this.upstreams = snapshot.upstreams.map((spec, i) => new Upstream(spec, endpoints, tls.clients[i] ?? null));
    this.#upstreamsByName = new Map(this.upstreams.map((upstream) => [upstream.name, upstream]));
    this.#splits = new Splits(this.upstreams);
    this.#chains = chains;
    this.routing = routing;
    this.#routes = routing.routes.map(() => null);
    this.#connectRouters = snapshot.listeners.map(() => null);
    const streamRoutes = snapshot.streamRoutes ?? [];
    this.streamRoutes = streamRoutes.map((spec, i) => makeStreamRoute(spec, streamFilters[i] ?? [], this.#splits));
    this.streamRouters = snapshot.listeners.map(({ protocol }, i) =>
      protocol === "http" ? null : new StreamRouter(streamRoutes, i),
    );
  }

  /** `number`: as a router of this engine answered it. */
  route(number: number): Route {
    return (this.#routes[number] ??= this.#made(number));
  }

  connectRouter(listener: number): ConnectRouter {
    return (this.#connectRouters[listener] ??= new ConnectRouter(this.routing.routes, listener));
  }

  /** Makes all routes, a step for some, as long as it is in force: no request has to do it then. */
  *settling(isInForce: () => boolean): Generator<void, void, void> {
    for (let number = 0; number < this.#routes.length && isInForce(); number++) {
      this.route(number);
      if (number % 64 === 63) yield;
    }
  }

  upstreamNamed(name: string): Upstream | null {
    return this.#upstreamsByName.get(name) ?? null;
  }

  /** It is in force: its checks and limits hold from here on. */
  activate(): void {
    for (const upstream of this.upstreams) upstream.activate();
  }

  /** Another takes its place; what is under way ends on it. */
  deactivate(): void {
    for (const upstream of this.upstreams) upstream.deactivate();
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    this.#references--;
    if (this.#references > 0) return;
    this.#releaseFilters();
    for (const upstream of this.upstreams) upstream.dispose();
  }

  #made(number: number): Route {
    const spec = this.routing.routes[number] as RouteSpec;
    const chain = this.#chains[number] ?? NO_FILTERS;
    const has = (hook: number): boolean => chain.some((filter) => (filter.hooks & hook) !== 0);
    return {
      spec,
      chain,
      hasRequestHooks: has(HOOK_REQUEST_HEAD),
      hasResponseHooks: has(HOOK_RESPONSE_HEAD),
      hasEndHooks: has(HOOK_END),
      split: this.#splits.of(spec.action),
      bodyBytesMax: spec.bodyBytesMax ?? Infinity,
      requestTimeoutMs: spec.requestTimeoutMs ?? 0,
      meter: null,
    };
  }
}

function compiled({ routes, listeners }: Snapshot): Routing {
  return { routes, routers: listeners.map((_, listener) => compileRouter(routes, listener)) };
}
