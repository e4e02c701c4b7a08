/** What remains of an exchange that has ended: counts, and a line of the access log when that is on. */
import type { Head } from "#http/head.ts";
import { REQUEST_BODY_BYTES, RESPONSE_BODY_BYTES } from "#observe/counters.ts";
import type { Asker } from "./asker.ts";
import { redactedFields, redactedTarget } from "#observe/redact.ts";
import type { ListenerContext, WorkerContext } from "./context.ts";
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
  const { counters, accessLog, tap } = worker;
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
  if (tap.open) tapped(worker, exchange, route, outcome, status, requestKept);
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

/** For who looks on. */
function tapped(
  { tap, loop }: WorkerContext,
  exchange: Ended,
  route: Route | null,
  outcome: Outcome,
  status: number,
  requestKept: boolean,
): void {
  const name = route === null ? "" : `${route.spec.tenant}/${route.spec.name}`;
  if (!tap.wants(name, loop.nowMs)) return;
  const { request, clientAddress: client, upstreamAddress: upstream, requestBytes, responseBytes } = exchange;
  const durationMs = loop.nowMs - exchange.startMs;
  tap.add({
    timeMs: Date.now() - durationMs,
    client,
    method: requestKept ? request.methodText() : "-",
    host: requestKept ? request.hostText() : "-",
    target: requestKept ? redactedTarget(request.targetText()) : "-",
    headers: requestKept ? redactedFields(request.entries()) : [],
    route: name,
    upstream,
    status,
    outcome: OUTCOMES[outcome]?.code ?? "unknown",
    requestBytes,
    responseBytes,
    durationMs,
  });
}
