/**
 * Shared maps without a kernel: the supervisor keeps the true copy for workers that start later and for the admin API, and
 * every worker keeps its own; changes are passed on to all. Bytes only: what a key means is its schema's business, but for
 * the longest prefix, which a lookup has to know.
 */
import type { MapSpec } from "#snapshot/snapshot.ts";
import { boottimeNs } from "#sys/clock.ts";
import type { MapChangeMessage, MapEntry } from "#worker/protocol.ts";

export class UserMap {
  readonly spec: MapSpec;
  /** By the key as a string of its bytes; in order of insertion, which is the order of `list` and of eviction. */
  readonly #entries = new Map<string, MapEntry>();

  constructor(spec: MapSpec) {
    this.spec = spec;
  }

  get size(): number {
    this.#dropExpired();
    return this.#entries.size;
  }

  get(key: Uint8Array): MapEntry | null {
    this.#dropExpired();
    if (this.spec.type === "lpm-trie") return this.#longest(key);
    return this.#entries.get(textOf(key)) ?? null;
  }

  /** False when the map is full; an `lru-hash` gives up its oldest entry instead. */
  put(key: Uint8Array, value: Uint8Array): boolean {
    const name = textOf(key);
    if (!this.#entries.has(name) && this.#entries.size >= this.spec.maxEntries) {
      this.#dropExpired();
      if (this.#entries.size >= this.spec.maxEntries && !this.#evict()) return false;
    }
    if (this.spec.type === "lru-hash") this.#entries.delete(name);
    this.#entries.set(name, { key, value });
    return true;
  }

  delete(key: Uint8Array): boolean {
    return this.#entries.delete(textOf(key));
  }

  /** At most `limit` entries after `after`. */
  list(after: Uint8Array | undefined, limit: number): { entries: MapEntry[]; more: boolean } {
    this.#dropExpired();
    const names = [...this.#entries.keys()];
    const from = after === undefined ? 0 : names.indexOf(textOf(after)) + 1;
    const entries = [...this.#entries.values()].slice(from, from + limit);
    return { entries, more: from + limit < names.length };
  }

  /** What a worker did to its copy. */
  apply(change: MapChangeMessage): void {
    if (change.op === "put") this.put(change.key, change.value);
    else if (change.op === "delete") this.delete(change.key);
    else this.put(change.key, counter(counterOf(this.#entries.get(textOf(change.key))?.value) + change.delta));
  }

  entries(): MapEntry[] {
    this.#dropExpired();
    return [...this.#entries.values()];
  }

  #evict(): boolean {
    if (this.spec.type !== "lru-hash") return false;
    const oldest = this.#entries.keys().next();
    return oldest.done !== true && this.#entries.delete(oldest.value);
  }

  /** An expiry is nanoseconds of CLOCK_BOOTTIME; 0 is for ever. */
  #dropExpired(): void {
    if (this.spec.value !== "expiry") return;
    const now = boottimeNs();
    for (const [name, { value }] of this.#entries) {
      const expiry = counterOf(value);
      if (expiry !== 0n && expiry <= now) this.#entries.delete(name);
    }
  }

  /** The entry with the most bits among those that `key` lies in: as the kernel's trie answers. */
  #longest(key: Uint8Array): MapEntry | null {
    let best: MapEntry | null = null;
    for (const entry of this.#entries.values()) {
      if (
        bits(entry.key) <= bits(key) &&
        covers(entry.key, key) &&
        (best === null || bits(entry.key) > bits(best.key))
      ) {
        best = entry;
      }
    }
    return best;
  }
}

/** The maps of a snapshot that are not in the kernel, kept from one snapshot to the next by name and schema. */
export class UserMaps {
  #maps = new Map<string, UserMap>();
  #prepared: Map<string, UserMap> | null = null;

  /** `inherited`: of the gateway that this one takes the place of. */
  constructor(inherited: readonly { readonly spec: MapSpec; readonly entries: readonly MapEntry[] }[] = []) {
    for (const { spec, entries } of inherited) {
      const map = new UserMap(spec);
      for (const { key, value } of entries) map.put(key, value);
      this.#maps.set(spec.name, map);
    }
  }

  /** What a successor needs of the maps in force. */
  estate(): { readonly spec: MapSpec; readonly entries: readonly MapEntry[] }[] {
    return Array.from(this.#maps.values(), (map) => ({ spec: map.spec, entries: map.entries() }));
  }

  prepare(specs: readonly MapSpec[]): void {
    const next = new Map<string, UserMap>();
    for (const spec of specs) {
      const known = this.#maps.get(spec.name);
      next.set(spec.name, known !== undefined && sameSchema(known.spec, spec) ? known : new UserMap(spec));
    }
    this.#prepared = next;
  }

  commit(): void {
    this.#maps = this.#prepared ?? this.#maps;
    this.#prepared = null;
  }

  abort(): void {
    this.#prepared = null;
  }

  get(name: string): UserMap | undefined {
    return this.#maps.get(name);
  }

  /** Of a prepared map, or one in force. */
  entries(name: string): MapEntry[] {
    return (this.#prepared ?? this.#maps).get(name)?.entries() ?? [];
  }
}

function sameSchema(a: MapSpec, b: MapSpec): boolean {
  return (["type", "key", "keyBytes", "value", "valueBytes", "maxEntries"] as const).every(
    (field) => a[field] === b[field],
  );
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function counterOf(value: Uint8Array | undefined): bigint {
  return value === undefined ? 0n : new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0, true);
}

function counter(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}

/** Prefix length of an LPM key: its first four bytes, little-endian. */
function bits(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}

function covers(prefix: Uint8Array, key: Uint8Array): boolean {
  const length = bits(prefix);
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (prefix[4 + i] !== key[4 + i]) return false;
  const rest = length & 7;
  return rest === 0 || ((prefix[4 + whole] ?? 0) ^ (key[4 + whole] ?? 0)) >> (8 - rest) === 0;
}
