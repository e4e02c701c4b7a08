/** A route of streams in an engine: what the snapshot says, with its filters and upstreams made; and whether they admit a stream. */
import type { OpeningStream, PendingAdmission, StreamEnd, StreamFilter, StreamTap } from "#pipeline/stream-filter.ts";
import type { StreamRouteSpec } from "#snapshot/snapshot.ts";
import type { Split, Splits } from "#proxy/split.ts";
import { DENIED, STREAM_OUTCOMES } from "./outcomes.ts";
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

/** A stream whose filters have not all decided yet. */
export interface Admitting {
  abandon(): void;
}

/**
 * Asks the filters for a stream that begins, one after the other. Null: one of them refuses it. Where one waits, `decided` is told
 * the same later, unless it is abandoned. Those that had admitted what another refuses are told of its end.
 */
export function admit(
  route: StreamRoute,
  opening: OpeningStream,
  decided: (taps: Taps | null) => void,
): Taps | null | Admitting {
  return new Asking(route.filters, opening, decided).ask(0);
}

class Asking implements Admitting {
  readonly #filters: readonly StreamFilter[];
  readonly #opening: OpeningStream;
  readonly #decided: (taps: Taps | null) => void;
  readonly #taps: StreamTap[] = [];
  #pending: PendingAdmission | null = null;

  constructor(filters: readonly StreamFilter[], opening: OpeningStream, decided: (taps: Taps | null) => void) {
    this.#filters = filters;
    this.#opening = opening;
    this.#decided = decided;
  }

  ask(from: number): Taps | null | Admitting {
    for (let index = from; index < this.#filters.length; index++) {
      const filter = this.#filters[index] as StreamFilter;
      const answer = filter.admits(this.#opening);
      if (typeof answer === "object") {
        this.#pending = answer;
        answer.onDecided = (admitted) => this.#goOn(filter, index, admitted);
        return this;
      }
      if (!answer) return this.#refused();
      this.#tap(filter);
    }
    return this.#taps.length === 0 ? NO_TAPS : new Taps(this.#taps);
  }

  abandon(): void {
    this.#pending?.abandon();
    this.#pending = null;
    this.#refused();
  }

  #goOn(filter: StreamFilter, index: number, admitted: boolean): void {
    this.#pending = null;
    if (admitted) this.#tap(filter);
    const answer = admitted ? this.ask(index + 1) : this.#refused();
    if (answer !== this) this.#decided(answer as Taps | null);
  }

  /** At once behind its admission: a filter knows the two to be about the same stream by that. */
  #tap(filter: StreamFilter): void {
    const tap = filter.tap?.(this.#opening) ?? null;
    if (tap !== null) this.#taps.push(tap);
  }

  #refused(): null {
    for (const tap of this.#taps.splice(0)) tap.closed(REFUSED);
    return null;
  }
}

const REFUSED: StreamEnd = {
  outcome: STREAM_OUTCOMES[DENIED] ?? "denied",
  durationMs: 0,
  bytesReceived: 0,
  bytesSent: 0,
  endpoint: "",
};
