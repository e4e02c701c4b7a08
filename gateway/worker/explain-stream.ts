/**
 * What the snapshot in force would do with a stream that nobody has opened. The URL's host is the server name of the
 * ClientHello, or, as an IP address, where a steered client wanted to go; the field `source` is the client's address.
 */
import { ipOf, portOf, readAddress, readIp } from "#core/address.ts";
import type { Engine } from "#proxy/engine.ts";
import type { StreamRoute } from "#proxy/stream/stream-route.ts";
import type { RoutedStream } from "#router/stream-condition.ts";
import type { StreamRouter } from "#router/stream-router.ts";
import type { ExplainRequest, ExplainResult } from "./protocol.ts";

const NOTHING = { route: null, tenant: null, filters: [], upstreams: [] } as const;
const LOOPBACK = "127.0.0.1";

export function explainStream(engine: Engine, router: StreamRouter, request: ExplainRequest): ExplainResult {
  const from = request.headers.find(([name]) => name === "source")?.[1] ?? LOOPBACK;
  const source = readIp(from);
  if (typeof source === "string") return { ...NOTHING, reason: `source ${from} is no IP address: ${source}` };
  const stream: RoutedStream = { ...placeOf(request.host), source };
  const explanation = router.explain(stream);
  const lines = explanation.considered.map((one) => `${one.name} (${one.host}): ${one.outcome}, ${one.detail}`);
  if (explanation.otherHosts > 0) lines.push(`${explanation.otherHosts} routes are for other names`);
  const reason = lines.length === 0 ? "this listener has no routes" : lines.join("\n");
  const route = engine.streamRoutes[router.match(stream)];
  if (route === undefined) return { ...NOTHING, reason };
  return {
    route: route.spec.name,
    tenant: route.spec.tenant,
    filters: route.filters.map(({ name }) => ({ name, runs: "built-in" })),
    upstreams: upstreamNames(route),
    reason,
  };
}

function placeOf(host: string): Omit<RoutedStream, "source"> {
  const address = readAddress(host);
  if (typeof address !== "string") {
    return { serverName: "", destination: ipOf(address), destinationPort: portOf(address) };
  }
  const ip = readIp(host.replace(/^\[|\]$/g, ""));
  if (typeof ip !== "string") return { serverName: "", destination: ip, destinationPort: 0 };
  return { serverName: host.replace(/:\d+$/, "").toLowerCase(), destination: null, destinationPort: 0 };
}

function upstreamNames(route: StreamRoute): string[] {
  if (route.split === null) return ["original"];
  return route.split.parts.map(({ upstream, weight }) => `${upstream.name} (${weight})`);
}
