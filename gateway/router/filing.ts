/**
 * Routes filed by what they ask for, as maps: the form between routes and flat tables, off the hot path.
 *
 * A bucket holds the routes of one host and path. Its routes that ask for the same header names form a group, in which
 * the asked-for values are one key. Of routes that ask for exactly the same, only the oldest can ever match, and the
 * others take no place.
 */
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { type Condition, conditionsOf, type HostKind, prefixKey } from "./condition.ts";
import { OneOrMore } from "./one-or-more.ts";

/** Added to the class of a group whose routes ask for a method. */
export const CLASS_METHOD = 1 << 16;

const NO_NAMES: readonly string[] = [];

export interface Group {
  /** Method and header count as one number: the higher goes first, groups of one class compete by age. */
  readonly class: number;
  /** Sorted. */
  readonly names: readonly string[];
  /** The method or nothing, then NUL and the value for each name; to the oldest route that asks for it. */
  readonly routes: OneOrMore<number>;
}

export interface Bucket {
  readonly exact: boolean;
  /** A prefix is without its trailing slash; the empty one is the root. */
  readonly path: string;
  /** By class and names. */
  readonly groups: OneOrMore<Group>;
}

export interface Host {
  readonly kind: HostKind;
  readonly name: string;
  /** By kind of path and path. */
  readonly buckets: OneOrMore<Bucket>;
}

export interface Filing {
  /** By the routes' own text: `*.example.com`, or nothing for every host. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** Age by route: the lower is older. */
  readonly ages: Int32Array;
}

/** Where a condition belongs, as keys of the maps. */
export interface Place {
  readonly condition: Condition;
  readonly hostKey: string;
  readonly bucketKey: string;
  readonly groupKey: string;
  readonly groupClass: number;
  readonly names: readonly string[];
  /** What is asked for: one a method. */
  readonly keys: readonly string[];
}

export function placesOf(route: RouteSpec, index: number): readonly Place[] {
  const bucketKey = bucketKeyOf(route.match);
  return conditionsOf(route, index).flatMap((condition) => placeOf(condition, bucketKey));
}

/** The same for two paths that are the same. */
export function bucketKeyOf({ path: { kind, value } }: RouteSpec["match"]): string {
  return kind === "exact" ? `=${value}` : prefixKey(value);
}

function placeOf(condition: Condition, bucketKey: string): Place[] {
  const { pattern: hostKey, pathExact, path, methods, headers } = condition;
  // A path has a slash in front or is `*`; any other prefix is met by nothing.
  if (!pathExact && path !== "" && !path.startsWith("/")) return [];
  const values = headers.map((header) => `\0${header.value}`).join("");
  const names = headers.length === 0 ? NO_NAMES : headers.map((header) => header.name);
  const groupClass = (methods.length > 0 ? CLASS_METHOD : 0) + headers.length;
  return [
    {
      condition,
      hostKey,
      bucketKey,
      groupKey: `${groupClass}${names.join()}`,
      groupClass,
      names,
      keys: methods.length === 0 ? [values] : methods.map((method) => method + values),
    },
  ];
}

/** Called from the oldest route to the youngest: who comes first stays. */
function file(hosts: Map<string, Host>, place: Place, key: string): void {
  const { condition, hostKey, bucketKey, groupKey, groupClass, names } = place;
  const { route } = condition;
  const host = hosts.get(hostKey);
  const bucket = host?.buckets.get(bucketKey);
  const group = bucket?.groups.get(groupKey);
  if (group !== undefined) {
    if (group.routes.get(key) === undefined) group.routes.add(key, route);
    return;
  }
  const madeGroup: Group = { class: groupClass, names, routes: new OneOrMore(key, route) };
  if (bucket !== undefined) {
    bucket.groups.add(groupKey, madeGroup);
    return;
  }
  const { hostKind: kind, host: name, pathExact: exact, path } = condition;
  const madeBucket: Bucket = { exact, path, groups: new OneOrMore(groupKey, madeGroup) };
  if (host !== undefined) host.buckets.add(bucketKey, madeBucket);
  else hosts.set(hostKey, { kind, name, buckets: new OneOrMore(bucketKey, madeBucket) });
}

/** Says of a route whether it belongs into a filing at all, and then of each of its places. */
export interface Wanted {
  route(route: RouteSpec): boolean;
  place(place: Place): boolean;
}

const ALL: Wanted = { route: () => true, place: () => true };

/** The routes of one listener; a step for each. */
export function* filing(
  routes: readonly RouteSpec[],
  listener: number,
  wanted: Wanted = ALL,
): Generator<void, Filing, void> {
  const byAge: number[] = [];
  const ages = new Int32Array(routes.length);
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i] as RouteSpec;
    ages[i] = route.order;
    if (route.listeners.includes(listener) && wanted.route(route)) byAge.push(i);
    if (i % 256 === 255) yield;
  }
  byAge.sort((a, b) => (ages[a] as number) - (ages[b] as number) || a - b);
  const hosts = new Map<string, Host>();
  for (const index of byAge) {
    for (const place of placesOf(routes[index] as RouteSpec, index)) {
      if (wanted.place(place)) for (const key of place.keys) file(hosts, place, key);
    }
    yield;
  }
  return { hosts, ages };
}
