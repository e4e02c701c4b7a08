/**
 * The next router from the one before: of ten thousand routes one has changed, and only where that one stood or stands now is
 * anything filed and laid out again, in a copy of the tables. The one before stays whole, for whoever still uses it, and
 * because the next may never come into force.
 *
 *     changed routes ─▶ their hosts, and paths of hosts with many ─▶ all routes of these ─▶ filed ─▶ laid out in the copy
 */
import type { RouteSpec } from "#snapshot/snapshot.ts";
import { bucketKeyOf, filing, placesOf, type Place } from "./filing.ts";
import { type HostName, Layout, type PathName } from "./layout.ts";
import { Router } from "./router.ts";

/** What has been laid out again and is waste, in proportion to the routes. */
const REVISED_SHARE = 0.5;
const REVISED_MIN = 1000;

interface Affected extends HostName {
  /** Record of a host with many paths; −1: the host is filed as a whole. */
  readonly record: number;
  readonly paths: Map<string, PathName>;
}

/**
 * `routes`: by number, as `before` has them but for those whose numbers are `changed`, some of which may be gone, or new.
 * Null: so much was revised already that compiling all of them is due. A step for some routes each.
 */
export function* revisingRouter(
  before: Router,
  routes: readonly RouteSpec[],
  changed: readonly number[],
): Generator<void, Router | null, void> {
  const { listener, tables } = before;
  const revised = tables.revised + changed.length;
  if (revised > Math.max(REVISED_MIN, routes.length * REVISED_SHARE)) return null;
  const places = changed
    .filter((number) => asked(before.routes[number], listener) !== asked(routes[number], listener))
    .flatMap((number) => [...at(before.routes, number, listener), ...at(routes, number, listener)]);
  if (places.length === 0) return new Router(routes, listener, tables);
  const layout = new Layout(tables.seed, tables);
  yield;
  const affected = new Map<string, Affected>();
  for (const { hostKey, bucketKey, condition } of places) {
    const { hostKind: kind, host: name, pathExact: exact, path } = condition;
    const host = affected.get(hostKey) ?? { kind, name, record: layout.manyOf({ kind, name }), paths: new Map() };
    host.paths.set(bucketKey, { exact, path });
    affected.set(hostKey, host);
  }
  const concerns = (hostKey: string, bucketKey: string): boolean => {
    const host = affected.get(hostKey);
    return host !== undefined && (host.record < 0 || host.paths.has(bucketKey));
  };
  const { hosts, ages } = yield* filing(routes, listener, {
    route: ({ match }) => {
      const bucketKey = bucketKeyOf(match);
      return match.hosts.length === 0 ? concerns("", bucketKey) : match.hosts.some((host) => concerns(host, bucketKey));
    },
    place: ({ hostKey, bucketKey }) => concerns(hostKey, bucketKey),
  });
  for (const [hostKey, host] of affected) {
    const filed = hosts.get(hostKey);
    if (host.record < 0) {
      if (filed === undefined) layout.clearHost(host);
      else yield* layout.addHost(filed);
      continue;
    }
    for (const [bucketKey, path] of host.paths) layout.setPath(host.record, path, filed?.buckets.get(bucketKey));
    yield;
  }
  return new Router(routes, listener, layout.build(ages, revised));
}

/** What of a route this listener's router goes by. */
function asked(route: RouteSpec | undefined, listener: number): string {
  if (route === undefined || !route.listeners.includes(listener) || route.connect !== undefined) return "";
  return JSON.stringify([route.match, route.order]);
}

function at(routes: readonly RouteSpec[], number: number, listener: number): readonly Place[] {
  const route = routes[number];
  return route === undefined || !route.listeners.includes(listener) ? [] : placesOf(route, number);
}
