/**
 * The filters of this worker's streams. One that a new snapshot has unchanged (route, position, configuration) is taken over
 * as it is, so that a rate is not forgotten by a change somewhere else.
 */
import { defined } from "#core/assert.ts";
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import { createStreamFilter, type StreamFilterServices } from "#plugins/stream-filters.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";

export class StreamFilterSet {
  readonly #services: StreamFilterServices;
  /** Of the snapshot prepared last, and of the one before: one of the two is in force. */
  #known = new Map<string, StreamFilter>();
  #before = new Map<string, StreamFilter>();

  constructor(services: StreamFilterServices) {
    this.#services = services;
  }

  /** The filters of each stream route of the snapshot. `guests`: those of them that are plugins, by route and position. */
  prepare(
    { streamRoutes = [] }: Snapshot,
    guests: readonly (readonly (StreamFilter | null)[])[] = [],
  ): StreamFilter[][] {
    const next = new Map<string, StreamFilter>();
    const filters = streamRoutes.map((route, index) =>
      route.filters.map((spec, position) => {
        if (spec.kind === "plugin") return defined(guests[index]?.[position], "plugin of a stream route");
        const identity = JSON.stringify([route.tenant, route.name, position, spec]);
        const filter =
          this.#known.get(identity) ?? this.#before.get(identity) ?? createStreamFilter(spec, this.#services, identity);
        next.set(identity, filter);
        return filter;
      }),
    );
    this.#before = this.#known;
    this.#known = next;
    return filters;
  }
}
