/** Counters of one worker's streams (TCP, TLS passed through, UDP): slots of one array, as in `counters.ts`. */
import { assert } from "#core/assert.ts";
import type { MetricsBlock } from "./metrics-block.ts";

export const STREAM_COUNTER_NAMES = [
  "tcp_streams",
  "tcp_streams_open",
  "tcp_bytes_received",
  "tcp_bytes_sent",
  "tcp_duration_ms",
  "udp_sessions",
  "udp_sessions_open",
  "udp_datagrams_received",
  "udp_datagrams_sent",
  "udp_bytes_received",
  "udp_bytes_sent",
  "udp_datagrams_dropped",
  "udp_sessions_evicted",
  "proxy_headers",
  "proxy_headers_refused",
  "tcp_bytes_spliced",
] as const;

export const TCP_STREAMS = 0;
export const TCP_STREAMS_OPEN = 1;
/** From clients, and to them. */
export const TCP_BYTES_RECEIVED = 2;
export const TCP_BYTES_SENT = 3;
export const TCP_DURATION_MS = 4;
export const UDP_SESSIONS = 5;
export const UDP_SESSIONS_OPEN = 6;
export const UDP_DATAGRAMS_RECEIVED = 7;
export const UDP_DATAGRAMS_SENT = 8;
export const UDP_BYTES_RECEIVED = 9;
export const UDP_BYTES_SENT = 10;
export const UDP_DATAGRAMS_DROPPED = 11;
export const UDP_SESSIONS_EVICTED = 12;
export const PROXY_HEADERS = 13;
export const PROXY_HEADERS_REFUSED = 14;
/** Of both directions: what moved within the kernel. */
export const TCP_BYTES_SPLICED = 15;

export class StreamCounters {
  readonly values: Float64Array;
  /** How streams ended: a slot an outcome. */
  readonly outcomes: Float64Array;
  readonly #outcomeCodes: readonly string[];

  constructor(
    outcomeCodes: readonly string[],
    { streamCounters, streamOutcomes }: Pick<MetricsBlock, "streamCounters" | "streamOutcomes">,
  ) {
    assert(streamCounters.length >= STREAM_COUNTER_NAMES.length, "a slot for each");
    assert(streamOutcomes.length >= outcomeCodes.length, "a slot for each outcome");
    this.#outcomeCodes = outcomeCodes;
    this.values = streamCounters;
    this.outcomes = streamOutcomes;
  }

  /** Of a worker that is gone: what was open is not any more. */
  closed(): void {
    this.values[TCP_STREAMS_OPEN] = 0;
    this.values[UDP_SESSIONS_OPEN] = 0;
  }

  add(slot: number, value: number): void {
    this.values[slot] = (this.values[slot] as number) + value;
  }

  ended(outcome: number): void {
    this.outcomes[outcome] = (this.outcomes[outcome] as number) + 1;
  }

  /** All of them by name; outcomes as `stream_outcomes{outcome="…"}`. */
  read(): Record<string, number> {
    const all: Record<string, number> = {};
    STREAM_COUNTER_NAMES.forEach((name, i) => {
      all[name] = this.values[i] as number;
    });
    this.#outcomeCodes.forEach((code, i) => {
      all[`stream_outcomes{outcome="${code}"}`] = this.outcomes[i] as number;
    });
    return all;
  }
}
