/**
 * Spans on their way to a collector, by OTLP/HTTP with JSON: gathered, sent a batch at a time, one batch under way, and bounded:
 * while a collector is slow or gone, spans are dropped and counted, and no request waits. What a collector refuses is not sent
 * again: spans are worth less than the memory to keep them. Source: OTLP 1.5, "OTLP/HTTP".
 */
import type { TraceConfig } from "#snapshot/builtin-filters.ts";
import type { BuiltinServices } from "#plugins/builtin-filter.ts";

/** What became of the spans of one route's filter. */
export interface SpanCounts {
  exported: number;
  dropped: number;
}

export interface Span {
  readonly counts: SpanCounts;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the trace begins here. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
}

const QUEUE_MAX = 2048;
/** Of some 700 bytes each: well below the most that a request of the gateway's own may have. */
const BATCH_MAX = 256;
const FLUSH_MS = 1000;
/** SPAN_KIND_SERVER and STATUS_CODE_ERROR of opentelemetry.proto.trace.v1. */
const KIND_SERVER = 2;
const STATUS_ERROR = 2;

type Target = Pick<TraceConfig, "upstream" | "path" | "serviceName" | "timeoutMs">;

const EXPORTERS = new WeakMap<BuiltinServices, Map<string, SpanExporter>>();

/** The same for the same collector, whichever route asks. */
export function exporterTo(target: Target, services: BuiltinServices): SpanExporter {
  const own = EXPORTERS.get(services) ?? new Map<string, SpanExporter>();
  EXPORTERS.set(services, own);
  const key = JSON.stringify([target.upstream, target.path, target.serviceName, target.timeoutMs]);
  const exporter = own.get(key) ?? new SpanExporter(target, services);
  own.set(key, exporter);
  return exporter;
}

export class SpanExporter {
  readonly #target: Target;
  readonly #services: BuiltinServices;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | null = null;
  #sending = false;

  constructor(target: Target, services: BuiltinServices) {
    this.#target = target;
    this.#services = services;
  }

  add(span: Span): void {
    if (this.#waiting.length >= QUEUE_MAX) {
      span.counts.dropped++;
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= BATCH_MAX) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Sends what has gathered; what comes meanwhile is sent after it. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.length > 0) await this.#send(this.#waiting.splice(0, BATCH_MAX));
    this.#sending = false;
  }

  async #send(batch: readonly Span[]): Promise<void> {
    const { upstream, path, serviceName, timeoutMs } = this.#target;
    const body = Buffer.from(JSON.stringify(exportRequest(batch, serviceName)));
    const headers = [["content-type", "application/json"]] as const;
    const { status } = await this.#services.fetch(upstream, { method: "POST", path, headers, body, timeoutMs });
    const outcome = status >= 200 && status < 300 ? "exported" : "dropped";
    for (const { counts } of batch) counts[outcome]++;
  }
}

/** ExportTraceServiceRequest in the JSON mapping of OTLP: ids in hex, 64-bit integers as text. */
function exportRequest(batch: readonly Span[], serviceName: string): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf({ "service.name": serviceName }) },
        scopeSpans: [{ scope: { name: "penstock" }, spans: batch.map(spanOf) }],
      },
    ],
  };
}

function spanOf({ traceId, spanId, parentSpanId, name, startMs, endMs, failed, attributes }: Span): object {
  return {
    traceId,
    spanId,
    ...(parentSpanId === "" ? {} : { parentSpanId }),
    name,
    kind: KIND_SERVER,
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(endMs),
    attributes: attributesOf(attributes),
    ...(failed ? { status: { code: STATUS_ERROR } } : {}),
  };
}

/** A double holds milliseconds since the epoch to a quarter of a microsecond. */
function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}

function attributesOf(attributes: Span["attributes"]): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value },
  }));
}
