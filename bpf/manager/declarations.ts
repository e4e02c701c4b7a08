/**
 * What the kernel part is told to be: the same shapes as the snapshot's, declared again because this room knows
 * nothing of snapshots; a test holds the two together.
 */
import type { MapSchema } from "#core/map-codec.ts";

export interface MapDeclaration extends MapSchema {
  readonly name: string;
  readonly type: "hash" | "lru-hash" | "lpm-trie";
  readonly maxEntries: number;
}

export interface InterfaceDeclaration {
  readonly device: string;
  readonly mode: "auto" | "native" | "generic";
  readonly programs: readonly "firewall"[];
  /** Index into the maps: denied prefixes. */
  readonly blocklist: number;
  /** Index into the maps: prefixes that are never dropped. */
  readonly allowlist?: number;
}

export interface SteeringDeclaration {
  /** Directory of the cgroup. */
  readonly cgroup: string;
  readonly ports: readonly number[];
  /** Index into the listeners. */
  readonly listener: number;
  readonly leaseMs: number;
}

export interface KernelDeclaration {
  readonly interfaces: readonly InterfaceDeclaration[];
  readonly steering: readonly SteeringDeclaration[];
}

export interface ListenerDeclaration {
  readonly name: string;
  /** Where it is bound in truth, `127.0.0.1:18000`, `[::1]:18000`: at most one address a family serves steering. */
  readonly addresses: readonly string[];
}

export interface Declaration {
  readonly maps: readonly MapDeclaration[];
  readonly kernel: KernelDeclaration;
  readonly listeners: readonly ListenerDeclaration[];
}
