/** Kinds of resources as people name them, and where REST has them. */
import { suggestion } from "#control/config/suggest.ts";
import { UsageError } from "./verb.ts";

export interface ResourceKind {
  readonly names: readonly string[];
  /** Of a tenant: named `TENANT/NAME`. */
  readonly ofTenant: boolean;
  /** Without the last segment; `{tenant}` is filled in. */
  readonly path: string;
  /** Where tenants have resources of this kind too: named `TENANT/NAME` there. */
  readonly tenantPath?: string;
  /** What is used of quotas, by tenant: listed beside them. */
  readonly usagePath?: string;
  readonly columns: readonly string[];
}

const KINDS: readonly ResourceKind[] = [
  {
    names: ["listeners", "listener"],
    ofTenant: false,
    path: "/v1/listeners",
    columns: ["name", "address", "protocol", "transparent"],
  },
  {
    names: ["certificates", "certificate"],
    ofTenant: false,
    path: "/v1/certificates",
    tenantPath: "/v1/tenants/{tenant}/certificates",
    columns: ["tenant", "name"],
  },
  {
    names: ["upstreams", "upstream"],
    ofTenant: false,
    path: "/v1/upstreams",
    tenantPath: "/v1/tenants/{tenant}/upstreams",
    columns: ["tenant", "name", "endpoints"],
  },
  {
    names: ["tenants", "tenant"],
    ofTenant: false,
    path: "/v1/tenants",
    usagePath: "/v1/usage",
    columns: ["name", "hosts", "routes", "upstreams", "secrets", "plugins", "pluginBytes", "guests", "keyValueBytes"],
  },
  {
    names: ["secrets", "secret"],
    ofTenant: true,
    path: "/v1/tenants/{tenant}/secrets",
    columns: ["tenant", "name", "fingerprint"],
  },
  {
    names: ["routes", "route"],
    ofTenant: true,
    path: "/v1/tenants/{tenant}/routes",
    columns: ["tenant", "name", "match", "upstream"],
  },
  {
    names: ["plugins", "plugin"],
    ofTenant: true,
    path: "/v1/tenants/{tenant}/plugins",
    columns: ["tenant", "name", "version", "bytes", "digest"],
  },
  {
    names: ["maps", "map", "kernel/maps"],
    ofTenant: false,
    path: "/v1/kernel/maps",
    columns: ["name", "type", "key", "value", "maxEntries"],
  },
  {
    names: ["interfaces", "interface", "kernel/interfaces"],
    ofTenant: false,
    path: "/v1/kernel/interfaces",
    columns: ["device", "mode", "programs", "blocklist"],
  },
  {
    names: ["steering", "kernel/steering"],
    ofTenant: false,
    path: "/v1/kernel/steering",
    columns: ["name", "cgroup", "ports", "listener"],
  },
  {
    names: ["interceptors", "interceptor", "kernel/interceptors"],
    ofTenant: false,
    path: "/v1/kernel/interceptors",
    columns: ["name", "devices", "ports", "listener"],
  },
  {
    names: ["services", "service", "kernel/services"],
    ofTenant: false,
    path: "/v1/kernel/services",
    columns: ["name", "address", "mode", "devices"],
  },
  {
    names: ["bindings", "binding", "kernel/bindings"],
    ofTenant: false,
    path: "/v1/kernel/bindings",
    columns: ["name", "listener", "match", "onFailure"],
  },
  {
    names: ["traces", "trace", "kernel/traces"],
    ofTenant: false,
    path: "/v1/kernel/traces",
    columns: ["listener", "slowMs"],
  },
];

/** As `get` lists them. */
export const KIND_NAMES: readonly string[] = KINDS.flatMap(({ names }) => names.slice(0, 1));

export function kindOf(name: string): ResourceKind {
  const kind = KINDS.find(({ names }) => names.includes(name));
  if (kind !== undefined) return kind;
  const meant = suggestion(name, KIND_NAMES);
  throw new UsageError(
    `there is no kind "${name}"${meant === undefined ? "" : `; did you mean "${meant}"?`}: ${KIND_NAMES.join(", ")}`,
  );
}

/** `web`, `acme/orders`, `acme/token-check@1`. */
export function pathOf(kind: ResourceKind, name: string): string {
  const slash = name.indexOf("/");
  if (kind.tenantPath !== undefined && slash > 0 && slash < name.length - 1) {
    const own = kind.tenantPath.replace("{tenant}", encodeURIComponent(name.slice(0, slash)));
    return `${own}/${encodeURIComponent(name.slice(slash + 1))}`;
  }
  if (!kind.ofTenant) return `${kind.path}/${encodeURIComponent(name)}`;
  if (slash <= 0 || slash === name.length - 1) throw new UsageError(`"${name}" lacks its tenant: TENANT/NAME`);
  const list = kind.path.replace("{tenant}", encodeURIComponent(name.slice(0, slash)));
  const [own = "", version] = name.slice(slash + 1).split("@");
  const path = `${list}/${encodeURIComponent(own)}`;
  return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`;
}
