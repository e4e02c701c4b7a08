/**
 * Why a request got the route it got. Works condition by condition from the routes themselves, not from the tables:
 * slow, allocating, and a second opinion.
 */
import { internName } from "#http/names.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import {
  type Condition,
  comparePrecedence,
  conditionsOf,
  HOST_ANY,
  HOST_EXACT,
  hostText,
  type HeaderCondition,
} from "./condition.ts";
import type { RoutedHead } from "./routed-head.ts";

/** `chosen`; `outranked`: it matches too, but comes later; otherwise the first thing that does not match. */
export type Outcome =
  | "chosen"
  | "outranked"
  | "path"
  | "method"
  | "header"
  // Of streams.
  | "destination"
  | "port"
  | "source";

export interface Considered {
  /** Its number. */
  readonly route: number;
  readonly name: string;
  /** The route's host that took the request: `shop.example.com`, `*.example.com`, `any host`. */
  readonly host: string;
  readonly outcome: Outcome;
  /** One clause for people, e.g. `path /cart is not below /orders`. */
  readonly detail: string;
}

export interface Explanation {
  /** Number of the chosen route, or −1: the request is answered 404. */
  readonly route: number;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** In order of precedence. */
  readonly considered: readonly Considered[];
  /** Routes of this listener that were not considered: none of their hosts is the request's, or no request can meet them. */
  readonly otherHosts: number;
}

/** The request as Latin-1 text. */
interface Request {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly head: RoutedHead;
}

function text(memory: Uint8Array, start: number, end: number): string {
  return end > start ? Buffer.from(memory.subarray(start, end)).toString("latin1") : "";
}

function fieldValue(head: RoutedHead, name: string): string | null {
  const id = internName(name);
  const values: string[] = [];
  for (let index = head.find(id, 0); index >= 0; index = head.find(id, index + 1)) {
    values.push(text(head.memory, head.valueStart(index), head.valueEnd(index)));
  }
  return values.length === 0 ? null : values.join(",");
}

function takesHost(condition: Condition, host: string): boolean {
  if (condition.hostKind === HOST_ANY) return true;
  if (condition.hostKind === HOST_EXACT) return host !== "" && host === condition.host;
  return host.length > condition.host.length && host.endsWith(condition.host);
}

function refusedHeader(headers: readonly HeaderCondition[], head: RoutedHead): string | null {
  for (const { name, value } of headers) {
    const sent = fieldValue(head, name);
    if (sent === null) return `header ${name} is not there; it must be ${JSON.stringify(value)}`;
    if (sent !== value) return `header ${name} is ${JSON.stringify(sent)}, not ${JSON.stringify(value)}`;
  }
  return null;
}

/** What the condition, whose host fits, does not like; null when it is met. */
function refusal(condition: Condition, request: Request): Refusal | null {
  const { path } = request;
  if (condition.pathExact && path !== condition.path) {
    return { outcome: "path", detail: `path ${path} is not ${condition.path}` };
  }
  if (!condition.pathExact && condition.path !== "" && path !== condition.path) {
    if (!condition.path.startsWith("/") || !path.startsWith(`${condition.path}/`)) {
      return { outcome: "path", detail: `path ${path} is not below ${condition.path}` };
    }
  }
  if (condition.methods.length > 0 && !condition.methods.includes(request.method)) {
    return { outcome: "method", detail: `method ${request.method} is not ${condition.methods.join(" or ")}` };
  }
  const header = refusedHeader(condition.headers, request.head);
  return header === null ? null : { outcome: "header", detail: header };
}

/** What a route does not like of a request: the first thing that does not match. */
export interface Refusal {
  readonly outcome: Outcome;
  readonly detail: string;
}

/** `refuse`: conditions beside those that all requests have; of the route at that index, null when they are met. */
export function explain(
  routes: readonly RouteSpec[],
  listener: number,
  head: RoutedHead,
  chosen: number,
  refuse: (index: number) => Refusal | null = () => null,
): Explanation {
  const request: Request = {
    method: text(head.memory, head.methodStart, head.methodEnd),
    host: text(head.memory, head.hostStart, head.hostEnd),
    path: text(head.memory, head.pathStart, head.pathEnd),
    head,
  };
  const conditions: Condition[] = [];
  let otherHosts = 0;
  for (let i = 0; i < routes.length; i++) {
    const route = routes[i] as RouteSpec;
    // Those that take CONNECT take nothing else.
    if (!route.listeners.includes(listener) || route.connect !== undefined) continue;
    const fitting = conditionsOf(route, i).filter((condition) => takesHost(condition, request.host));
    if (fitting.length === 0) otherHosts++;
    conditions.push(...fitting);
  }
  conditions.sort(comparePrecedence);
  let found = false;
  const considered = conditions.map((condition): Considered => {
    const subject = { route: condition.route, name: routes[condition.route]?.name ?? "", host: hostText(condition) };
    const refused = refuse(condition.route) ?? refusal(condition, request);
    if (refused !== null) return { ...subject, ...refused };
    if (found) return { ...subject, outcome: "outranked", detail: "matches, but comes after the chosen route" };
    found = true;
    return { ...subject, outcome: "chosen", detail: "the first that matches" };
  });
  return { route: chosen, method: request.method, host: request.host, path: request.path, considered, otherHosts };
}
