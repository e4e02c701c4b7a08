/** What the snapshot in force would do with a request nobody has sent: the router's own answer, in names. */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { Head, METHOD_CONNECT } from "#http/head.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Engine, Route } from "#proxy/engine.ts";
import { refusalOf } from "#http/refusals.ts";
import type { Explanation } from "#router/explain.ts";
import { explainStream } from "./explain-stream.ts";
import type { ExplainRequest, ExplainResult } from "./protocol.ts";

const NOTHING = { route: null, tenant: null, filters: [], upstreams: [] } as const;

export function explainRequest(context: WorkerContext, engine: Engine | null, request: ExplainRequest): ExplainResult {
  if (engine === null) return { ...NOTHING, reason: "no snapshot is in force" };
  const { listeners } = engine.snapshot;
  const listener = request.listener === null ? 0 : listeners.findIndex((one) => one.name === request.listener);
  const router = engine.routing.routers[listener];
  if (router === undefined) return { ...NOTHING, reason: `there is no listener ${request.listener ?? ""}`.trim() };
  const streams = engine.streamRouters[listener] ?? null;
  if (streams !== null) return explainStream(engine, streams, request);
  const head = new Head(context.scratch);
  const buffer = context.buffers.allocate();
  if (buffer < 0) return { ...NOTHING, reason: "the worker is at its memory bound" };
  try {
    const start = buffer * BUFFER_BYTES;
    const bytes = Buffer.from(textOf(request), "latin1").subarray(0, BUFFER_BYTES);
    context.buffers.memory.set(bytes, start);
    const parsed = parseRequestHead(head, start, start + bytes.length, engine.limits);
    if (parsed <= 0) return { ...NOTHING, reason: `the request would be refused: ${refusalWords(parsed)}` };
    const connects = head.method === METHOD_CONNECT ? engine.connectRouter(listener) : null;
    if (connects?.empty === true) return { ...NOTHING, reason: "no route of this listener takes CONNECT" };
    return result(engine, connects?.explain(head) ?? router.explain(head));
  } finally {
    head.reset();
    context.buffers.release(buffer);
  }
}

function textOf(request: ExplainRequest): string {
  const fields = request.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  // The target of a CONNECT is its host, and it has no path.
  const target = request.method === "CONNECT" ? request.host : request.path;
  return `${request.method} ${target} HTTP/1.1\r\nhost: ${request.host}\r\n${fields}\r\n`;
}

function refusalWords(parsed: number): string {
  if (parsed === 0) return "the head is not whole";
  const { status, detail } = refusalOf(parsed);
  return `${status}, ${detail}`;
}

function result(engine: Engine, explanation: Explanation): ExplainResult {
  const lines = explanation.considered.map((one) => `${one.name} (${one.host}): ${one.outcome}, ${one.detail}`);
  if (explanation.otherHosts > 0) lines.push(`${explanation.otherHosts} routes are for other hosts`);
  const reason = lines.length === 0 ? "this listener has no routes" : lines.join("\n");
  if (explanation.route < 0) return { ...NOTHING, reason };
  const route = engine.route(explanation.route);
  return {
    route: route.spec.name,
    tenant: route.spec.tenant,
    filters: route.chain.map(({ name }, i) => ({
      name,
      runs: route.spec.filters[i]?.kind === "plugin" ? "wasm" : "built-in",
    })),
    upstreams: upstreamNames(route),
    reason,
  };
}

function upstreamNames(route: Route): string[] {
  if (route.split === null) return ["original"];
  return route.split.parts.map(({ upstream, weight }) => `${upstream.name} (${weight})`);
}
