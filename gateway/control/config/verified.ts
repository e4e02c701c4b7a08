/**
 * Which routes are known to go with all the rest: names they refer to, hosts, grants. None of that depends on another route,
 * so as long as nothing but routes has changed since a declaration was found good, only those that are new need a look.
 */
import { listDifference } from "#snapshot/list-patch.ts";
import type { RouteResource } from "./declaration.ts";
import type { Draft, Entry } from "./draft.ts";

/** What a route is checked against; values are the same objects as long as they were declared by the same ones. */
const PARTS = ["listeners", "certificates", "upstreams", "tenants", "secrets", "plugins", "maps"] as const;

export class Verified {
  readonly #actor: string | undefined;
  readonly #parts: readonly (readonly unknown[])[];
  readonly #routes: readonly RouteResource[];

  /** Nothing was found in a declaration of which this is the draft, asked for by `actor`. */
  constructor(draft: Draft, actor: string | undefined) {
    this.#actor = actor;
    this.#parts = PARTS.map((part) => draft[part].map(({ value }) => value));
    this.#routes = draft.routes.map(({ value }) => value);
  }

  /** Routes of the draft that need a look. */
  suspects(draft: Draft, actor: string | undefined): readonly Entry<RouteResource>[] {
    if (!this.#holdsFor(draft, actor)) return draft.routes;
    const routes = draft.routes.map(({ value }) => value);
    const { fresh, repeats } = listDifference(this.#routes, routes);
    return repeats ? draft.routes : fresh.map(({ place }) => draft.routes[place] as Entry<RouteResource>);
  }

  /** Grants are checked more strictly for a tenant. */
  #holdsFor(draft: Draft, actor: string | undefined): boolean {
    return this.#actor === actor && PARTS.every((part, index) => sameValues(draft[part], this.#parts[index] ?? []));
  }
}

function sameValues(entries: readonly Entry<unknown>[], values: readonly unknown[]): boolean {
  return entries.length === values.length && entries.every(({ value }, index) => value === values[index]);
}
