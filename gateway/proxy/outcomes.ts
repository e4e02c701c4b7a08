/**
 * How an exchange ends: a closed set, in the access log, the counters and the problem documents. A status of 0 means that
 * the outcome is not answered (the client is gone, or the response was under way).
 */
import { BROKEN_BAD_RESPONSE, BROKEN_NO_BUFFERS, BROKEN_RESET, BROKEN_TIMEOUT, type Broken } from "#upstream/broken.ts";

export interface OutcomeSpec {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
}

export const OK = 0;
/** A filter made the reply. */
export const LOCAL_REPLY = 1;
export const NO_ROUTE = 2;
export const BAD_REQUEST = 3;
export const CLIENT_GONE = 4;
export const CLIENT_TIMEOUT = 5;
export const CONNECT_FAILED = 6;
export const CONNECT_TIMEOUT = 7;
export const UPSTREAM_TIMEOUT = 8;
export const UPSTREAM_CLOSED = 9;
export const UPSTREAM_RESET = 10;
export const UPSTREAM_INVALID = 11;
export const NO_ENDPOINT = 12;
export const NO_ORIGINAL = 13;
export const OVERLOADED = 14;
export const HEAD_TOO_LONG = 15;
export const RESPONSE_CUT = 16;
export const METHOD_UNSUPPORTED = 17;
export const TUNNEL = 18;
export const FILTER_TIMEOUT = 19;
export const NO_HEALTHY_ENDPOINT = 20;
export const UPSTREAM_BUSY = 21;
export const QUEUE_FULL = 22;
export const QUEUE_TIMEOUT = 23;
export const UNRESOLVED = 24;
export const BODY_TOO_LARGE = 25;
export const REQUEST_TIMEOUT = 26;
/** The handshake with the endpoint failed. */
export const UPSTREAM_TLS = 27;
/** The endpoint's certificate is not one that the upstream's settings trust. */
export const UPSTREAM_UNTRUSTED = 28;

export type Outcome = number;

export const OUTCOMES: readonly OutcomeSpec[] = [
  { code: "ok", status: 0, detail: "the upstream's response was delivered" },
  { code: "local-reply", status: 0, detail: "a filter answered" },
  { code: "no-route", status: 404, detail: "no route matches this request" },
  { code: "bad-request", status: 400, detail: "the request is malformed" },
  { code: "client-gone", status: 0, detail: "the client closed the connection before the end" },
  { code: "client-timeout", status: 408, detail: "the client did not send the rest of its request in time" },
  { code: "connect-failed", status: 502, detail: "no endpoint of the upstream accepted a connection" },
  { code: "connect-timeout", status: 504, detail: "no endpoint of the upstream accepted a connection in time" },
  { code: "upstream-timeout", status: 504, detail: "the upstream did not answer in time" },
  { code: "upstream-closed", status: 502, detail: "the upstream closed the connection without a response" },
  { code: "upstream-reset", status: 502, detail: "the upstream broke the connection" },
  { code: "upstream-invalid", status: 502, detail: "the upstream's response is malformed" },
  { code: "no-endpoint", status: 503, detail: "the upstream has no endpoint" },
  { code: "no-original-destination", status: 502, detail: "the connection's original destination is not known" },
  { code: "overloaded", status: 503, detail: "the gateway is at its memory bound" },
  { code: "head-too-long", status: 431, detail: "the head does not fit after the filters' edits" },
  { code: "response-cut", status: 0, detail: "the upstream broke off in the middle of its response" },
  { code: "method-unsupported", status: 501, detail: "no route of this listener takes CONNECT" },
  { code: "tunnel", status: 0, detail: "the connection was upgraded, or a tunnel to the target of a CONNECT" },
  { code: "filter-timeout", status: 504, detail: "a filter did not decide in time" },
  { code: "no-healthy-endpoint", status: 503, detail: "no endpoint of the upstream is healthy" },
  { code: "upstream-busy", status: 503, detail: "every endpoint of the upstream is at its limit" },
  { code: "queue-full", status: 503, detail: "every endpoint of the upstream is at its limit, and too many wait" },
  { code: "queue-timeout", status: 503, detail: "no endpoint of the upstream became free in time" },
  { code: "name-unresolved", status: 503, detail: "the upstream's name has no address" },
  { code: "body-too-large", status: 413, detail: "the request's body is larger than this route takes" },
  { code: "request-timeout", status: 504, detail: "the request took longer than this route allows" },
  { code: "upstream-tls-failed", status: 502, detail: "no TLS connection to the upstream could be made" },
  { code: "upstream-untrusted", status: 502, detail: "the upstream's certificate is not trusted" },
];

/** What a connection that failed the exchange means for it, before anything of the response was sent. */
export function outcomeOf(reason: Broken): Outcome {
  switch (reason) {
    case BROKEN_TIMEOUT:
      return UPSTREAM_TIMEOUT;
    case BROKEN_RESET:
      return UPSTREAM_RESET;
    case BROKEN_BAD_RESPONSE:
      return UPSTREAM_INVALID;
    case BROKEN_NO_BUFFERS:
      return OVERLOADED;
    default:
      return UPSTREAM_CLOSED;
  }
}
