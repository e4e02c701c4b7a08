/** The access log's entry of one exchange. Off the hot path: only called when the log is on. */
import type { WorkerContext } from "./context.ts";
import type { Head } from "#http/head.ts";
import { OUTCOMES, type Outcome } from "./outcomes.ts";

/** What the log reads of an exchange that has ended. */
export interface Logged {
  readonly request: Head;
  readonly startMs: number;
  readonly clientAddress: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly routeName: string;
  readonly upstreamAddress: string;
}

/** `requestKept`: the bytes of the request head are still there to be read. */
export function logExchange(
  worker: WorkerContext,
  exchange: Logged,
  outcome: Outcome,
  status: number,
  requestKept: boolean,
): void {
  const durationMs = worker.loop.nowMs - exchange.startMs;
  const request = exchange.request;
  worker.accessLog.add({
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
  });
}
