import { describe, expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { CONTINUE } from "#pipeline/filter.ts";
import { exporterTo } from "#plugins/trace/span-exporter.ts";
import { newId, readTraceParent, traceParent } from "#plugins/trace/trace-context.ts";
import { Clock, made, requestOf, through } from "./exchange.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const CONFIG = { upstream: "collector", path: "/v1/traces", percent: 0, serviceName: "edge", timeoutMs: 100 };
const DONE = { status: 200, headers: [], body: new Uint8Array(0), error: "" };

describe("traceparent", () => {
  it.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    [`00-${TRACE}-${SPAN}-03`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-is`, true],
  ])("%s is one", (value, sampled) => {
    expect(readTraceParent(value)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
  });

  it.each([
    "",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${TRACE}-${SPAN}`,
  ])('"%s" is none', (value) => {
    expect(readTraceParent(value)).toBeNull();
  });

  it("is written as it is read", () => {
    const context = { traceId: newId(16), spanId: newId(8), sampled: true };
    expect(readTraceParent(traceParent(context))).toEqual(context);
  });
});

describe("the filter trace", () => {
  it("goes on with a sampled trace under a span of its own", async () => {
    const clock = new Clock();
    clock.answers.push(DONE);
    const filter = made("trace", CONFIG, clock);
    const exchange = requestOf("GET /a?b=c", `traceparent: 00-${TRACE}-${SPAN}-01`, "tracestate: v=1");
    expect(through(filter, exchange)).toBe(CONTINUE);
    const sent = defined(readTraceParent(exchange.request.get("traceparent") ?? ""), "a context");
    expect([sent.traceId, sent.sampled, exchange.request.get("tracestate")]).toEqual([TRACE, true, "v=1"]);
    expect(sent.spanId).not.toBe(SPAN);
    filter.end(exchange, 0);
    await exporterTo(CONFIG, clock).flush();
    expect(clock.asked).toHaveLength(1);
    const { upstream, request } = defined(clock.asked[0], "an export");
    expect([upstream, request.method, request.path]).toEqual(["collector", "POST", "/v1/traces"]);
    expect(JSON.parse(Buffer.from(request.body).toString())).toMatchObject({
      resourceSpans: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "edge" } }] },
          scopeSpans: [{ spans: [{ traceId: TRACE, spanId: sent.spanId, parentSpanId: SPAN, kind: 2 }] }],
        },
      ],
    });
    expect(filter.counters?.()).toEqual({ trace_spans_exported: 1, trace_spans_dropped: 0 });
  });

  it("leaves what is not sampled as it is, and drops a context that is none", () => {
    const filter = made("trace", CONFIG);
    const given = `00-${TRACE}-${SPAN}-00`;
    const unsampled = requestOf("GET /", `traceparent: ${given}`);
    through(filter, unsampled);
    expect([unsampled.request.get("traceparent"), unsampled.state[0] ?? null]).toEqual([given, null]);
    const broken = requestOf("GET /", "traceparent: 00-nonsense", "tracestate: v=1");
    through(filter, broken);
    expect([broken.request.get("traceparent"), broken.request.get("tracestate")]).toEqual([undefined, undefined]);
  });

  it("begins a trace for its share of the others, and drops what nobody takes", async () => {
    const clock = new Clock();
    const config = { ...CONFIG, percent: 100 };
    const filter = made("trace", config, clock);
    for (let i = 0; i < 3000; i++) {
      const exchange = requestOf("GET /");
      through(filter, exchange);
      expect(readTraceParent(exchange.request.get("traceparent") ?? "")?.sampled).toBe(true);
      filter.end(exchange, 0);
    }
    await exporterTo(config, clock).flush();
    await expect.poll(() => filter.counters?.()["trace_spans_dropped"]).toBe(3000);
    expect(clock.asked.every(({ request }) => request.body.length < 2 ** 20)).toBe(true);
  });
});
