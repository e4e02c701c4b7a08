/**
 * A shared map as one tenant's plugins see it: they may have so many entries in it at one time, whoever else uses it. What
 * the tenant has put is remembered by key; where the map keeps only what was used last (`lru-hash`) the tenant's oldest entry
 * makes room for a new one, elsewhere what has expired does, or nothing does and the entry is refused.
 */
import type { SharedMap } from "#pipeline/filter.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";

/** Keys that are looked at when there is no room: about a microsecond each. */
const LOOKED_AT = 64;

/** Entries that a tenant has in all its maps, counted in one worker. */
export interface EntryAllowance {
  /** Entries there may be at one time. */
  entriesMax(): number;
  entries: number;
  refused: number;
}

export class TenantMap implements SharedMap {
  readonly name: string;
  readonly #map: SharedMap;
  readonly #spec: MapSpec;
  readonly #allowance: EntryAllowance;
  /** Keys as one character a byte, oldest first. */
  readonly #keys = new Set<string>();

  constructor(map: SharedMap, spec: MapSpec, allowance: EntryAllowance) {
    this.name = map.name;
    this.#map = map;
    this.#spec = spec;
    this.#allowance = allowance;
  }

  get(key: Uint8Array): Uint8Array | null {
    return this.#map.get(key);
  }

  put(key: Uint8Array, value: Uint8Array): boolean {
    const text = textOf(key);
    const known = this.#keys.has(text);
    if (!known && !this.#room()) return false;
    if (!this.#map.put(key, value)) return false;
    if (!known) this.#add(text);
    return true;
  }

  delete(key: Uint8Array): boolean {
    this.#forget(textOf(key));
    return this.#map.delete(key);
  }

  next(key: Uint8Array | null): Uint8Array | null {
    return this.#map.next(key);
  }

  increment(key: Uint8Array, delta: bigint): bigint {
    const text = textOf(key);
    if (!this.#keys.has(text)) {
      // An entry that is there already is somebody's: counting in it takes no room.
      if (this.#map.get(key) === null) {
        if (!this.#room()) return 0n;
        this.#add(text);
      }
    }
    return this.#map.increment(key, delta);
  }

  /** The map is not this tenant's any more. */
  dispose(): void {
    this.#allowance.entries -= this.#keys.size;
    this.#keys.clear();
  }

  /** Expired, or deleted by somebody else: the oldest few, so that no call takes long; who is still there goes to the end. */
  #lookForGone(): void {
    const oldest: string[] = [];
    for (const text of this.#keys) if (oldest.push(text) === LOOKED_AT) break;
    for (const text of oldest) {
      const gone = this.#map.get(Buffer.from(text, "latin1")) === null;
      this.#forget(text);
      if (!gone) this.#add(text);
    }
  }

  #add(text: string): void {
    this.#keys.add(text);
    this.#allowance.entries++;
  }

  #forget(text: string): void {
    if (this.#keys.delete(text)) this.#allowance.entries--;
  }

  #room(): boolean {
    const { entriesMax } = this.#allowance;
    if (this.#allowance.entries < entriesMax()) return true;
    if (this.#spec.type === "lru-hash") {
      const [oldest] = this.#keys;
      if (oldest !== undefined) {
        this.#map.delete(Buffer.from(oldest, "latin1"));
        this.#forget(oldest);
      }
    } else {
      this.#lookForGone();
    }
    if (this.#allowance.entries < entriesMax()) return true;
    this.#allowance.refused++;
    return false;
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
