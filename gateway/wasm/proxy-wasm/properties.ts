/**
 * `proxy_get_property`: what is known of a stream, by the paths that the specification and Envoy's attributes give it.
 * Encodings (Envoy's, which plugins are written for): text as it is; whole numbers and times as little-endian 64-bit, times
 * in nanoseconds; truth as one byte; maps serialised.
 */
import type { Exchange, ExchangeFacts } from "#pipeline/filter.ts";
import { MAP_RESPONSE_HEADERS } from "./abi.ts";
import { HEAD_BEFORE, HttpContext, type StreamContext } from "./contexts.ts";
import { encodePairs } from "./pairs.ts";
import type { PluginIdentity } from "./identity.ts";

/** Null: there is no such property, or it has no value now. */
export type Property = string | number | bigint | boolean | Uint8Array | null;

const US_PER_MS = 1000;
const NS_PER_US = 1000n;

/** Segments are separated by a NUL; a last one is of the SDKs that end texts with it. */
export function pathOf(text: string): string {
  const trimmed = text.endsWith("\0") ? text.slice(0, -1) : text;
  return trimmed.replaceAll("\0", ".");
}

export function encodeProperty(value: Exclude<Property, null>): Uint8Array {
  if (typeof value === "string") return Buffer.from(value, "utf8");
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (value instanceof Uint8Array) return value;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt.asIntN(64, typeof value === "bigint" ? value : BigInt(Math.round(value))));
  return bytes;
}

export function propertyOf(
  path: string,
  identity: Pick<PluginIdentity, "name" | "rootId" | "vmId">,
  context: StreamContext | null,
  nowMs: number,
): Property {
  const set = context?.properties?.get(path);
  if (set !== undefined) return set;
  const own = ofPlugin(path, identity);
  if (own !== null || context === null) return own;
  const dot = path.indexOf(".");
  const [object, field] = dot < 0 ? ["", path] : [path.slice(0, dot), path.slice(dot + 1)];
  const http = context instanceof HttpContext ? context : null;
  switch (object) {
    case "request":
      return http === null || http.exchange === null ? null : ofRequest(field, http.exchange, http, nowMs);
    case "response":
      return http === null ? null : ofResponse(field, http, http.facts);
    case "source":
      return ofAddress(field, context.clientAddress);
    case "destination":
      return ofAddress(field, context.destination);
    case "connection":
      return ofConnection(field, context);
    case "upstream":
      return ofAddress(field, http?.facts?.upstreamAddress ?? "");
    default:
      return ofRoute(path, context);
  }
}

function ofPlugin(path: string, { name, rootId, vmId }: Pick<PluginIdentity, "name" | "rootId" | "vmId">): Property {
  switch (path) {
    case "plugin_name":
      return name;
    case "plugin_root_id":
      return rootId;
    case "plugin_vm_id":
      return vmId;
    default:
      return null;
  }
}

function ofRoute(path: string, context: StreamContext): Property {
  const { routeName } = context;
  switch (path) {
    case "cluster_name":
    case "xds.cluster_name":
      return (context instanceof HttpContext && context.facts?.upstreamName) || null;
    case "route_name":
    case "xds.route_name":
      return routeName === "" ? null : routeName;
    // Traffic towards services: Envoy's `INBOUND`.
    case "listener_direction":
    case "xds.listener_direction":
      return 1;
    default:
      return null;
  }
}

function ofRequest(field: string, exchange: Exchange, { facts, startedMs }: HttpContext, nowMs: number): Property {
  const { request } = exchange;
  if (field.startsWith("headers.")) return request.get(field.slice("headers.".length)) ?? null;
  switch (field) {
    case "path":
      return request.hasQuery ? `${request.pathText()}?${request.queryText()}` : request.pathText();
    case "url_path":
      return request.pathText();
    case "query":
      return request.queryText();
    case "host":
      return request.get("host") ?? request.hostText();
    case "scheme":
      return exchange.scheme ?? "http";
    case "method":
      return request.methodText();
    case "headers":
      return encodePairs(request.entries());
    case "referer":
      return request.get("referer") ?? null;
    case "useragent":
      return request.get("user-agent") ?? null;
    case "id":
      return request.get("x-request-id") ?? null;
    case "protocol":
      return request.minor === 0 ? "HTTP/1.0" : "HTTP/1.1";
    case "time":
      return BigInt(Math.round(startedMs * US_PER_MS)) * NS_PER_US;
    case "duration":
      return BigInt(Math.round((nowMs - startedMs) * US_PER_MS)) * NS_PER_US;
    case "size":
      return facts?.requestBytes ?? null;
    case "total_size":
      return facts === null ? null : facts.requestBytes + request.end - request.start;
    default:
      return null;
  }
}

function ofResponse(field: string, context: HttpContext, facts: ExchangeFacts | null): Property {
  // A status is a number: it needs no memory of the head's.
  if (field === "code")
    return context.response.head === HEAD_BEFORE ? null : (context.exchange?.response.status ?? null);
  const map = context.map(MAP_RESPONSE_HEADERS);
  if (map === null) return null;
  const { head } = map;
  if (field.startsWith("headers.")) return head.get(field.slice("headers.".length)) ?? null;
  switch (field) {
    case "headers":
      return encodePairs(head.entries());
    case "flags":
      return 0;
    case "size":
      return facts?.responseBytes ?? null;
    case "total_size":
      return facts === null ? null : facts.responseBytes + head.end - head.start;
    case "grpc_status": {
      const status = head.get("grpc-status");
      return status === undefined ? null : Number(status);
    }
    default:
      return null;
  }
}

/** `203.0.113.7:443`, `[2001:db8::7]:443`, `unix:/run/a.sock`. */
function ofAddress(field: string, address: string): Property {
  if (address === "") return null;
  if (field === "address") return address;
  const port = /[^:]:(\d+)$/.exec(address)?.[1];
  return field !== "port" || port === undefined ? null : Number(port);
}

function ofConnection(field: string, context: StreamContext): Property {
  const { certificate } = context;
  const named = (kind: string): string | null =>
    certificate?.alternativeNames.find((name) => name.startsWith(kind))?.slice(kind.length) ?? null;
  switch (field) {
    case "mtls":
      return certificate !== null;
    case "tls_version":
      return context.tlsVersion === "" ? null : context.tlsVersion;
    case "requested_server_name":
      return context.serverName === "" ? null : context.serverName;
    case "subject_peer_certificate":
      return certificate?.subject ?? null;
    case "dns_san_peer_certificate":
      return named("DNS:");
    case "uri_san_peer_certificate":
      return named("URI:");
    case "sha256_peer_certificate_digest":
      return certificate?.fingerprint ?? null;
    default:
      return null;
  }
}
