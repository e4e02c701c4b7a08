/**
 * What the kernel part is told to be: the same shapes as the snapshot's, declared again because this room knows
 * nothing of snapshots; a test holds the two together.
 */
import type { MapSchema } from "#core/map-codec.ts";
import type { Fd } from "#core/brands.ts";
import type { BindingDeclaration } from "#bpf/programs/bind/declaration.ts";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import type { CounterDeclaration } from "#bpf/programs/counter/declaration.ts";
import type { InterceptorDeclaration } from "#bpf/programs/interceptor/declaration.ts";
import type { TraceDeclaration } from "#bpf/programs/trace/declaration.ts";
import type { LimitDeclaration } from "#bpf/programs/firewall/limits.ts";

export interface MapDeclaration extends MapSchema {
  readonly name: string;
  readonly type: "hash" | "lru-hash" | "lpm-trie";
  readonly maxEntries: number;
}

/** What runs on a device, in this order: firewall, counter, balancer. At least one. */
export interface InterfaceDeclaration {
  readonly device: string;
  readonly mode: "auto" | "native" | "generic";
  readonly firewall?: FirewallDeclaration;
  readonly counter?: CounterDeclaration;
}

export interface FirewallDeclaration {
  /** Index into the maps: denied prefixes. */
  readonly blocklist: number;
  /** Index into the maps: prefixes that are never dropped. */
  readonly allowlist?: number;
  readonly limits: readonly LimitDeclaration[];
  /** Above as many SYNs a second they are answered with cookies; 0: never. */
  readonly synsPerSecond: number;
}

export interface SteeringDeclaration {
  /** Directory of the cgroup. */
  readonly cgroup: string;
  readonly ports: readonly number[];
  /** Index into the listeners. */
  readonly listener: number;
  readonly leaseMs: number;
  /** The listener's. Absent: tcp. */
  readonly protocol?: "tcp" | "udp";
  /** On trial: undone unless the next declaration is without it by then. Absent: for good. */
  readonly confirmMs?: number;
}

export interface KernelDeclaration {
  readonly interfaces: readonly InterfaceDeclaration[];
  readonly steering: readonly SteeringDeclaration[];
  /** Absent: none. */
  readonly interceptors?: readonly InterceptorDeclaration[];
  /** Absent: none. */
  readonly bindings?: readonly BindingDeclaration[];
  /** Absent: none. */
  readonly traces?: readonly TraceDeclaration[];
  /** Some listener's streams are spliced. Absent: none is. */
  readonly splice?: true;
  /** Absent: none. */
  readonly services?: readonly ServiceDeclaration[];
}

export interface ListenerDeclaration {
  readonly name: string;
  /** Where it is bound in truth, `127.0.0.1:18000`, `[::1]:18000`: at most one address a family serves steering. */
  readonly addresses: readonly string[];
  /** A socket that is bound to each of them; one of several that share it. Absent: none, and nothing can be bound to it. */
  readonly sockets?: readonly Fd[];
  /** Every socket that connections of it may come in by. */
  readonly allSockets?: readonly Fd[];
}

export interface Declaration {
  readonly maps: readonly MapDeclaration[];
  readonly kernel: KernelDeclaration;
  readonly listeners: readonly ListenerDeclaration[];
}
