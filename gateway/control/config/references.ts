/** What concerns more than one entry: names, references, duplicates. One function a concern, each reports all it finds. */
import type { ConfigErrorCode } from "#core/errors/config.ts";
import { referencesOf } from "./builtin/names.ts";
import type { RouteResource } from "./declaration.ts";
import { upstreamsFor, type Draft, type Entry } from "./draft.ts";
import { hasFirewall } from "./kernel-devices.ts";
import { keyOf, lastSegment, routeKey } from "./kinds.ts";
import { pointerTo } from "./pointer.ts";
import { suggestion } from "./suggest.ts";

export type Report = (pointer: string, code: ConfigErrorCode, detail: string) => void;

export function checkDuplicates(draft: Draft, report: Report): void {
  const unique = <T>(entries: readonly Entry<T>[], what: string, key: (value: T) => string, field = "name") => {
    const first = new Map<string, string>();
    for (const { pointer, value } of entries) {
      const name = key(value);
      const taken = first.get(name);
      if (taken === undefined) first.set(name, pointer);
      else
        report(`${pointer}/${field}`, "PENSTOCK_CONFIG_DUPLICATE", `${what} "${name}" is declared at ${taken} already`);
    }
  };
  unique(draft.listeners, "listener", (one) => one.name);
  unique(draft.certificates, "certificate", (one) => keyOf("certificates", one));
  unique(draft.upstreams, "upstream", (one) => keyOf("upstreams", one));
  unique(draft.tenants, "tenant", (one) => one.name);
  unique(draft.secrets, "secret", (one) => keyOf("secrets", one));
  unique(draft.maps, "map", (one) => one.name);
  unique(draft.plugins, "plugin", (one) => `${one.tenant}/${one.name}@${one.version}`);
  unique(namesakes(draft), "route", routeKey);
  const devices = new Map<string, string>();
  for (const { pointer, value } of draft.interfaces) {
    const taken = devices.get(value.device);
    if (taken === undefined) devices.set(value.device, pointer);
    else
      report(
        `${pointer}/device`,
        "PENSTOCK_CONFIG_DUPLICATE",
        `device "${value.device}" is declared at ${taken} already`,
      );
  }
  unique(draft.steering, "steering", (one) => one.name ?? lastSegment(one.cgroup));
  unique(draft.interceptors, "interceptor", (one) => one.name);
  unique(draft.services, "service", (one) => one.name);
  unique(draft.bindings, "binding", (one) => one.name);
  unique(draft.traces, "trace of listener", (one) => one.listener, "listener");
  checkSteeredPorts(draft, report);
}

/** Routes among which two may be one too many: those that are not known to go with the rest, and who has their names. */
function namesakes({ routes, suspects }: Draft): readonly Entry<RouteResource>[] {
  if (suspects === routes) return routes;
  const names = new Set(suspects.map(({ value }) => value.name));
  return routes.filter(({ value }) => names.has(value.name));
}

/** A port of a cgroup is steered to one listener, of connections and of datagrams each. */
function checkSteeredPorts(draft: Draft, report: Report): void {
  const taken = new Map<string, string>();
  for (const { pointer, value } of draft.steering) {
    const listener = draft.listeners.find((one) => one.value.name === value.listener);
    const transport = listener?.value.protocol === "udp" ? "udp" : "tcp";
    for (const [index, port] of value.ports.entries()) {
      const key = `${value.cgroup} ${transport} ${port}`;
      const by = taken.get(key);
      if (by === undefined) taken.set(key, `${pointer}/ports/${index}`);
      else
        report(
          `${pointer}/ports/${index}`,
          "PENSTOCK_CONFIG_DUPLICATE",
          `port ${port} of this cgroup is steered at ${by} already`,
        );
    }
  }
}

export function checkReferences(draft: Draft, report: Report): void {
  const must = referrer(report);
  for (const { pointer, value } of draft.upstreams) {
    if (value.tenant !== undefined) must(`${pointer}/tenant`, "tenant", value.tenant, draft.names.tenants);
    if (value.name === "original") {
      report(
        `${pointer}/name`,
        "PENSTOCK_CONFIG_VALUE",
        '"original" stands for the original destination; choose another name',
      );
    }
  }
  for (const { pointer, value } of draft.tenants) {
    for (const kind of ["listeners", "upstreams", "maps"] as const) {
      for (const [index, name] of (value.allow[kind] ?? []).entries()) {
        if (kind === "upstreams" && name === "original") continue;
        must(`${pointer}/allow/${kind}/${index}`, kind.slice(0, -1), name, draft.names[kind]);
      }
    }
  }
  for (const { pointer, value } of draft.plugins)
    must(`${pointer}/tenant`, "tenant", value.tenant, draft.names.tenants);
  const plugins = new Map<string, Set<string>>();
  for (const plugin of draft.names.plugins) {
    const slash = plugin.indexOf("/");
    const tenant = plugin.slice(0, slash);
    plugins.set(tenant, (plugins.get(tenant) ?? new Set()).add(plugin.slice(slash + 1)));
  }
  for (const entry of draft.suspects) {
    checkRoute(entry, draft, must, report);
    checkFilters(entry, plugins.get(entry.value.tenant) ?? new Set(), draft, must);
  }
  for (const { pointer, value } of [...draft.steering, ...draft.interceptors]) {
    must(`${pointer}/listener`, "listener", value.listener, draft.names.listeners);
    const listener = draft.listeners.find((one) => one.value.name === value.listener);
    if (listener !== undefined && !listener.value.transparent) {
      const detail = `listener "${value.listener}" is not transparent; set \`transparent: true\` at ${listener.pointer}`;
      report(`${pointer}/listener`, "PENSTOCK_CONFIG_REFERENCE", detail);
    }
  }
  for (const { pointer, value } of draft.interceptors) {
    const listener = draft.listeners.find((one) => one.value.name === value.listener);
    if (listener?.value.protocol !== "udp") continue;
    const detail = `interceptors divert connections, and "${value.listener}" takes datagrams; a binding can`;
    report(`${pointer}/listener`, "PENSTOCK_CONFIG_REFERENCE", detail);
  }
  for (const { pointer, value } of draft.traces) {
    must(`${pointer}/listener`, "listener", value.listener, draft.names.listeners);
    const listener = draft.listeners.find((one) => one.value.name === value.listener);
    if (listener?.value.protocol !== "udp") continue;
    const detail = `connections are traced, and "${value.listener}" takes datagrams`;
    report(`${pointer}/listener`, "PENSTOCK_CONFIG_REFERENCE", detail);
  }
  for (const { pointer, value } of draft.bindings) {
    must(`${pointer}/listener`, "listener", value.listener, draft.names.listeners);
  }
  for (const { pointer, value } of draft.interfaces) {
    if (hasFirewall(value)) must(`${pointer}/blocklist`, "map", value.blocklist, draft.names.maps);
    if (value.allowlist !== undefined) must(`${pointer}/allowlist`, "map", value.allowlist, draft.names.maps);
  }
}

/** `where` is added to "there is no …", if it isn't clear. */
type Must = (pointer: string, what: string, name: string, known: ReadonlySet<string>, where?: string) => void;

function referrer(report: Report): Must {
  return (pointer, what, name, known, where = "") => {
    if (known.has(name)) return;
    const meant = suggestion(name, known);
    const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
    report(pointer, "PENSTOCK_CONFIG_REFERENCE", `there is no ${what} "${name}"${where}${hint}`);
  };
}

function checkRoute({ pointer, value }: Entry<RouteResource>, draft: Draft, must: Must, report: Report): void {
  must(`${pointer}/tenant`, "tenant", value.tenant, draft.names.tenants);
  for (const [index, name] of (value.listeners ?? []).entries()) {
    must(`${pointer}/listeners/${index}`, "listener", name, draft.names.listeners);
  }
  const { path } = value.match;
  if (path !== undefined && (path.prefix === undefined) === (path.exact === undefined)) {
    report(`${pointer}/match/path`, "PENSTOCK_CONFIG_VALUE", "a path is either `prefix` or `exact`");
  }
  checkAction(pointer, value, draft, must, report);
}

function checkAction(pointer: string, route: RouteResource, draft: Draft, must: Must, report: Report): void {
  if ((route.upstream === undefined) === (route.split === undefined)) {
    const detail =
      route.upstream === undefined ? "a route needs `upstream` or `split`" : "a route has either `upstream` or `split`";
    const place = route.upstream === undefined ? pointer : `${pointer}/split`;
    report(place, route.upstream === undefined ? "PENSTOCK_CONFIG_REQUIRED" : "PENSTOCK_CONFIG_VALUE", detail);
  }
  if (route.stickiness !== undefined && route.split === undefined) {
    report(
      `${pointer}/stickiness`,
      "PENSTOCK_CONFIG_VALUE",
      "stickiness belongs to `split`; an upstream has its own, `balancer.sticky`",
    );
  }
  const known = upstreamsFor(draft, route.tenant);
  for (const [index, part] of (route.split ?? []).entries()) {
    must(`${pointer}/split/${index}/upstream`, "upstream", part.upstream, known);
  }
  if (route.upstream === undefined) return;
  if (route.upstream !== "original") {
    must(`${pointer}/upstream`, "upstream", route.upstream, known);
    return;
  }
  // Where a client wanted to go is known only of a steered client.
  for (const { value: listener } of draft.listeners) {
    if (listener.transparent || !(route.listeners?.includes(listener.name) ?? listener.protocol === "http")) continue;
    const detail = `"original" needs transparent listeners, and this route serves on "${listener.name}" too; name the transparent ones in \`listeners\``;
    report(`${pointer}/upstream`, "PENSTOCK_CONFIG_REFERENCE", detail);
    return;
  }
}

function checkFilters(
  { pointer, value: route }: Entry<RouteResource>,
  own: ReadonlySet<string>,
  draft: Draft,
  must: Must,
): void {
  const upstreams = upstreamsFor(draft, route.tenant);
  for (const [index, filter] of route.filters.entries()) {
    const place = `${pointer}/filters/${index}`;
    if ("builtin" in filter) {
      for (const { kind, name, pointer: below } of referencesOf(filter)) {
        must(`${place}${below}`, kind, name, kind === "upstream" ? upstreams : draft.names.maps);
      }
      continue;
    }
    must(`${place}/plugin`, "plugin", filter.plugin, own, ` of tenant "${route.tenant}" in \`plugins\``);
    if (filter.canary !== undefined) {
      const canary = `${filter.plugin.slice(0, filter.plugin.indexOf("@"))}@${filter.canary.version}`;
      must(`${place}/canary/version`, "plugin", canary, own, ` of tenant "${route.tenant}" in \`plugins\``);
    }
    for (const [at, name] of filter.allow.upstreams.entries()) {
      must(`${place}/allow/upstreams/${at}`, "upstream", name, upstreams);
    }
    for (const [at, name] of filter.allow.maps.entries())
      must(`${place}/allow/maps/${at}`, "map", name, draft.names.maps);
    const granted = new Set(filter.allow.upstreams);
    for (const [cluster, name] of Object.entries(filter.vm?.clusters ?? {}))
      must(
        `${place}/vm/clusters${pointerTo([cluster])}`,
        "upstream",
        name,
        granted,
        " in the filter's `allow.upstreams`",
      );
  }
}
