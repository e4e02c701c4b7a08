/** What remains of an exchange that has ended: counts, and a line of the access log when that is on. */
import type { Head } from "#http/head.ts";
import { REQUEST_BODY_BYTES, RESPONSE_BODY_BYTES } from "#observe/counters.ts";
import type { Asker } from "./asker.ts";
import type { ListenerContext } from "./context.ts";
import type { Route } from "./engine.ts";
import { OUTCOMES, type Outcome } from "./outcomes.ts";

/** What is read of an exchange that has ended. */
export interface Ended {
  readonly request: Head;
  readonly startMs: number;
  readonly clientAddress: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly routeName: string;
  readonly upstreamAddress: string;
  readonly asker: Asker;
}

/** `route`: null when none was found. `status`: 0 when none was sent. `requestKept`: the bytes of the request head are still there to be read. */
export function recordEnd(
  { worker, meter }: ListenerContext,
  exchange: Ended,
  route: Route | null,
  outcome: Outcome,
  status: number,
  requestKept: boolean,
): void {
  const { counters, accessLog } = worker;
  counters.ended(outcome, status);
  counters.add(REQUEST_BODY_BYTES, exchange.requestBytes);
  counters.add(RESPONSE_BODY_BYTES, exchange.responseBytes);
  const durationMs = worker.loop.nowMs - exchange.startMs;
  const { requestBytes, responseBytes } = exchange;
  meter.ended(status, requestBytes, responseBytes, durationMs);
  if (route !== null) {
    route.meter ??= worker.meters.route(route.spec.tenant, route.spec.name);
    route.meter.ended(status, requestBytes, responseBytes, durationMs);
  }
  if (!accessLog.enabled) return;
  const request = exchange.request;
  accessLog.add({
    timeMs: Date.now() - durationMs,
    client: exchange.clientAddress,
    method: requestKept ? request.methodText() : "-",
    host: requestKept ? request.hostText() : "-",
    target: requestKept ? request.targetText() : "-",
    status,
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    durationMs,
    route: exchange.routeName,
    upstream: exchange.upstreamAddress,
    outcome: OUTCOMES[outcome]?.code ?? "unknown",
    requestId: exchange.asker.knownId,
  });
}
