/** Snapshots as a test wants them: one listener, one upstream, one route unless told otherwise. */
import type { RouteSpec, SettingsSpec, Snapshot, UpstreamSpec } from "#snapshot/snapshot.ts";

export const SETTINGS: SettingsSpec = {
  trustedProxies: [],
  accessLog: "off",
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  bodyIdleTimeoutMs: 30_000,
  drainMs: 5000,
  headBytesMax: 16_384,
  targetBytesMax: 8192,
  fieldsMax: 100,
};

export interface SnapshotOptions {
  /** Addresses of the one upstream's endpoints. */
  readonly endpoints: readonly string[];
  readonly listener?: string;
  /** Of the listener. */
  readonly sockmap?: boolean;
  readonly settings?: Partial<SettingsSpec>;
  readonly timeouts?: Partial<UpstreamSpec["timeouts"]>;
  readonly routes?: readonly RouteSpec[];
  /** Of the endpoints, in order; 1 each unless said. */
  readonly weights?: readonly number[];
  readonly idleConnectionsMax?: number;
  /** More of the first upstream. */
  readonly upstream?: Partial<UpstreamSpec>;
  /** Upstreams behind the first one. */
  readonly others?: readonly UpstreamSpec[];
}

export function testRoute(over: Partial<RouteSpec> = {}): RouteSpec {
  return {
    name: "all",
    tenant: "test",
    listeners: [0],
    match: { hosts: [], path: { kind: "prefix", value: "/" }, methods: [], headers: [] },
    filters: [],
    action: { kind: "upstream", split: [{ upstream: 0, weight: 1 }] },
    order: 0,
    ...over,
  };
}

export function testSnapshot(options: SnapshotOptions): Snapshot {
  return {
    revision: 1,
    digest: "",
    listeners: [
      {
        name: "web",
        address: options.listener ?? "127.0.0.1:0",
        protocol: "http",
        transparent: false,
        sockmap: options.sockmap ?? false,
      },
    ],
    upstreams: [
      {
        name: "up",
        endpoints: options.endpoints.map((address, i) => ({ address, weight: options.weights?.[i] ?? 1 })),
        timeouts: { connectMs: 1000, requestMs: 30_000, idleMs: 60_000, ...options.timeouts },
        idleConnectionsMax: options.idleConnectionsMax ?? 64,
        ...options.upstream,
      },
      ...(options.others ?? []),
    ],
    plugins: [],
    maps: [],
    kernel: { interfaces: [], steering: [] },
    routes: options.routes ?? [testRoute()],
    settings: { ...SETTINGS, ...options.settings },
  };
}
