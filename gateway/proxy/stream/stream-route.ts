/** A route of streams in an engine: what the snapshot says, with its filters and upstreams made. */
import type { OpeningStream, StreamFilter } from "#pipeline/stream-filter.ts";
import type { StreamRouteSpec } from "#snapshot/snapshot.ts";
import type { Split, Splits } from "#proxy/split.ts";
import { NO_TAPS, Taps } from "./taps.ts";

export interface StreamRoute {
  readonly spec: StreamRouteSpec;
  readonly filters: readonly StreamFilter[];
  /** Null: the original destination. */
  readonly split: Split | null;
}

export function makeStreamRoute(spec: StreamRouteSpec, filters: readonly StreamFilter[], splits: Splits): StreamRoute {
  return { spec, filters, split: splits.of(spec.action) };
}

/** Asks every filter for a stream that begins. Null: one of them refuses it. */
export function admit(route: StreamRoute, opening: OpeningStream): Taps | null {
  const { filters } = route;
  if (!filters.every((filter) => filter.admits(opening))) return null;
  const taps = filters.map((filter) => filter.tap?.(opening) ?? null).filter((tap) => tap !== null);
  return taps.length === 0 ? NO_TAPS : new Taps(taps);
}
