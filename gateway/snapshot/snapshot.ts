/**
 * The one output of the control plane and the one input of a worker: plain data, immutable once made, serialisable as
 * JSON. All references are resolved to indices into its own arrays; all defaults are filled in; names are kept for
 * people. Module bytes travel beside it, by digest.
 */
import type { BuiltinFilterSpec } from "./builtin-filters.ts";

export interface Snapshot {
  /** Revision it was compiled from; grows by one with every change. */
  readonly revision: number;
  /** SHA-256 (hex) of the canonical JSON of everything below. */
  readonly digest: string;
  readonly listeners: readonly ListenerSpec[];
  readonly upstreams: readonly UpstreamSpec[];
  readonly plugins: readonly PluginSpec[];
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
  /** How long streams are moved: `auto`, inside the kernel once they flow in bulk; `off`, through our buffers. */
  readonly splice: "auto" | "off";
}

export interface UpstreamSpec {
  readonly name: string;
  readonly endpoints: readonly EndpointSpec[];
  readonly timeouts: { readonly connectMs: number; readonly requestMs: number; readonly idleMs: number };
  /** Every connection to an endpoint begins with a header that names the client; absent: none does. */
  readonly proxyProtocol?: "v1" | "v2";
  /** Idle connections kept per endpoint and worker. */
  readonly idleConnectionsMax: number;
}

export interface EndpointSpec {
  /** `127.0.0.1:9001`, `[::1]:80`, `unix:/run/app.sock`. */
  readonly address: string;
  readonly weight: number;
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
}

export interface RouteMatch {
  /** Lower case, without port; `*.example.com` matches any number of leading labels. Empty: every host. */
  readonly hosts: readonly string[];
  readonly path: { readonly kind: "exact" | "prefix"; readonly value: string };
  /** Empty: every method. */
  readonly methods: readonly string[];
  /** Lower-case name and exact value; all must match. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
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
export type StreamFilterSpec = Extract<BuiltinFilterSpec, { readonly name: "ip-access" | "rate-limit" }>;

export type RouteAction =
  | { readonly kind: "upstream"; readonly split: readonly { readonly upstream: number; readonly weight: number }[] }
  /** Where a steered client wanted to go. */
  | { readonly kind: "original" };

export type FilterSpec = PluginFilterSpec | BuiltinFilterSpec;

export interface PluginFilterSpec {
  readonly kind: "plugin";
  /** Index into `plugins`. */
  readonly plugin: number;
  readonly config: Readonly<Record<string, string>>;
  readonly limits: { readonly fuel: number; readonly memoryBytes: number; readonly deadlineMs: number };
  readonly onFault: "deny" | "allow" | "skip";
  readonly allow: {
    /** Indices into `upstreams`. */
    readonly upstreams: readonly number[];
    /** Indices into `maps`. */
    readonly maps: readonly number[];
  };
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
}

export interface KernelSpec {
  readonly interfaces: readonly InterfaceSpec[];
  readonly steering: readonly SteeringSpec[];
}

/** What runs on a device, in this order; at least one. */
export interface InterfaceSpec {
  readonly device: string;
  /** `auto`: native, else generic. */
  readonly mode: "auto" | "native" | "generic";
  readonly firewall?: FirewallSpec;
  readonly counter?: CounterSpec;
}

export interface FirewallSpec {
  /** Index into `maps`: the LPM trie of denied prefixes. */
  readonly blocklist: number;
  /** Index into `maps`: the LPM trie of prefixes that are never dropped. */
  readonly allowlist?: number;
  readonly limits: readonly PacketLimitSpec[];
  /** Above as many SYNs a second they are answered with cookies; 0: never. */
  readonly synsPerSecond: number;
}

export interface PacketLimitSpec {
  /** `default`: every source that no other limit holds. */
  readonly prefix: string;
  readonly packetsPerSecond: number;
  readonly burst: number;
  readonly each: "prefix" | "source";
}

export interface CounterSpec {
  readonly by: "source" | "port";
  /** Bits of a source that count; sources that share them are one. */
  readonly ipv4Bits: number;
  readonly ipv6Bits: number;
  readonly entriesMax: number;
  /** How many of the largest are shown in metrics. */
  readonly top: number;
  readonly hook: "xdp" | "tcx";
}

export interface SteeringSpec {
  /** Directory of the cgroup whose connections are steered. */
  readonly cgroup: string;
  /** Destination ports, 1–65535. */
  readonly ports: readonly number[];
  /** Index into `listeners`; a transparent one. */
  readonly listener: number;
  readonly leaseMs: number;
}

export interface SettingsSpec {
  /** Client addresses (CIDR) whose forwarding headers are believed. */
  readonly trustedProxies: readonly string[];
  readonly accessLog: "off" | "json" | "text";
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly drainMs: number;
  readonly headBytesMax: number;
  readonly targetBytesMax: number;
  readonly fieldsMax: number;
}
