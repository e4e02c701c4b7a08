/** A route of streams in an engine: what the snapshot says, with its filters and upstreams made. */
import type { StreamFilter } from "#pipeline/stream-filter.ts";
import type { StreamRouteSpec } from "#snapshot/snapshot.ts";
import type { Upstream } from "#upstream/upstream.ts";

export interface StreamRoute {
  readonly spec: StreamRouteSpec;
  readonly filters: readonly StreamFilter[];
  /** Null: the original destination. */
  readonly split: readonly { readonly upstream: Upstream; readonly weight: number }[] | null;
  readonly splitSum: number;
}

export function makeStreamRoute(
  spec: StreamRouteSpec,
  filters: readonly StreamFilter[],
  upstreams: readonly Upstream[],
): StreamRoute {
  const split =
    spec.action.kind === "original"
      ? null
      : spec.action.split.map((one) => ({ upstream: upstreams[one.upstream] as Upstream, weight: one.weight }));
  return { spec, filters, split, splitSum: (split ?? []).reduce((sum, one) => sum + one.weight, 0) };
}

/** Whether every filter admits a client: 16 bytes of address. */
export function admits(route: StreamRoute, clientIp: Uint8Array): boolean {
  return route.filters.every((filter) => filter.admits({ clientIp }));
}
