/**
 * Which routes are known to go with all the rest: names they refer to, hosts, grants. None of that depends on another route,
 * so as long as nothing but routes has changed since a declaration was found good, only those that are new need a look.
 */
import type { RouteResource } from "./declaration.ts";
import type { Draft, Entry } from "./draft.ts";

/** What a route is checked against; values are the same objects as long as they were declared by the same ones. */
const PARTS = ["listeners", "certificates", "upstreams", "tenants", "secrets", "plugins", "maps"] as const;

export class Verified {
  readonly #actor: string | undefined;
  readonly #parts: readonly (readonly unknown[])[];
  readonly #routes = new WeakSet<RouteResource>();

  constructor(draft: Draft, actor: string | undefined) {
    this.#actor = actor;
    this.#parts = PARTS.map((part) => draft[part].map(({ value }) => value));
  }

  /** Nothing was found in a declaration of which this is the draft, asked for by `actor`. `before`: what was known so far. */
  static after(before: Verified | undefined, draft: Draft, actor: string | undefined): Verified {
    const holds = before !== undefined && before.#holdsFor(draft, actor);
    const verified = holds ? before : new Verified(draft, actor);
    for (const { value } of draft.suspects) verified.#routes.add(value);
    return verified;
  }

  /** Routes of the draft that need a look. */
  suspects(draft: Draft, actor: string | undefined): readonly Entry<RouteResource>[] {
    if (!this.#holdsFor(draft, actor)) return draft.routes;
    return draft.routes.filter(({ value }) => !this.#routes.has(value));
  }

  /** Grants are checked more strictly for a tenant. */
  #holdsFor(draft: Draft, actor: string | undefined): boolean {
    return this.#actor === actor && PARTS.every((part, index) => sameValues(draft[part], this.#parts[index] ?? []));
  }
}

function sameValues(entries: readonly Entry<unknown>[], values: readonly unknown[]): boolean {
  return entries.length === values.length && entries.every(({ value }, index) => value === values[index]);
}
