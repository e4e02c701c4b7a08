/**
 * What routes that take CONNECT must keep to (RFC 9110 section 9.3.6), and what only they have. Such a request is an authority and header
 * fields: it has no path, no content and no cookies, and nobody follows a redirect of it. What could never matter is refused, not
 * ignored.
 */
import type { RouteResource } from "./declaration.ts";
import type { Draft, Entry } from "./draft.ts";
import type { Report } from "./references.ts";

type Builtin = Extract<RouteResource["filters"][number], { builtin: string }>;

/** Built-in filters that a CONNECT has nothing for, and why. */
const USELESS: Readonly<Record<string, string>> = {
  redirect: "clients follow no redirect of CONNECT",
  rewrite: "a CONNECT has no path and no query, and goes to the host that it names",
  cors: "no script can send a CONNECT",
  compress: "a tunnel has no content that could be coded",
  decompress: "a tunnel has no content that could be coded",
  buffer: "a CONNECT has no body",
  cache: "a tunnel can't be kept",
  "static-files": "a CONNECT has no path",
  mirror: "a copy of a CONNECT would open a second tunnel, with nobody at its end",
};

export function checkConnects(draft: Draft, report: Report): void {
  const streams = new Set(
    draft.listeners.filter(({ value }) => value.protocol !== "http").map(({ value }) => value.name),
  );
  for (const entry of draft.suspects) {
    if (entry.value.connect === undefined) checkOther(entry, report);
    else checkConnect(entry, streams, report);
  }
}

function checkOther({ pointer, value: { match } }: Entry<RouteResource>, report: Report): void {
  const how = "a route takes CONNECT, and nothing else, by `connect: tunnel` or `connect: forward`";
  for (const [index, method] of match.methods.entries()) {
    if (method === "CONNECT") report(`${pointer}/match/methods/${index}`, "PENSTOCK_CONFIG_VALUE", how);
  }
  if (match.ports === undefined) return;
  report(`${pointer}/match/ports`, "PENSTOCK_CONFIG_VALUE", `\`ports\` are those that a CONNECT names: ${how}`);
}

function checkConnect(
  { pointer, value: route }: Entry<RouteResource>,
  streams: ReadonlySet<string>,
  report: Report,
): void {
  const wrong = (place: string, detail: string) => report(`${pointer}/${place}`, "PENSTOCK_CONFIG_VALUE", detail);
  const stream = route.listeners?.find((name) => streams.has(name));
  if (stream !== undefined) {
    wrong("connect", `CONNECT is a request of HTTP, and listener "${stream}" does not speak it`);
    return;
  }
  const { path, methods } = route.match;
  if (path !== undefined && path.prefix !== "/") wrong("match/path", "a CONNECT has no path: remove `path`");
  const other = methods.findIndex((method) => method !== "CONNECT");
  if (other >= 0) wrong(`match/methods/${other}`, "a route with `connect` takes CONNECT alone: remove `methods`");
  if (route.upstream === "original" && route.connect === "tunnel") {
    const detail =
      "where a steered client wanted to go is its proxy, which expects the CONNECT: write `connect: forward`";
    wrong("connect", detail);
  }
  if (route.bodyBytesMax !== undefined) wrong("bodyBytesMax", "a CONNECT has no body: remove `bodyBytesMax`");
  checkStickiness(route, wrong);
  for (const [index, filter] of route.filters.entries()) {
    if ("builtin" in filter) checkFilter(filter, `filters/${index}`, wrong);
  }
}

type Wrong = (place: string, detail: string) => void;

function checkStickiness({ stickiness }: RouteResource, wrong: Wrong): void {
  if (stickiness === undefined) return;
  const { key, cookie } = stickiness;
  if (cookie !== undefined) wrong("stickiness/cookie", "a client that asks for a tunnel keeps no cookies; use `key`");
  if (key === undefined || key === "client-ip" || key.startsWith("header:")) return;
  wrong("stickiness/key", `a CONNECT has no ${key.replace(/:.*/, "")}; the key is client-ip or header:NAME`);
}

function checkFilter(filter: Builtin, place: string, wrong: Wrong): void {
  const { builtin } = filter;
  const useless = USELESS[builtin];
  if (useless !== undefined)
    wrong(`${place}/builtin`, `"${builtin}" is nothing for a route with \`connect\`: ${useless}`);
  if (builtin === "static-response" && filter.config.status < 300) {
    const detail = "a success says that the tunnel stands, and a static response has none: the status is 300 or more";
    wrong(`${place}/config/status`, detail);
  }
  if (builtin === "key-auth" && filter.config.query !== undefined) {
    wrong(`${place}/config/query`, "a CONNECT has no query; use `header`");
  }
  if (builtin !== "jwt") return;
  const { cookie, query } = filter.config.from;
  if (cookie !== undefined)
    wrong(`${place}/config/from/cookie`, "a client that asks for a tunnel sends no cookies; use `header`");
  if (query !== undefined) wrong(`${place}/config/from/query`, "a CONNECT has no query; use `header`");
}
