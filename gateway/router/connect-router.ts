/**
 * Chooses the route of a CONNECT, among the routes that take it and nothing else. Hosts, header fields and precedence are those of every
 * request; a CONNECT has no path, and the port it names is one more condition, which counts last: some port goes before none, then the
 * older route.
 *
 * It is a router like any other for each port that a route names, and one for all ports that none does. They are compiled when a CONNECT
 * asks for them first: how many there can be is the configuration's to say, not the clients'.
 */
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { explain, type Explanation } from "./explain.ts";
import type { RoutedHead } from "./routed-head.ts";
import { compileRouter, type Router } from "./router.ts";

/** A CONNECT as it is routed: `host` without the port, as ever. */
export interface RoutedConnect extends RoutedHead {
  readonly port: number;
}

interface Candidate {
  /** Of the route. */
  readonly number: number;
  /** What of it the routers go by. */
  readonly spec: RouteSpec;
  /** Undefined: every port. */
  readonly ports: readonly number[] | undefined;
}

interface PortRouter {
  readonly router: Router;
  /** Numbers of the routes, by the router's own. */
  readonly numbers: readonly number[];
}

/** Of ports that no route names. */
const OTHERS = 0;
/** All candidates stand on it. */
const LISTENER = 0;

export class ConnectRouter {
  readonly #candidates: readonly Candidate[];
  /** By port, as far as some route names it, and OTHERS; null until it is asked for. */
  readonly #routers = new Map<number, PortRouter | null>();

  /** `routes`: by number; those of `listener` that take CONNECT are its own. */
  constructor(routes: readonly RouteSpec[], listener: number) {
    const own: number[] = [];
    for (let number = 0; number < routes.length; number++) {
      const { connect, listeners } = routes[number] as RouteSpec;
      if (connect !== undefined && listeners.includes(listener)) own.push(number);
    }
    this.#candidates = own
      .map((number) => ({ number, route: routes[number] as RouteSpec }))
      .toSorted((a, b) => portRank(a.route) - portRank(b.route) || a.route.order - b.route.order || a.number - b.number)
      .map(({ number, route }, rank) => ({ number, spec: asked(route, rank), ports: route.match.ports }));
    this.#routers.set(OTHERS, null);
    for (const { ports = [] } of this.#candidates) for (const port of ports) this.#routers.set(port, null);
  }

  /** No route of the listener takes CONNECT. */
  get empty(): boolean {
    return this.#candidates.length === 0;
  }

  /** Number of the route, or −1. */
  match(head: RoutedConnect): number {
    const { router, numbers } = this.#routerOf(head.port);
    const index = router.match(head);
    return index < 0 ? -1 : (numbers[index] as number);
  }

  /** As `Router.explain`. */
  explain(head: RoutedConnect): Explanation {
    const chosen = this.match(head);
    const specs = this.#candidates.map(({ spec }) => spec);
    const explanation = explain(specs, LISTENER, head, chosen, (index) => {
      const { ports } = this.#candidates[index] as Candidate;
      if (takes(ports, head.port)) return null;
      return { outcome: "port", detail: `port ${head.port} is not ${ports?.join(" or ")}` };
    });
    const numbered = explanation.considered.map((one) => ({
      ...one,
      route: this.#candidates[one.route]?.number ?? -1,
    }));
    return { ...explanation, considered: numbered };
  }

  #routerOf(port: number): PortRouter {
    const key = this.#routers.has(port) ? port : OTHERS;
    const known = this.#routers.get(key) ?? this.#compiled(key);
    this.#routers.set(key, known);
    return known;
  }

  #compiled(port: number): PortRouter {
    const own = this.#candidates.filter(({ ports }) => takes(ports, port));
    const specs = own.map(({ spec }) => spec);
    return { router: compileRouter(specs, LISTENER), numbers: own.map(({ number }) => number) };
  }
}

function takes(ports: readonly number[] | undefined, port: number): boolean {
  return ports === undefined || ports.includes(port);
}

function portRank({ match: { ports } }: RouteSpec): number {
  return ports === undefined ? 1 : 0;
}

/** The conditions that are left when CONNECT is all there is. */
function asked(route: RouteSpec, rank: number): RouteSpec {
  const { name, tenant, match, filters, action } = route;
  const { hosts, headers } = match;
  return {
    name,
    tenant,
    listeners: [LISTENER],
    match: { hosts, headers, path: { kind: "prefix", value: "/" }, methods: [] },
    filters,
    action,
    order: rank,
  };
}
