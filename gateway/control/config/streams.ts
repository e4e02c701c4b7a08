/**
 * What listeners of streams and their routes must keep to. A route serves listeners of one protocol, and that says which
 * fields of its match and which filters mean anything: what could never matter is refused, not ignored.
 *
 *                     hosts   path, methods, headers   sources   destinations   filters
 *     http            Host            yes                no          no         all
 *     tls-passthrough server name     no                 yes     transparent    plugins, ip-access, rate-limit
 *     tcp with `tls`  server name     no                 yes     transparent    plugins, ip-access, rate-limit
 *     tcp, udp        no              no                 yes     transparent    plugins, ip-access, rate-limit
 *
 * Left out, `hosts` are the tenant's where every client has to name one. Clients of TCP need not, and a route may serve a listener with
 * TLS beside one without: there it means whatever name is asked for, or none.
 */
import type { ListenerResource, RouteResource } from "./declaration.ts";
import { upstreamsFor, type Draft, type Entry } from "./draft.ts";
import { keyOf } from "./kinds.ts";
import type { Report } from "./references.ts";

/** Built-in filters that decide on a whole stream. */
const STREAM_FILTERS: readonly string[] = ["ip-access", "rate-limit"];

/** `actor`: the tenant whose token makes the change; undefined for an operator. */
export function checkStreams(draft: Draft, actor: string | undefined, report: Report): void {
  for (const entry of draft.listeners) checkListener(entry, report);
  const listeners = new Map(draft.listeners.map(({ value }) => [value.name, value]));
  for (const entry of draft.suspects) checkRoute(entry, listeners, draft, actor, report);
}

function checkListener({ pointer, value }: Entry<ListenerResource>, report: Report): void {
  const only = (field: string, given: unknown, protocols: string) => {
    if (given === undefined) return;
    const detail = `\`${field}\` is for listeners of ${protocols}, and this one is ${value.protocol}; remove it`;
    report(`${pointer}/${field}`, "PENSTOCK_CONFIG_VALUE", detail);
  };
  const { protocol } = value;
  if (protocol === "http") only("idleTimeoutMs", value.idleTimeoutMs, "tcp, udp and tls-passthrough");
  if (protocol !== "udp") only("sessionsMax", value.sessionsMax, "udp");
  if (protocol === "udp") {
    only("proxyProtocol", value.proxyProtocol, "http, tcp and tls-passthrough");
    only("splice", value.splice, "http, tcp and tls-passthrough");
    if (value.address.startsWith("unix:")) {
      report(`${pointer}/address`, "PENSTOCK_CONFIG_ADDRESS", "a udp listener has an IP address and a port");
    }
  }
}

function checkRoute(
  { pointer, value: route }: Entry<RouteResource>,
  listeners: ReadonlyMap<string, ListenerResource>,
  draft: Draft,
  actor: string | undefined,
  report: Report,
): void {
  const named = (route.listeners ?? []).flatMap((name) => listeners.get(name) ?? []);
  // A listener that is not there, or is not understood, was reported as such.
  if (named.length < (route.listeners ?? []).length) return;
  const protocol = named[0]?.protocol ?? "http";
  const other = named.find((one) => one.protocol !== protocol);
  if (other !== undefined) {
    const detail = `"${named[0]?.name}" is ${protocol} and "${other.name}" is ${other.protocol}: a route serves listeners of one protocol`;
    report(`${pointer}/listeners`, "PENSTOCK_CONFIG_VALUE", detail);
    return;
  }
  if (protocol === "http") {
    checkHttpMatch(pointer, route, report);
    return;
  }
  checkStreamMatch(pointer, route, protocol, named, report);
  checkStreamFilters(pointer, route, protocol, report);
  if (protocol === "udp") checkDatagramEndpoints(pointer, route, draft, report);
  // Hosts part tenants from each other. Without them, what one takes another does not get.
  if (actor === undefined || protocol === "tls-passthrough" || route.match.hosts !== undefined) return;
  const granted = draft.tenants.find(({ value }) => value.name === route.tenant)?.value.allow.listeners;
  if (granted !== undefined) return;
  const detail = `a ${protocol} listener serves a tenant's own routes only where the operator has granted it in \`allow.listeners\``;
  report(`${pointer}/listeners`, "PENSTOCK_CONFIG_GRANT", detail);
}

function checkHttpMatch(pointer: string, { match }: RouteResource, report: Report): void {
  for (const field of ["sources", "destinations"] as const) {
    if (match[field].length === 0) continue;
    const detail = `\`${field}\` is for routes of tcp, udp and tls-passthrough listeners, and this route's are http`;
    report(`${pointer}/match/${field}`, "PENSTOCK_CONFIG_VALUE", detail);
  }
}

function checkStreamMatch(
  pointer: string,
  { match }: RouteResource,
  protocol: ListenerResource["protocol"],
  listeners: readonly ListenerResource[],
  report: Report,
): void {
  const given = {
    path: match.path !== undefined,
    methods: match.methods.length > 0,
    headers: Object.keys(match.headers).length > 0,
    hosts: match.hosts !== undefined && protocol === "udp",
  };
  for (const [field, there] of Object.entries(given)) {
    if (!there) continue;
    const detail = `a ${protocol} listener sees no ${field}; match by \`sources\` or \`destinations\``;
    report(`${pointer}/match/${field}`, "PENSTOCK_CONFIG_VALUE", detail);
  }
  const plain = listeners.find((one) => one.protocol === "tcp" && one.tls === undefined);
  if (match.hosts !== undefined && plain !== undefined) {
    const detail = `"${plain.name}" has no \`tls\`, and so sees no names; match by \`sources\` or \`destinations\``;
    report(`${pointer}/match/hosts`, "PENSTOCK_CONFIG_VALUE", detail);
  }
  const direct = listeners.find((one) => !one.transparent);
  if (match.destinations.length > 0 && direct !== undefined) {
    const detail = `only a transparent listener knows where a client wanted to go, and "${direct.name}" is none`;
    report(`${pointer}/match/destinations`, "PENSTOCK_CONFIG_VALUE", detail);
  }
}

function checkStreamFilters(
  pointer: string,
  route: RouteResource,
  protocol: ListenerResource["protocol"],
  report: Report,
): void {
  for (const [index, filter] of route.filters.entries()) {
    const place = `${pointer}/filters/${index}`;
    if (!("builtin" in filter)) {
      if (filter.canary === undefined) continue;
      report(`${place}/canary`, "PENSTOCK_CONFIG_UNSUPPORTED", `a ${protocol} route has no canaries: name one version`);
      continue;
    }
    if (!STREAM_FILTERS.includes(filter.builtin)) {
      const detail = `"${filter.builtin}" works on HTTP, and this route's listeners are ${protocol}; there are ${STREAM_FILTERS.join(", ")}`;
      report(`${place}/builtin`, "PENSTOCK_CONFIG_VALUE", detail);
    } else if (filter.builtin === "rate-limit" && filter.config.key.startsWith("header:")) {
      const detail = `a ${protocol} listener sees no headers; the key is client-ip or route`;
      report(`${place}/config/key`, "PENSTOCK_CONFIG_VALUE", detail);
    }
  }
  const { key, cookie } = route.stickiness ?? {};
  if (cookie !== undefined || (key !== undefined && key !== "client-ip")) {
    report(
      `${pointer}/stickiness`,
      "PENSTOCK_CONFIG_VALUE",
      `a ${protocol} listener sees no requests; the key is client-ip`,
    );
  }
}

function checkDatagramEndpoints(pointer: string, route: RouteResource, draft: Draft, report: Report): void {
  const known = upstreamsFor(draft, route.tenant);
  const named = [route.upstream, ...(route.split ?? []).map((part) => part.upstream)].filter(
    (one) => one !== undefined,
  );
  for (const { pointer: place, value } of draft.upstreams) {
    const key = keyOf("upstreams", value);
    const meant = named.some((name) => known.has(name) && (key === name || key === `${route.tenant}/${name}`));
    if (!meant) continue;
    const refuse = (detail: string) => report(pointer, "PENSTOCK_CONFIG_VALUE", detail);
    if (value.endpoints.some((one) => one.address.startsWith("unix:"))) {
      refuse(`a udp route needs endpoints with ports, and ${place} has Unix sockets`);
    }
    if (value.proxyProtocol !== undefined) {
      refuse(`a udp route sends no PROXY headers, and ${place} asks for them by \`proxyProtocol\``);
    }
    if (value.tls !== undefined) refuse(`a udp route's datagrams are not encrypted, and ${place} asks for \`tls\``);
  }
}
