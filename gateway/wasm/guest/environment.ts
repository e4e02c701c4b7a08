/**
 * What all guests of one filter share: the route's configuration and permissions, resolved once, and the services that
 * the engine lends. Nothing in it belongs to one exchange.
 */
import type { KeyObject } from "node:crypto";
import { internName } from "#http/names.ts";
import { PenstockError } from "#core/errors.ts";
import type { FilterServices, SharedMap } from "#pipeline/filter.ts";
import type { TenantAccount } from "#pipeline/tenant.ts";
import type { MapSpec, PluginFilterSpec, PluginSpec, UpstreamSpec } from "#snapshot/snapshot.ts";

/** The part of a snapshot that a filter's `allow` list points into. */
export interface FilterResources {
  readonly maps: readonly MapSpec[];
  readonly upstreams: readonly UpstreamSpec[];
}

export interface OpenMap {
  readonly spec: MapSpec;
  readonly map: SharedMap;
  /** Bytes of a key and of a value. */
  readonly keyBytes: number;
  readonly valueBytes: number;
}

/** Header names that one filter may intern: the table of names is shared by all of them and never shrinks. */
const NAMES_MAX = 128;
const KEYS_MAX = 16;

export class GuestEnvironment {
  /** `token-check@1`. */
  readonly name: string;
  readonly pluginName: string;
  readonly spec: PluginFilterSpec;
  readonly services: FilterServices;
  readonly config: ReadonlyMap<string, Uint8Array>;
  /** Opened maps; a handle is an index. */
  readonly maps: OpenMap[];
  /** Opened upstreams as indices into the snapshot; a handle is an index. */
  readonly upstreams: number[];
  readonly tenant: TenantAccount;
  /** Lines of log that the tenant has left. */
  readonly logs: { take(nowMs: number): boolean };
  /** By their text; null: it is none. */
  readonly publicKeys: KeyCache;
  readonly #resources: FilterResources;
  readonly #names: Map<string, number>;
  /** The ids of those. */
  readonly #nameIds: Set<number>;

  constructor(plugin: PluginSpec, spec: PluginFilterSpec, services: FilterServices, resources: FilterResources) {
    this.name = `${plugin.name}@${plugin.version}`;
    this.pluginName = plugin.name;
    this.spec = spec;
    this.services = services;
    const encoder = new TextEncoder();
    this.config = new Map(Object.entries(spec.config).map(([key, value]) => [key, encoder.encode(value)]));
    this.maps = [];
    this.upstreams = [];
    this.tenant = services.tenant;
    this.logs = { take: () => services.tenant.takeLogLine() };
    this.publicKeys = new KeyCache();
    this.#resources = resources;
    this.#names = new Map();
    this.#nameIds = new Set();
  }

  /** Id of a lower-case name, or −1: no name, or one too many. The same text gives the same id in every guest. */
  nameId(text: string): number {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= NAMES_MAX) return -1;
    try {
      const id = internName(text);
      this.#names.set(text, id);
      this.#nameIds.add(id);
      return id;
    } catch (error) {
      if (error instanceof PenstockError) return -1;
      throw error;
    }
  }

  /** A guest of this filter has asked for it. */
  hasName(id: number): boolean {
    return this.#nameIds.has(id);
  }

  /** Handle of a map that the route allows, or −1. */
  openMap(name: string): number {
    const opened = this.maps.findIndex((entry) => entry.spec.name === name);
    if (opened >= 0) return opened;
    const { maps } = this.#resources;
    const index = this.spec.allow.maps.find((allowed) => maps[allowed]?.name === name);
    const spec = index === undefined ? undefined : maps[index];
    if (index === undefined || spec === undefined) return -1;
    this.maps.push({ spec, map: this.services.map(index), keyBytes: keyBytes(spec), valueBytes: valueBytes(spec) });
    return this.maps.length - 1;
  }

  /** Handle of an upstream that the route allows, or −1. */
  openUpstream(name: string): number {
    const { upstreams } = this.#resources;
    // A tenant's own upstream is `acme/api` in the snapshot and `api` to whoever wrote the route and the plugin.
    const index = this.spec.allow.upstreams.find((allowed) => {
      const known = upstreams[allowed]?.name ?? "";
      return known === name || known.slice(known.indexOf("/") + 1) === name;
    });
    if (index === undefined) return -1;
    const opened = this.upstreams.indexOf(index);
    if (opened >= 0) return opened;
    this.upstreams.push(index);
    return this.upstreams.length - 1;
  }

  /** Of an opened upstream, as the snapshot has it. */
  upstreamName(handle: number): string | null {
    const index = this.upstreams[handle];
    return index === undefined ? null : (this.#resources.upstreams[index]?.name ?? null);
  }
}

/** Public keys that one filter's guests have used; a guest that uses many has each parsed again. */
class KeyCache {
  readonly #keys = new Map<string, KeyObject | null>();

  get(pem: string): KeyObject | null | undefined {
    return this.#keys.get(pem);
  }

  set(pem: string, key: KeyObject | null): void {
    if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
    this.#keys.set(pem, key);
  }
}

function keyBytes(spec: MapSpec): number {
  if (spec.key === "ip") return 16;
  return spec.key === "ip-prefix" ? 20 : spec.keyBytes;
}

function valueBytes(spec: MapSpec): number {
  return spec.value === "bytes" ? spec.valueBytes : 8;
}
