/**
 * What a route asks of a stream (a TCP connection, a TLS connection that passes through, a UDP session), one condition for
 * each combination of its names, destinations and sources.
 *
 * Precedence among the conditions that a stream meets, the first difference deciding: exact server name, longer wildcard,
 * no name · longer destination prefix · a port · longer source prefix · the older route.
 */
import { formatPrefix, parsePrefix, prefixContains, type Prefix } from "#core/address.ts";
import type { StreamRouteSpec } from "#snapshot/snapshot.ts";

/** A stream as its routes see it. */
export interface RoutedStream {
  /** Of the ClientHello, lower case; empty: none, or not TLS. */
  readonly serverName: string;
  /** 16 bytes. */
  readonly source: Uint8Array;
  /** Where a steered client wanted to go: 16 bytes and a port; null: not known. */
  readonly destination: Uint8Array | null;
  readonly destinationPort: number;
}

export interface StreamCondition {
  /** Index into the snapshot's stream routes. */
  readonly route: number;
  /** `db.example.com` · `.example.com` with its dot for `*.example.com` · empty for any. */
  readonly name: string;
  readonly wildcard: boolean;
  readonly source: Prefix | null;
  readonly destination: Prefix | null;
  /** 0: any. */
  readonly port: number;
  readonly order: number;
}

/** Of one route: at least one. */
export function streamConditionsOf(route: StreamRouteSpec, index: number): StreamCondition[] {
  const names = route.match.serverNames.length === 0 ? [""] : route.match.serverNames;
  const sources = route.match.sources.length === 0 ? [null] : route.match.sources.map((text) => parsePrefix(text));
  const destinations: readonly { prefix: string; port: number }[] =
    route.match.destinations.length === 0 ? [{ prefix: "", port: 0 }] : route.match.destinations;
  return names.flatMap((pattern) => {
    const wildcard = pattern.startsWith("*.");
    const name = wildcard ? pattern.slice(1) : pattern;
    return destinations.flatMap(({ prefix, port }) => {
      const destination = prefix === "" ? null : parsePrefix(prefix);
      return sources.map((source) => ({ route: index, name, wildcard, source, destination, port, order: route.order }));
    });
  });
}

const bitsOf = (prefix: Prefix | null): number => (prefix === null ? -1 : prefix.bits);
const nameRank = (one: StreamCondition): number => (one.name === "" ? 0 : one.wildcard ? 1 : 2);

/** Sorts the condition that wins first. */
export function compareStreamPrecedence(a: StreamCondition, b: StreamCondition): number {
  return (
    nameRank(b) - nameRank(a) ||
    b.name.length - a.name.length ||
    bitsOf(b.destination) - bitsOf(a.destination) ||
    Math.sign(b.port) - Math.sign(a.port) ||
    bitsOf(b.source) - bitsOf(a.source) ||
    a.order - b.order ||
    a.route - b.route
  );
}

export function takesName(condition: StreamCondition, name: string): boolean {
  if (condition.name === "") return true;
  if (!condition.wildcard) return name === condition.name;
  return name.length > condition.name.length && name.endsWith(condition.name);
}

/** Everything but the name, which tables have looked up. Null: met; else what the stream is not, for people. */
export function refusesPlace(
  condition: StreamCondition,
  stream: RoutedStream,
): "destination" | "port" | "source" | null {
  if (condition.destination !== null) {
    if (stream.destination === null || !prefixContains(condition.destination, stream.destination)) return "destination";
  }
  if (condition.port !== 0 && (stream.destination === null || stream.destinationPort !== condition.port)) return "port";
  return condition.source === null || prefixContains(condition.source, stream.source) ? null : "source";
}

/** `10.1.0.0/16:443`, for people. */
export function placeText({ destination, port, source }: StreamCondition): string {
  const to = destination === null ? "any address" : formatPrefix(destination);
  return `to ${to}${port === 0 ? "" : ` port ${port}`} from ${source === null ? "anywhere" : formatPrefix(source)}`;
}
