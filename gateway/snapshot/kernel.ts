/**
 * What a snapshot says of the kernel: programs on devices, services, bindings and steered cgroups. Places of listeners and maps
 * are indices into the snapshot's lists.
 */
export interface KernelSpec {
  readonly interfaces: readonly InterfaceSpec[];
  readonly steering: readonly SteeringSpec[];
  /** Absent: none. */
  readonly interceptors?: readonly InterceptorSpec[];
  /** Absent: none. */
  readonly traces?: readonly TraceSpec[];
  /** Absent: none. */
  readonly bindings?: readonly BindingSpec[];
  /** Some listener's streams are spliced. Absent: none is. */
  readonly splice?: true;
  /** Absent: none. */
  readonly services?: readonly ServiceSpec[];
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

/** An L4 service: packets for its address go to its endpoints, in XDP. */
export interface ServiceSpec {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  /** `dsr`: encapsulated, answered directly; `nat`: both ends rewritten, answered through the balancer. */
  readonly mode: "dsr" | "nat";
  readonly devices: readonly string[];
  /** A flow that was silent for longer is a new one. */
  readonly flowTimeoutMs: number;
  /** An address, or with `dsr` a prefix; absent: the host's own address towards each endpoint. */
  readonly source?: string;
  readonly endpoints: readonly ServiceEndpointSpec[];
  /** Absent: endpoints are taken for healthy. */
  readonly healthCheck?: ServiceCheckSpec;
}

export interface ServiceEndpointSpec {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  /** Keeps its flows and gets no new ones. */
  readonly drain: boolean;
}

export interface ServiceCheckSpec {
  readonly type: "tcp" | "http" | "udp";
  /** Absent: the endpoint's. */
  readonly port?: number;
  /** Of `http`. */
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
}

/** Connections from outside to these ports go to a listener of ours. */
export interface InterceptorSpec {
  readonly name: string;
  /** By name; empty: all that connections come in by from outside, also those that are made later. */
  readonly devices: readonly string[];
  readonly ports: readonly number[];
  /** Index into `listeners`; a transparent one. */
  readonly listener: number;
  readonly leaseMs: number;
}

/** Whose connections are measured in the kernel. */
export interface TraceSpec {
  /** Index into `listeners`; one of TCP. */
  readonly listener: number;
  /** Responses that take longer are told of while somebody follows. Absent: none. */
  readonly slowMs?: number;
}

/** Ports and prefixes of this host that belong to a listener of ours. */
export interface BindingSpec {
  readonly name: string;
  /** Index into `listeners`. */
  readonly listener: number;
  /** The listener's. */
  readonly protocol: "tcp" | "udp";
  readonly match: readonly BindPlaceSpec[];
  /** Refused, as if nobody listened. */
  readonly deny: readonly BindPlaceSpec[];
  /** Left to whoever listens there. */
  readonly except: readonly BindPlaceSpec[];
  /** While the gateway does not serve. */
  readonly onFailure: "open" | "closed";
  readonly leaseMs: number;
}

export interface BindPlaceSpec {
  /** Null: every address of both families. */
  readonly prefix: string | null;
  /** Both ends included. */
  readonly ports: readonly { readonly first: number; readonly last: number }[];
}

export interface SteeringSpec {
  /** Directory of the cgroup whose connections are steered. */
  readonly cgroup: string;
  /** Destination ports, 1–65535. */
  readonly ports: readonly number[];
  /** Index into `listeners`; a transparent one. */
  readonly listener: number;
  readonly leaseMs: number;
  /** The listener's. Absent: tcp. */
  readonly protocol?: "tcp" | "udp";
  /** On trial: undone unless a later snapshot is without it by then. Absent: for good. */
  readonly confirmMs?: number;
}
