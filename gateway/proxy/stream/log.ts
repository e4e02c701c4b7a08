/** The access log's entry of one stream. Called when the log is on. */
import type { WorkerContext } from "#proxy/context.ts";
import { STREAM_OUTCOMES, type StreamOutcome } from "./outcomes.ts";

export interface LoggedStream {
  readonly protocol: "TCP" | "TLS" | "UDP";
  readonly client: string;
  /** Of the ClientHello; empty: none. */
  readonly serverName: string;
  /** Where the client wanted to go; empty: to the listener. */
  readonly destination: string;
  readonly startMs: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly route: string;
  readonly upstream: string;
}

export function logStream(worker: WorkerContext, stream: LoggedStream, outcome: StreamOutcome): void {
  const durationMs = worker.loop.nowMs - stream.startMs;
  worker.accessLog.add({
    timeMs: Date.now() - durationMs,
    client: stream.client,
    method: stream.protocol,
    host: stream.serverName === "" ? "-" : stream.serverName,
    target: stream.destination === "" ? "-" : stream.destination,
    status: 0,
    requestBytes: stream.bytesReceived,
    responseBytes: stream.bytesSent,
    durationMs,
    route: stream.route,
    upstream: stream.upstream,
    outcome: STREAM_OUTCOMES[outcome] ?? "unknown",
    requestId: "",
  });
}
