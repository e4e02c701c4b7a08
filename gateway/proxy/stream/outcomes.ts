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
  "upstream-tls-failed",
  "upstream-untrusted",
  "upstream-busy",
  "queue-full",
  "queue-timeout",
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
/** None that could be used, whatever its load. */
export const NO_ENDPOINT = 8;
export const NO_ORIGINAL = 9;
/** The worker has no buffer. */
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
/** The handshake with the endpoint failed. */
export const UPSTREAM_TLS = 16;
/** The endpoint's certificate is not one that the upstream's settings trust. */
export const UPSTREAM_UNTRUSTED = 17;
/** Every endpoint is at its limit, and nobody may wait. */
export const UPSTREAM_BUSY = 18;
/** Or too many wait. */
export const QUEUE_FULL = 19;
/** None became free in time. */
export const QUEUE_TIMEOUT = 20;

export type StreamOutcome = number;
