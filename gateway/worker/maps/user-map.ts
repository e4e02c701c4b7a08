/**
 * A shared map in user space, for machines without the kernel part: each worker has a copy, and every change travels to
 * the others by `broadcast`, which the owner connects to their `applyRemote`. Behaves as the kernel's map does, bounds,
 * expiry and longest prefix included; one contract suite runs over both.
 *
 * Copies agree once changes stop. Increments travel as differences, so none is lost; of two puts to one key at the same
 * time, workers may keep different ones until the next.
 */
import type { SharedMap } from "#pipeline/filter.ts";
import { boottimeNs } from "#sys/clock.ts";
import { ExactTable, PrefixTable, type EntryTable } from "./tables.ts";
import type { SharedMapSpec } from "./spec.ts";

/** Plain data, safe as JSON. `key` and `value` in base64; `value` of an increment is the difference in decimal. */
export interface MapChange {
  readonly map: string;
  readonly op: "put" | "delete" | "increment";
  readonly key: string;
  readonly value: string;
}

export class UserMap implements SharedMap {
  readonly name: string;
  readonly #spec: SharedMapSpec;
  readonly #broadcast: (change: MapChange) => void;
  readonly #now: () => bigint;
  readonly #table: EntryTable;
  /** Where `next` stands: its walk, and the key that it answered last. */
  #walk: Iterator<[Uint8Array, Uint8Array]> | null = null;
  #walked: Uint8Array | null = null;
  /** Lent to callers of `get`. */
  readonly #lent: Buffer;

  /** `now`: CLOCK_BOOTTIME in nanoseconds. */
  constructor(spec: SharedMapSpec, broadcast: (change: MapChange) => void, now: () => bigint = boottimeNs) {
    this.name = spec.name;
    this.#spec = spec;
    this.#broadcast = broadcast;
    this.#now = now;
    this.#table = spec.type === "lpm-trie" ? new PrefixTable() : new ExactTable(spec.type === "lru-hash");
    this.#lent = Buffer.alloc(spec.valueBytes);
  }

  get size(): number {
    return this.#table.size;
  }

  get(key: Uint8Array): Uint8Array | null {
    if (key.length !== this.#spec.keyBytes) return null;
    const value = this.#table.find(key);
    if (value === undefined || this.#isVoid(value)) return null;
    this.#lent.set(value);
    return this.#lent;
  }

  put(key: Uint8Array, value: Uint8Array): boolean {
    if (!this.#store(key, value)) return false;
    this.#broadcast({ map: this.name, op: "put", key: encode(key), value: encode(value) });
    return true;
  }

  delete(key: Uint8Array): boolean {
    if (key.length !== this.#spec.keyBytes || !this.#table.delete(key)) return false;
    this.#broadcast({ map: this.name, op: "delete", key: encode(key), value: "" });
    return true;
  }

  next(key: Uint8Array | null): Uint8Array | null {
    if (key === null) this.#walk = this.#table.entries();
    else if (this.#walked === null || !equal(this.#walked, key)) this.#seek(key);
    for (let step = this.#walk?.next(); step?.done === false; step = this.#walk?.next()) {
      const [found, value] = step.value;
      if (this.#isVoid(value)) continue;
      this.#walked = Uint8Array.from(found);
      return this.#walked;
    }
    this.#walk = null;
    this.#walked = null;
    return null;
  }

  /** Behind this key, which is not where the walk stands: from the beginning, or to the end where it is not there. */
  #seek(key: Uint8Array): void {
    this.#walk = this.#table.entries();
    for (let step = this.#walk.next(); step.done === false; step = this.#walk.next()) {
      if (equal(step.value[0], key)) return;
    }
  }

  increment(key: Uint8Array, delta: bigint): bigint {
    if (this.#spec.value !== "counter" || key.length !== this.#spec.keyBytes) return 0n;
    const sum = this.#add(key, delta);
    this.#broadcast({ map: this.name, op: "increment", key: encode(key), value: String(delta) });
    return sum;
  }

  /** A change that another copy has made. What does not fit this map is ignored: it belongs to another revision's. */
  applyRemote(change: MapChange): void {
    const key = Buffer.from(change.key, "base64");
    if (change.map !== this.name || key.length !== this.#spec.keyBytes) return;
    switch (change.op) {
      case "put":
        this.#store(key, Buffer.from(change.value, "base64"));
        break;
      case "delete":
        this.#table.delete(key);
        break;
      case "increment":
        if (this.#spec.value === "counter") this.#add(key, BigInt(change.value));
    }
  }

  /** Everything that is in it, as changes: what a worker that starts late is given. */
  contents(): MapChange[] {
    return this.entries().map(([key, value]) => ({
      map: this.name,
      op: "put",
      key: encode(key),
      value: encode(value),
    }));
  }

  /** Live entries, at most `limit`. */
  entries(limit = Number.POSITIVE_INFINITY): [key: Uint8Array, value: Uint8Array][] {
    const found: [Uint8Array, Uint8Array][] = [];
    for (const [key, value] of this.#table.entries()) {
      if (found.length >= limit) break;
      if (!this.#isVoid(value)) found.push([key, Uint8Array.from(value)]);
    }
    return found;
  }

  /** Takes void entries out; answers how many. */
  sweep(): number {
    const before = this.#table.size;
    for (const [key, value] of this.#table.entries()) if (this.#isVoid(value)) this.#table.delete(key);
    return before - this.#table.size;
  }

  #store(key: Uint8Array, value: Uint8Array): boolean {
    if (key.length !== this.#spec.keyBytes || value.length !== this.#spec.valueBytes) return false;
    if (!this.#table.accepts(key)) return false;
    if (!this.#table.has(key) && this.#table.size >= this.#spec.maxEntries) {
      if (!this.#table.evict() && this.sweep() === 0) return false;
    }
    this.#table.set(key, Uint8Array.from(value));
    return true;
  }

  #add(key: Uint8Array, delta: bigint): bigint {
    const current = this.#table.find(key);
    const sum = BigInt.asUintN(64, delta + (current === undefined ? 0n : readU64(current)));
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(sum, 0);
    this.#store(key, value);
    return sum;
  }

  #isVoid(value: Uint8Array): boolean {
    if (this.#spec.value !== "expiry") return false;
    const expiry = readU64(value);
    return expiry !== 0n && expiry <= this.#now();
  }
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, at) => octet === other[at]);
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function readU64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
}
