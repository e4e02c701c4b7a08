/** How a stream ends: a closed set, in the access log and the counters. */

export const STREAM_OUTCOMES = [
  "closed",
  "client-reset",
  "upstream-reset",
  "idle-timeout",
  "no-route",
  "denied",
  "connect-failed",
  "connect-timeout",
  "no-endpoint",
  "no-original-destination",
  "overloaded",
  "not-tls",
  "hello-timeout",
  "client-gone",
  "evicted",
  "upstream-unreachable",
] as const;

/** Both ends have ended in order. */
export const CLOSED = 0;
export const CLIENT_RESET = 1;
export const UPSTREAM_RESET = 2;
export const IDLE_TIMEOUT = 3;
export const NO_ROUTE = 4;
/** A filter has refused it. */
export const DENIED = 5;
export const CONNECT_FAILED = 6;
export const CONNECT_TIMEOUT = 7;
export const NO_ENDPOINT = 8;
export const NO_ORIGINAL = 9;
/** The worker has no buffer, or the upstream no room. */
export const OVERLOADED = 10;
/** A listener that passes TLS through got no ClientHello. */
export const NOT_TLS = 11;
export const HELLO_TIMEOUT = 12;
/** Before there was an upstream. */
export const CLIENT_GONE = 13;
/** UDP: the table was full, and this session was used longest ago. */
export const EVICTED = 14;
/** UDP: ICMP says that nobody listens there. */
export const UNREACHABLE = 15;

export type StreamOutcome = number;
