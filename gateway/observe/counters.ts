/** Counters of one worker: slots of one array, so that counting is an addition. Names are for whoever reads them. */
import { assert } from "#core/assert.ts";
import type { MetricsBlock } from "./metrics-block.ts";

export const COUNTER_NAMES = [
  "connections_accepted",
  "connections_open",
  "connections_refused",
  "requests",
  "responses_1xx",
  "responses_2xx",
  "responses_3xx",
  "responses_4xx",
  "responses_5xx",
  "upstream_connects",
  "upstream_connect_failures",
  "upstream_retries",
  "request_body_bytes",
  "response_body_bytes",
  "upstream_hedges",
  "trailers_dropped",
] as const;

export const CONNECTIONS_ACCEPTED = 0;
export const CONNECTIONS_OPEN = 1;
export const CONNECTIONS_REFUSED = 2;
export const REQUESTS = 3;
/** The slot of 1xx; those of the other classes follow. */
export const RESPONSES_1XX = 4;
export const UPSTREAM_CONNECTS = 9;
export const UPSTREAM_CONNECT_FAILURES = 10;
export const UPSTREAM_RETRIES = 11;
export const REQUEST_BODY_BYTES = 12;
export const RESPONSE_BODY_BYTES = 13;
export const UPSTREAM_HEDGES = 14;
/** Trailer sections that the receiver could not be sent: of HTTP/1.0, or of known length; or that there was no memory for. */
export const TRAILERS_DROPPED = 15;

export class Counters {
  readonly values: Float64Array;
  /** How exchanges ended: a slot an outcome. */
  readonly outcomes: Float64Array;
  readonly #outcomeCodes: readonly string[];

  /** Codes of outcomes by their slots. */
  constructor(outcomeCodes: readonly string[], { counters, outcomes }: Pick<MetricsBlock, "counters" | "outcomes">) {
    assert(counters.length >= COUNTER_NAMES.length && outcomes.length >= outcomeCodes.length, "a slot for each");
    this.#outcomeCodes = outcomeCodes;
    this.values = counters;
    this.outcomes = outcomes;
  }

  /** Of a worker that is gone: what was open is not any more. */
  closed(): void {
    this.values[CONNECTIONS_OPEN] = 0;
  }

  add(slot: number, value: number): void {
    this.values[slot] = (this.values[slot] as number) + value;
  }

  /** One exchange that ended with `outcome`, answered with `status` (0: not at all). */
  ended(outcome: number, status: number): void {
    this.outcomes[outcome] = (this.outcomes[outcome] as number) + 1;
    if (status >= 100 && status < 600) this.add(RESPONSES_1XX + ((status / 100) | 0) - 1, 1);
  }

  /** All of them by name; outcomes as `outcome_<code>`. */
  read(): Record<string, number> {
    const all: Record<string, number> = {};
    COUNTER_NAMES.forEach((name, i) => {
      all[name] = this.values[i] as number;
    });
    this.#outcomeCodes.forEach((code, i) => {
      all[`outcome_${code.replaceAll("-", "_")}`] = this.outcomes[i] as number;
    });
    return all;
  }
}
