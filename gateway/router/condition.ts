/**
 * What a route asks of a request, in the form the tables and `explain` share: one condition for each of its hosts.
 *
 * Precedence among the conditions that a request meets, the first difference deciding (Gateway API, HTTPRoute):
 * exact host, longer wildcard, no host · exact path, longer prefix · some method · more headers · the older route.
 */
import type { RouteSpec } from "#snapshot/snapshot.ts";

export const HOST_ANY = 0;
export const HOST_WILDCARD = 1;
export const HOST_EXACT = 2;
export type HostKind = typeof HOST_ANY | typeof HOST_WILDCARD | typeof HOST_EXACT;

export interface HeaderCondition {
  readonly name: string;
  /** Latin-1 text of the bytes to meet. */
  readonly value: string;
}

/** All texts are Latin-1: one character stands for one byte on the wire. */
export interface Condition {
  /** Its number. */
  readonly route: number;
  readonly hostKind: HostKind;
  /** As the route has it; empty for any host. */
  readonly pattern: string;
  /** `shop.example.com` · `.example.com` with its dot for `*.example.com` · empty for any host. */
  readonly host: string;
  readonly pathExact: boolean;
  /** A prefix stands without its trailing slash: `/` is the empty prefix. */
  readonly path: string;
  /** Sorted, each once. Empty: every method. */
  readonly methods: readonly string[];
  /** Sorted by name, each name once. */
  readonly headers: readonly HeaderCondition[];
  /** Creation order; a tie goes to the lower index. */
  readonly order: number;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** One character for each byte of the UTF-8 form, which is what clients send. */
function octets(text: string): string {
  if (isAscii(text)) return text;
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Sorted and each name once; null when one name must have two values, which no request can meet. */
function headersOf(route: RouteSpec): readonly HeaderCondition[] | null {
  if (route.match.headers.length === 0) return [];
  const values = new Map<string, string>();
  for (const { name, value } of route.match.headers) {
    const known = values.get(name);
    if (known !== undefined && known !== value) return null;
    values.set(name, value);
  }
  return [...values.keys()].sort().map((name) => ({ name, value: octets(values.get(name) ?? "") }));
}

/** `/orders/` matches what `/orders` does (Gateway API: element by element), so one trailing slash is dropped. */
export function prefixKey(value: string): string {
  return value.endsWith("/") ? value.slice(0, -1) : value;
}

function distinct(texts: readonly string[]): readonly string[] {
  return texts.length < 2 ? texts : [...new Set(texts)];
}

/** The conditions of one route, one a host; none when no request can meet them but a CONNECT (connect-router.ts). */
export function conditionsOf(route: RouteSpec, index: number): Condition[] {
  const { match } = route;
  if (route.connect !== undefined) return [];
  const headers = headersOf(route);
  if (headers === null) return [];
  const pathExact = match.path.kind === "exact";
  const path = octets(pathExact ? match.path.value : prefixKey(match.path.value));
  const methods = distinct(match.methods).map(octets).sort();
  const hosts = match.hosts.length === 0 ? [""] : distinct(match.hosts);
  return hosts.map((host) => {
    const hostKind = host === "" ? HOST_ANY : host.startsWith("*.") ? HOST_WILDCARD : HOST_EXACT;
    const key = octets(hostKind === HOST_WILDCARD ? host.slice(1) : host);
    return { route: index, hostKind, pattern: host, host: key, pathExact, path, methods, headers, order: route.order };
  });
}

/** Sorts the condition that wins first. */
export function comparePrecedence(a: Condition, b: Condition): number {
  return (
    b.hostKind - a.hostKind ||
    b.host.length - a.host.length ||
    Number(b.pathExact) - Number(a.pathExact) ||
    b.path.length - a.path.length ||
    Math.sign(b.methods.length) - Math.sign(a.methods.length) ||
    b.headers.length - a.headers.length ||
    a.order - b.order ||
    a.route - b.route
  );
}

/** `*.example.com`, as the operator wrote it; `any host` where the route names none. */
export function hostText(condition: Condition): string {
  if (condition.hostKind === HOST_ANY) return "any host";
  return condition.hostKind === HOST_WILDCARD ? `*${condition.host}` : condition.host;
}
