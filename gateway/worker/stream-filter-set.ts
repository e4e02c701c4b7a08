/**
 * The filters of this worker's streams. One that a new snapshot has unchanged (route, position, configuration) is taken over
 * as it is, so that a rate is not forgotten by a change somewhere else.
 */
import { defined } from "#core/assert.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import { createStreamFilter, type StreamFilterServices } from "#plugins/stream-filters.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { identityOf } from "./filter-identity.ts";

/** What of a stream route's filters the set of guests has made. */
export interface StreamGuests {
  /** Before all of them; null: there is none. */
  readonly guard: StreamFilter | null;
  /** By position; null: a built-in filter. */
  readonly guests: readonly (StreamFilter | null)[];
}

export class StreamFilterSet {
  readonly #services: StreamFilterServices;
  /** Of the snapshot prepared last, and of the one before: one of the two is in force. */
  #known = new Map<string, StreamFilter>();
  #before = new Map<string, StreamFilter>();

  constructor(services: StreamFilterServices) {
    this.#services = services;
  }

  /** The filters of each stream route of the snapshot. `plugins`: by route. */
  prepare({ streamRoutes = [] }: Snapshot, plugins: readonly StreamGuests[] = []): StreamFilter[][] {
    const next = new Map<string, StreamFilter>();
    const filters = streamRoutes.map((route, index) =>
      route.filters.map((spec, position) => {
        if (spec.kind === "plugin") return defined(plugins[index]?.guests[position], "plugin of a stream route");
        const identity = identityOf([route.tenant, route.name, position, spec]);
        const filter =
          this.#known.get(identity) ?? this.#before.get(identity) ?? createStreamFilter(spec, this.#services, identity);
        next.set(identity, filter);
        return filter;
      }),
    );
    this.#before = this.#known;
    this.#known = next;
    return filters.map((chain, index) => {
      const guard = plugins[index]?.guard ?? null;
      return guard === null ? chain : [guard, ...chain];
    });
  }
}
