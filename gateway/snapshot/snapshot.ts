/**
 * The one output of the control plane and the one input of a worker: plain data, immutable once made, serialisable as
 * JSON. All references are resolved to indices into its own arrays; all defaults are filled in; names are kept for
 * people. Module bytes travel beside it, by digest.
 */
import type { BuiltinFilterSpec } from "./builtin-filters.ts";
import type { KernelSpec } from "./kernel.ts";
import type { CertificateSpec, ListenerTlsSpec, UpstreamTlsSpec } from "./tls.ts";

export interface Snapshot {
  /** Revision it was compiled from; grows by one with every change. */
  readonly revision: number;
  /** SHA-256 (hex) of everything below; `#control/canonical.ts` says how. */
  readonly digest: string;
  readonly listeners: readonly ListenerSpec[];
  /** Absent: none. */
  readonly certificates?: readonly CertificateSpec[];
  /** That filters refer to; absent: none. */
  readonly secrets?: readonly SecretSpec[];
  readonly upstreams: readonly UpstreamSpec[];
  readonly plugins: readonly PluginSpec[];
  /** Absent: nobody's plugins are bounded together, as in a test. */
  readonly tenants?: readonly TenantSpec[];
  readonly routes: readonly RouteSpec[];
  /** Routes of listeners that do not speak HTTP; absent: none. */
  readonly streamRoutes?: readonly StreamRouteSpec[];
  readonly maps: readonly MapSpec[];
  readonly kernel: KernelSpec;
  readonly settings: SettingsSpec;
}

/** `tls-passthrough`: TCP, routed by the server name of the ClientHello, never decrypted. */
export type ListenerProtocol = "http" | "tcp" | "udp" | "tls-passthrough";

export interface ListenerSpec {
  readonly name: string;
  /** `127.0.0.1:8080`, `[::]:8443`, `unix:/path`. */
  readonly address: string;
  readonly protocol: ListenerProtocol;
  /** Steered traffic arrives here: the original destination is asked of the kernel. */
  readonly transparent: boolean;
  /** Each connection begins with a PROXY header; absent: none does. */
  readonly proxyProtocol?: ProxyProtocolSpec;
  /** Absent: plaintext. */
  readonly tls?: ListenerTlsSpec;
  /** TCP, and HTTP/1.1 that was upgraded: a program moves bytes from socket to socket where they arrive. Absent: the worker does, and splices bulk. */
  readonly sockmap?: boolean;
  /** Of listeners that do not speak HTTP. */
  readonly stream?: StreamListenerSpec;
}

export interface ProxyProtocolSpec {
  /** Client addresses (CIDR) whose header is believed; anyone else is refused. */
  readonly trusted: readonly string[];
  /** False: a trusted client may also begin without a header, and is the client then. */
  readonly required: boolean;
}

export interface StreamListenerSpec {
  /** Without a byte, or a datagram, in either direction for this long, a connection or session ends. */
  readonly idleTimeoutMs: number;
  /** UDP: sessions at one time in one worker; past it the one used longest ago goes. 0 for the others. */
  readonly sessionsMax: number;
}

export interface UpstreamSpec {
  readonly name: string;
  readonly endpoints: readonly EndpointSpec[];
  readonly timeouts: { readonly connectMs: number; readonly requestMs: number; readonly idleMs: number };
  /** Every connection to an endpoint begins with a header that names the client; absent: none does. */
  readonly proxyProtocol?: "v1" | "v2";
  /** Absent: plaintext. */
  readonly tls?: UpstreamTlsSpec;
  /** Idle connections kept per endpoint and worker. */
  readonly idleConnectionsMax: number;
  /** Absent: round robin. */
  readonly balancer?: BalancerSpec;
  /** Absent: every endpoint counts as healthy. */
  readonly healthCheck?: HealthCheckSpec;
  /** Absent: none is ejected. */
  readonly outlierDetection?: OutlierDetectionSpec;
  /** How long an endpoint that is new, or back, takes to get its whole share; absent: it has it at once. */
  readonly slowStartMs?: number;
  /** Absent: without bound. */
  readonly limits?: UpstreamLimitsSpec;
  /** Absent: only what is safe by itself is tried again. */
  readonly retry?: RetrySpec;
}

export interface BalancerSpec {
  readonly type: "round-robin" | "least-request" | "random" | "ring-hash" | "maglev";
  /** What ring-hash and maglev choose by: `client-ip`, `path`, `header:NAME`, `cookie:NAME`, `query:NAME`; empty for the others. */
  readonly key: string;
  /** A client stays with its endpoint by this cookie; absent: it does not. `ttlSeconds` 0: until the browser closes. */
  readonly sticky?: { readonly cookie: string; readonly ttlSeconds: number };
}

export interface HealthCheckSpec {
  readonly type: "http" | "tcp";
  /** Of `http`. */
  readonly path: string;
  /** The Host field; empty: the endpoint's address. */
  readonly host: string;
  /** The lowest and the highest status that is healthy. */
  readonly statusMin: number;
  readonly statusMax: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Checks in a row that make an endpoint unhealthy, and healthy again. */
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

export interface OutlierDetectionSpec {
  /** Errors in a row: failed connects, broken connections, time-outs and 5xx. */
  readonly consecutiveErrors: number;
  /** The first ejection; each further one lasts that much longer, up to `maxEjectionMs`. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  /** Of an upstream's endpoints, at most so many are ejected at one time. */
  readonly maxEjectionPercent: number;
}

/** Of the whole gateway, for each endpoint: a worker has its part of them. 0: without bound. */
export interface UpstreamLimitsSpec {
  readonly connectionsMax: number;
  readonly requestsMax: number;
  /** Requests and TCP streams of the upstream that may wait for a free endpoint, and how long. */
  readonly queueMax: number;
  readonly queueMs: number;
}

export interface RetrySpec {
  /** Further attempts after the first. */
  readonly attempts: number;
  readonly onConnectFailure: boolean;
  /** The connection broke or was closed before a response. */
  readonly onReset: boolean;
  readonly onTimeout: boolean;
  readonly onStatus: readonly number[];
  /** Retries, as a part of the requests. */
  readonly budgetPercent: number;
  /** From the beginning of an attempt to the head of its response; 0: without bound. */
  readonly perTryMs: number;
  /** Without a response for so long, a second request is made to another endpoint beside the first; 0: none is. */
  readonly hedgeAfterMs: number;
  /** A longer body is not sent twice. */
  readonly bodyBytesMax: number;
}

export interface EndpointSpec {
  /** `127.0.0.1:9001`, `[::1]:80`, `unix:/run/app.sock`; a name, `api.internal:80`, stands for all its addresses. */
  readonly address: string;
  readonly weight: number;
  /** Those of the lowest number that has an endpoint that can be used get all requests; absent: 0. */
  readonly priority?: number;
  /** Gets no new requests, but of clients that a cookie binds to it. */
  readonly drain?: boolean;
}

export interface TenantSpec {
  readonly name: string;
  readonly quotas: TenantQuotas;
}

/** What a tenant's plugins may use together. Of the whole gateway, divided among its workers, unless it says otherwise. */
export interface TenantQuotas {
  readonly fuelPerSecond: number;
  readonly logLinesPerSecond: number;
  /** Entries that they may have in shared maps at one time. */
  readonly mapEntries: number;
  /** Of its key/value entries, which all workers share. */
  readonly keyValueBytes: number;
  /** In each worker: series of metrics, guests, and guests that wait. */
  readonly metricSeries: number;
  readonly guests: number;
  readonly suspendedCalls: number;
}

/** A secret that some filter refers to. */
export interface SecretSpec {
  readonly tenant: string;
  readonly name: string;
  /** Opened by the supervisor, in the context that `secretContext` (secrets.ts) says. */
  readonly sealed: string;
}

export interface PluginSpec {
  readonly name: string;
  readonly tenant: string;
  readonly version: string;
  /** SHA-256 (hex) of the metered module the worker instantiates. */
  readonly digest: string;
}

export interface RouteSpec {
  readonly name: string;
  readonly tenant: string;
  /** Indices into `listeners`. */
  readonly listeners: readonly number[];
  readonly match: RouteMatch;
  readonly filters: readonly FilterSpec[];
  readonly action: RouteAction;
  /** Creation order: the older route wins a tie. Lower is older. */
  readonly order: number;
  /**
   * It takes CONNECT, and nothing else. `tunnel`: the gateway opens a connection to the upstream and joins both. `forward`: the upstream is
   * a proxy, and is asked to. Absent: it takes every other request.
   */
  readonly connect?: "tunnel" | "forward";
  /** A longer request body is answered 413; absent: without bound. */
  readonly bodyBytesMax?: number;
  /** From a request's head to the end of its response; absent: without bound. */
  readonly requestTimeoutMs?: number;
}

export interface RouteMatch {
  /** Lower case, without port; `*.example.com` matches any number of leading labels. Empty: every host. */
  readonly hosts: readonly string[];
  readonly path: { readonly kind: "exact" | "prefix"; readonly value: string };
  /** Empty: every method. */
  readonly methods: readonly string[];
  /** Lower-case name and exact value; all must match. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** Of CONNECT, which names one; absent: every port. */
  readonly ports?: readonly number[];
}

/** A route of TCP connections, TLS connections that pass through, or UDP sessions. */
export interface StreamRouteSpec {
  readonly name: string;
  readonly tenant: string;
  /** Indices into `listeners`, all of one protocol. */
  readonly listeners: readonly number[];
  readonly match: StreamMatch;
  readonly filters: readonly StreamFilterSpec[];
  readonly action: RouteAction;
  /** Lower is older. */
  readonly order: number;
}

/** All of it must be met; an empty list asks nothing. */
export interface StreamMatch {
  /** Names in the ClientHello, lower case; `*.example.com` matches any number of leading labels. */
  readonly serverNames: readonly string[];
  /** Prefixes of the client's address. */
  readonly sources: readonly string[];
  /** Where a steered client wanted to go: a prefix, a port (0: any), or both. */
  readonly destinations: readonly { readonly prefix: string; readonly port: number }[];
}

/** Filters that decide on a whole connection or session. */
export type StreamFilterSpec =
  | Extract<BuiltinFilterSpec, { readonly name: "ip-access" | "rate-limit" }>
  | PluginFilterSpec;

/** What keeps a client with one part of a split: exactly one of the two. */
export interface SplitStickiness {
  /** As balancers' keys are written: `client-ip`, `header:x-user`. */
  readonly key?: string | undefined;
  /** Set by the gateway. */
  readonly cookie?: string | undefined;
  /** Of the cookie; 0: until the browser closes. */
  readonly ttlSeconds: number;
}

export type RouteAction =
  | {
      readonly kind: "upstream";
      readonly split: readonly { readonly upstream: number; readonly weight: number }[];
      /** Absent: each request by chance. */
      readonly stickiness?: SplitStickiness;
    }
  /** Where a steered client wanted to go. */
  | { readonly kind: "original" };

export type FilterSpec = PluginFilterSpec | BuiltinFilterSpec;

export interface PluginFilterSpec {
  readonly kind: "plugin";
  /** Index into `plugins`. */
  readonly plugin: number;
  readonly config: Readonly<Record<string, string>>;
  /** The same as one text, for plugins that take it so, where it is not the JSON of `config`. */
  readonly configText?: string;
  /** What plugins of other gateways are told of their VM; absent: nothing. */
  readonly vm?: VmSpec;
  readonly limits: { readonly fuel: number; readonly memoryBytes: number; readonly deadlineMs: number };
  readonly onFault: "deny" | "allow" | "skip";
  /** Another version that gets a part of the requests; absent: none. */
  readonly canary?: CanarySpec;
  /** Each exchange finds a guest as it was after its configuration; absent: guests are shared. */
  readonly isolation?: "request";
  readonly allow: {
    /** Indices into `upstreams`. */
    readonly upstreams: readonly number[];
    /** Indices into `maps`. */
    readonly maps: readonly number[];
    /** The tenant's key/value entries; absent: not granted. */
    readonly keyValue?: true;
    /** To refuse clients on all routes of the tenant; absent: not granted. */
    readonly ban?: true;
  };
}

export interface CanarySpec {
  /** Index into `plugins`. */
  readonly plugin: number;
  readonly percent: number;
  /** What decides: `client-ip`, `header:NAME`, `cookie:NAME`. */
  readonly key: string;
}

export interface VmSpec {
  /** Which of a module's plugins is meant, where it has several. */
  readonly rootId: string;
  /** Plugins of a tenant that name the same one share data and queues. */
  readonly id: string;
  /** One text. */
  readonly configuration: string;
  /** Names of upstreams by what the plugin calls them; absent: it calls them by their names. */
  readonly clusters?: Readonly<Record<string, string>>;
}

/** A map that the kernel, the admin API and plugins share. In user space where the kernel part is off. */
export interface MapSpec {
  readonly name: string;
  readonly type: "hash" | "lru-hash" | "lpm-trie";
  /** `ip`: 16 bytes, IPv4 mapped (::ffff:a.b.c.d). `ip-prefix`: u32 little-endian prefix length (of 128), then those 16 bytes. `bytes`: `keyBytes` of them. */
  readonly key: "ip" | "ip-prefix" | "bytes";
  readonly keyBytes: number;
  /** `expiry`: u64 nanoseconds of CLOCK_BOOTTIME after which the entry is void, 0: never. `counter`: u64. `bytes`: `valueBytes` of them. */
  readonly value: "expiry" | "counter" | "bytes";
  readonly valueBytes: number;
  readonly maxEntries: number;
  /** A tenant's own, in user space whatever the kernel offers; absent: anybody's. */
  readonly tenant?: string;
}

/** What upstreams are told of who asks. */
export interface ForwardingSpec {
  /** X-Forwarded-For, -Proto, -Host. */
  readonly xForwarded: readonly ("for" | "proto" | "host")[];
  /** RFC 7239. */
  readonly forwarded: boolean;
  /** The gateway's name in Via, of requests and responses (RFC 9110 §7.6.3); empty: none. */
  readonly via: string;
  /** The field that carries a request's id; empty: none. */
  readonly requestId: string;
}

export interface SettingsSpec {
  /** Client addresses (CIDR) whose forwarding headers are believed. */
  readonly trustedProxies: readonly string[];
  readonly accessLog: "off" | "json" | "text" | "template";
  /** Of `template`: text with `{field}` in it. */
  readonly accessLogTemplate?: string | undefined;
  /** Of the exchanges that went well; absent: all. */
  readonly accessLogPercent?: number | undefined;
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly drainMs: number;
  /** How long what was begun may take once a successor has taken over; absent: 300 000. */
  readonly upgradeDrainMs?: number;
  readonly headBytesMax: number;
  readonly targetBytesMax: number;
  readonly fieldsMax: number;
  /** Client connections at one time, over all workers and listeners; absent or 0: without bound. */
  readonly connectionsMax?: number;
  readonly connectionsPerClientMax?: number;
  /** Empty segments of paths are left out before anything looks at them; absent: they are kept. */
  readonly mergeSlashes?: boolean;
  /** Absent: X-Forwarded-For and X-Forwarded-Proto. */
  readonly forwarding?: ForwardingSpec;
  /** `10.0.0.2:53`; absent or empty: those of the system. */
  readonly nameservers?: readonly string[];
}
