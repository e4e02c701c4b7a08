/**
 * `trace`: W3C trace context in and out, and a span for each request that is sampled, to a collector by OTLP. Who sends a request
 * with a context has decided whether it is sampled; of others a share is. A request that is not sampled passes as it came.
 */
import { internName } from "#http/names.ts";
import { CONTINUE, HOOK_END, HOOK_REQUEST_HEAD, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { BuiltinFilter, type BuiltinServices } from "#plugins/builtin-filter.ts";
import type { TraceConfig } from "#snapshot/builtin-filters.ts";
import { exporterTo, type SpanCounts, type SpanExporter } from "./span-exporter.ts";
import { newId, readTraceParent, traceParent } from "./trace-context.ts";

/** What must be remembered of a sampled exchange: at its end the bytes of its head may be gone. */
interface Begun {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly startMs: number;
}

export class TraceFilter extends BuiltinFilter {
  readonly #share: number;
  readonly #services: BuiltinServices;
  readonly #exporter: SpanExporter;
  readonly #counts: SpanCounts = { exported: 0, dropped: 0 };
  readonly #traceParent = internName("traceparent");
  readonly #traceState = internName("tracestate");

  constructor(config: TraceConfig, services: BuiltinServices) {
    super("trace", HOOK_REQUEST_HEAD | HOOK_END);
    this.#share = config.percent / 100;
    this.#services = services;
    this.#exporter = exporterTo(config, services);
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    const { request } = exchange;
    const sent = request.find(this.#traceParent) >= 0 ? (request.get("traceparent") ?? "") : null;
    const parent = sent === null ? null : readTraceParent(sent);
    // State that belongs to a context which can't be read says nothing (section 3.3).
    if (sent !== null && parent === null) {
      request.remove(this.#traceParent);
      request.remove(this.#traceState);
    }
    if (!(parent?.sampled ?? Math.random() < this.#share)) return CONTINUE;
    const begun: Begun = {
      traceId: parent?.traceId ?? newId(16),
      spanId: newId(8),
      parentSpanId: parent?.spanId ?? "",
      method: request.methodText(),
      path: request.pathText(),
      host: request.hostText(),
      startMs: this.#services.wallMs(),
    };
    const value = Buffer.from(traceParent({ ...begun, sampled: true }), "latin1");
    // Without room for the field the request goes on without it: being seen is not worth a failure.
    if (request.set(this.#traceParent, value, 0, value.length)) exchange.state[position] = begun;
    return CONTINUE;
  }

  override end(exchange: Exchange, position: number): void {
    const begun = exchange.state[position] as Begun | null | undefined;
    if (begun === null || begun === undefined) return;
    const { facts } = exchange;
    const status = facts?.statusSent ?? 0;
    const { traceId, spanId, parentSpanId, method, path, host, startMs } = begun;
    this.#exporter.add({
      counts: this.#counts,
      traceId,
      spanId,
      parentSpanId,
      name: `${method} ${facts?.routeName ?? ""}`.trim(),
      startMs,
      endMs: startMs + (facts?.durationMs ?? 0),
      failed: status === 0 || status >= 500,
      // Names of OpenTelemetry's semantic conventions for HTTP, where they have one.
      attributes: {
        "http.request.method": method,
        "url.path": path,
        "server.address": host,
        "client.address": exchange.clientAddress,
        "http.response.status_code": status,
        "http.route": facts?.routeName ?? "",
        "penstock.upstream": facts?.upstreamAddress ?? "",
        "penstock.outcome": facts?.outcomeCode ?? "",
      },
    });
  }

  override counters(): Readonly<Record<string, number>> {
    return { trace_spans_exported: this.#counts.exported, trace_spans_dropped: this.#counts.dropped };
  }
}
