/**
 * Chooses the route of a stream: of all routes whose conditions it meets, the first by precedence (stream-condition.ts).
 * Conditions stand in lists by server name, each sorted by precedence: an exact name and every wildcard above it are one
 * look-up each; a list holds the few routes of one name. Routes without names are one list, searched in order: a listener of
 * plain TCP has few routes, and each costs some comparisons of bytes, once a connection.
 */
import { formatIp } from "#core/address.ts";
import type { StreamRouteSpec } from "#snapshot/snapshot.ts";
import type { Considered, Explanation } from "./explain.ts";
import {
  compareStreamPrecedence,
  placeText,
  refusesPlace,
  streamConditionsOf,
  takesName,
  type RoutedStream,
  type StreamCondition,
} from "./stream-condition.ts";

export class StreamRouter {
  readonly #routes: readonly StreamRouteSpec[];
  readonly #conditions: readonly StreamCondition[];
  readonly #exact: ReadonlyMap<string, readonly StreamCondition[]>;
  readonly #wildcards: ReadonlyMap<string, readonly StreamCondition[]>;
  readonly #any: readonly StreamCondition[];

  constructor(routes: readonly StreamRouteSpec[], listener: number) {
    this.#routes = routes;
    this.#conditions = routes
      .flatMap((route, index) => (route.listeners.includes(listener) ? streamConditionsOf(route, index) : []))
      .toSorted(compareStreamPrecedence);
    const named = this.#conditions.filter((one) => one.name !== "");
    this.#exact = Map.groupBy(
      named.filter((one) => !one.wildcard),
      (one) => one.name,
    );
    this.#wildcards = Map.groupBy(
      named.filter((one) => one.wildcard),
      (one) => one.name,
    );
    this.#any = this.#conditions.filter((one) => one.name === "");
  }

  /** Index of the route, or −1. A name whose routes all refuse does not end the search: less specific ones are asked. */
  match(stream: RoutedStream): number {
    const { serverName } = stream;
    if (serverName !== "") {
      const exact = first(this.#exact.get(serverName), stream);
      if (exact >= 0) return exact;
      for (let dot = serverName.indexOf(".", 1); dot >= 0; dot = serverName.indexOf(".", dot + 1)) {
        const found = first(this.#wildcards.get(serverName.slice(dot)), stream);
        if (found >= 0) return found;
      }
    }
    return first(this.#any, stream);
  }

  /** The same from the conditions themselves, with reasons: slow, and a second opinion. */
  explain(stream: RoutedStream): Explanation {
    const fitting = this.#conditions.filter((one) => takesName(one, stream.serverName));
    const others = new Set(this.#conditions.map((one) => one.route)).difference(
      new Set(fitting.map((one) => one.route)),
    );
    let found = false;
    const considered = fitting.map((condition): Considered => {
      const name = this.#routes[condition.route]?.name ?? "";
      const host = condition.name === "" ? "any name" : `${condition.wildcard ? "*" : ""}${condition.name}`;
      const subject = { route: condition.route, name, host };
      const refused = refusesPlace(condition, stream);
      if (refused !== null)
        return { ...subject, outcome: refused, detail: `${refused} is not ${placeText(condition)}` };
      if (found) return { ...subject, outcome: "outranked", detail: "matches, but comes after the chosen route" };
      found = true;
      return { ...subject, outcome: "chosen", detail: `${placeText(condition)}, the first that matches` };
    });
    return {
      route: considered.find((one) => one.outcome === "chosen")?.route ?? -1,
      method: "",
      host: stream.serverName,
      path: formatIp(stream.source),
      considered,
      otherHosts: others.size,
    };
  }
}

function first(conditions: readonly StreamCondition[] | undefined, stream: RoutedStream): number {
  if (conditions === undefined) return -1;
  for (let i = 0; i < conditions.length; i++) {
    const condition = conditions[i] as StreamCondition;
    if (refusesPlace(condition, stream) === null) return condition.route;
  }
  return -1;
}
