/** The parts of an upstream that say who gets a request, who is well, and what is tried again. */
import * as v from "valibot";
import { fields } from "./fields.ts";
import { choice, integer, list, text } from "./primitives.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_SECONDS = 86_400;

const cookieName = v.pipe(
  text,
  v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/, "a cookie's name is a token of at most 64 characters"),
);

const balancerKey = v.pipe(
  text,
  v.regex(
    /^(?:client-ip|path|header:[!#$%&'*+.^_`|~0-9a-z-]{1,128}|cookie:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}|query:[A-Za-z0-9._~-]{1,64})$/,
    "a key is client-ip, path, header:NAME (lower case), cookie:NAME or query:NAME",
  ),
);

export const Balancer = fields("a balancer", {
  type: choice("balancer", ["round-robin", "least-request", "random", "ring-hash", "maglev"]),
  /** What ring-hash and maglev choose by. */
  key: v.optional(balancerKey),
  /** A client stays with its endpoint by a cookie that the gateway sets. */
  sticky: v.optional(
    fields("stickiness", {
      cookie: v.optional(cookieName, "penstock-endpoint"),
      /** 0: until the browser closes. */
      ttlSeconds: v.optional(integer(0, 365 * DAY_SECONDS), 0),
    }),
  ),
});

export const HealthCheck = fields(
  "a health check",
  {
    type: choice("type", ["http", "tcp"], ["grpc"]),
    path: v.optional(
      v.pipe(text, v.regex(/^\/[\x21-\x22\x24-\x7e]{0,1023}$/, "a path starts with / and has no white space")),
    ),
    /** Left out: the endpoint's address. */
    host: v.optional(v.pipe(text, v.regex(/^[A-Za-z0-9.:[\]-]{1,253}$/, "a host, with a port where it needs one"))),
    /** The lowest and the highest status that is healthy. */
    statuses: v.optional(
      v.pipe(list(integer(100, 599), 2), v.length(2, "write the lowest and the highest status: [200, 399]")),
    ),
    intervalMs: v.optional(integer(100, HOUR_MS), 5000),
    timeoutMs: v.optional(integer(10, MINUTE_MS), 1000),
    unhealthyThreshold: v.optional(integer(1, 100), 3),
    healthyThreshold: v.optional(integer(1, 100), 2),
  },
  { port: "a port of its own for checks" },
);

export const OutlierDetection = fields("outlier detection", {
  consecutiveErrors: v.optional(integer(1, 1000), 5),
  baseEjectionMs: v.optional(integer(100, HOUR_MS), 30_000),
  maxEjectionMs: v.optional(integer(100, 24 * HOUR_MS), 300_000),
  maxEjectionPercent: v.optional(integer(1, 100), 50),
});

const SHARED =
  "Of the whole gateway: each worker has an equal part of it, rounded up, so that a limit of 10 with 4 workers is one of 3 each and 12 at most.";

export const UpstreamLimits = fields("limits", {
  connections: v.optional(
    v.pipe(
      integer(0, 1_000_000),
      v.description(`Connections to each endpoint at one time; 0: without bound. ${SHARED}`),
    ),
    0,
  ),
  requests: v.optional(
    v.pipe(
      integer(0, 1_000_000),
      v.description(
        `Requests at each endpoint at one time; 0: without bound. Over HTTP/1 one takes a connection, and a TCP stream or a UDP session counts as one: the smaller of both limits holds. ${SHARED}`,
      ),
    ),
    0,
  ),
  queue: v.optional(
    v.pipe(
      integer(0, 100_000),
      v.description(
        `Requests and TCP streams that may wait for an endpoint of the upstream; 0: none waits. UDP sessions never wait: what finds no place is dropped. ${SHARED}`,
      ),
    ),
    0,
  ),
  queueMs: v.optional(
    v.pipe(
      integer(1, MINUTE_MS),
      v.description("How long one waits before it is answered 503, or reset where it is a stream, in milliseconds."),
    ),
    1000,
  ),
});

const condition = v.pipe(
  text,
  v.regex(
    /^(?:connect-failure|reset|timeout|5xx|[45]\d\d)$/,
    'a reason to try again is connect-failure, reset, timeout, "5xx" or a status from 400 to 599 in quotes',
  ),
);

export const Retry = fields("retries", {
  attempts: v.optional(
    v.pipe(
      integer(1, 10),
      v.description(
        "Further attempts after the first. A TCP stream is tried again until it is connected, with `connect-failure` in `on`; once a byte may have left, never. UDP has no attempts.",
      ),
    ),
    1,
  ),
  on: v.optional(list(condition, 32), ["connect-failure", "reset"]),
  budgetPercent: v.optional(integer(0, 100), 20),
  perTryMs: v.optional(integer(0, HOUR_MS), 0),
  /** A longer body is not sent twice. */
  bodyBytesMax: v.optional(integer(0, 1_048_576), 65_536),
  /** A second request to another endpoint while the first is under way, of what may be done twice and has no body; left out: never. */
  hedging: v.optional(fields("hedging", { afterMs: integer(1, MINUTE_MS) })),
});

/** What keeps a client with one part of a route's split. */
export const SplitStickiness = v.pipe(
  fields("stickiness", {
    /** By what a key hashes to: the same at every gateway, and moved only as weights move. */
    key: v.optional(balancerKey),
    /** By a cookie that the first answer sets. */
    cookie: v.optional(cookieName),
    ttlSeconds: v.optional(integer(0, 365 * DAY_SECONDS), 0),
  }),
  v.check(({ key, cookie }) => (key === undefined) !== (cookie === undefined), "give either `key` or `cookie`"),
);
