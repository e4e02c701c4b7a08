/**
 * Numbers of routes, which routers answer with. A route that stays keeps its number from one snapshot to the next, wherever it
 * stands in the list, so that one that comes or goes moves hardly any: what is new takes the numbers of what has gone, and
 * a gap is filled with the last.
 *
 *     0 a   1 b   2 c   3 d        b goes, x comes   0 a   1 x   2 c   3 d
 *                                  b goes            0 a   1 d   2 c
 */
import { listDifference } from "#snapshot/list-patch.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";

export interface Numbered {
  /** By number. */
  readonly routes: readonly RouteSpec[];
  /** Numbers whose route is another than before, or new, or gone. */
  readonly changed: readonly number[];
}

/** With more of them, numbering and compiling everything anew is as good. */
const CHANGED_MAX = 512;

/** `numbered`: the routes of `before` by number. The same route is the same object. Null: too many have changed. */
export function numberedAfter(
  numbered: readonly RouteSpec[],
  before: readonly RouteSpec[],
  after: readonly RouteSpec[],
): Numbered | null {
  const difference = listDifference(before, after);
  const gone = new Set(difference.gone);
  const fresh = new Set(difference.fresh.map(({ entry }) => entry));
  for (const route of fresh) if (gone.delete(route)) fresh.delete(route);
  if (gone.size + fresh.size > CHANGED_MAX) return null;
  const routes = [...numbered];
  const changed = new Set<number>();
  const gaps: number[] = [];
  const newer = new Map(Array.from(fresh, (route) => [`${route.tenant}/${route.name}`, route]));
  for (let number = 0; gone.size > 0 && number < routes.length; number++) {
    const old = routes[number] as RouteSpec;
    if (!gone.delete(old)) continue;
    changed.add(number);
    const same = newer.get(`${old.tenant}/${old.name}`);
    if (same !== undefined && fresh.delete(same)) routes[number] = same;
    else gaps.push(number);
  }
  for (const route of fresh) {
    const number = gaps.pop() ?? routes.length;
    changed.add(number);
    routes[number] = route;
  }
  // From the highest: the last is no gap itself then.
  for (const gap of gaps.toReversed()) {
    const last = routes.length - 1;
    changed.add(last);
    routes[gap] = routes[last] as RouteSpec;
    routes.pop();
  }
  return { routes, changed: [...changed] };
}
