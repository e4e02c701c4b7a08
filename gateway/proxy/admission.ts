/** What is looked at before any filter is: whether a request can be served at all, and by which route. */
import { FRAMING_LENGTH, METHOD_CONNECT, type Head } from "#http/head.ts";
import type { Buffers } from "#io/buffers.ts";
import type { PeerCertificate } from "#net/tls/peer.ts";
import type { Router } from "#router/router.ts";
import type { Engine, Route } from "./engine.ts";
import * as outcomes from "./outcomes.ts";

/** With less than 1/32 of the buffers left, new requests are answered 503, and streams and handshakes are not begun: what is under way needs the rest to end. */
const SHED_SHIFT = 5;

/** Whether what is new has to be refused. */
export function isShort({ free, count }: Pick<Buffers, "free" | "count">): boolean {
  return free < count >> SHED_SHIFT;
}

/** The number of the request's route on this listener; below zero when there is none: `refusedFor` says why. */
export function admit(
  request: Head,
  engine: Engine,
  listener: number,
  certificate: PeerCertificate | null,
  buffers: Buffers,
): number {
  const connects = request.method === METHOD_CONNECT ? engine.connectRouter(listener) : null;
  if (connects?.empty === true) return ~outcomes.METHOD_UNSUPPORTED;
  if (isShort(buffers)) return ~outcomes.OVERLOADED;
  const fields = engine.certificateFields;
  if (fields !== null && !fields.apply(request, listener, certificate)) return ~outcomes.HEAD_TOO_LONG;
  const index = connects?.match(request) ?? (engine.routing.routers[listener] as Router).match(request);
  return index < 0 ? ~outcomes.NO_ROUTE : index;
}

export function refusedFor(admission: number): outcomes.Outcome {
  return ~admission;
}

/** A body whose length is known need not be begun when it is too long. */
export function isTooLong(request: Head, route: Route): boolean {
  return request.framing === FRAMING_LENGTH && request.contentLength > route.bodyBytesMax;
}
